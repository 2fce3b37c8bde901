"""The layer that runs a patch model over whole images inside the graph."""

import contextlib
import functools
import math
from collections.abc import Iterator, Sequence
from typing import Any, Literal, Self, Unpack

import keras
from keras import ops

from keras_patching._signatures import (
    TILING_DEFAULTS,
    spelled_out,
    suggesting,
)
from keras_patching._types import Tensor, Tiling
from keras_patching.geometry import (
    PatchGrid,
    as_pair,
    check_pad_mode,
    check_patch_geometry,
)
from keras_patching.layers.inference_layers import (
    build_around,
    wrap_for_inference,
)
from keras_patching.layers.nested_metrics import metrics_outside_models
from keras_patching.layers.patch_model_call import PatchModelCall
from keras_patching.layers.patch_run import (
    add_grid,
    fold_grid,
    output_shape,
    run_at_once,
    run_in_chunks,
    run_without_loops,
)
from keras_patching.layers.predictor_arguments import (
    PREDICTOR_ARGUMENTS,
    check_data_format,
    check_pad_value,
    check_patch_batch_size,
    checked_tiling,
)
from keras_patching.layers.resolved_tiling import Resolved, resolve
from keras_patching.layers.row_stream import RowStream
from keras_patching.layers.row_streaming import RowStreaming, find_streaming
from keras_patching.layers.whole_runs import (
    run_streamed,
    run_whole,
    with_known_channels,
)
from keras_patching.ops.chunks import patches_per_chunk
from keras_patching.ops.data_formats import (
    from_channels_last,
    shape_from_channels_last,
    shape_to_channels_last,
    to_channels_last,
)
from keras_patching.ops.lengths import static_lengths
from keras_patching.ops.patches import graph_grid, pad_to_grid
from keras_patching.receptive_fields.automatic_overlap import takes_any_size


@keras.saving.register_keras_serializable(package="keras_patching")
class PatchedPredictor(keras.layers.Wrapper):
    """Runs a patch model over images of any size: pad, cut, run, stitch, crop.

    All of it happens inside the graph, so that the layer is trained through,
    saved and exported like any other.

    Without overlap the image is padded at the bottom and right to whole
    patches. With an overlap, neighbouring patches share that many pixels, the
    image is padded only to `multiple_of`, and the last row and column of
    patches are shifted inward (see `PatchGrid`).

    With `overlap="auto"` there is no seam: the result is what the patch model
    gives on the whole image, padded at the bottom and right to multiples of
    its stride and cropped again. Rows are streamed: the image goes through
    the patch model in bands of rows, and each layer keeps the last rows of its
    input until the next band comes, so that nothing is computed twice (see
    `RowStream`). Small images are run at once, and images whose kept rows
    would take much memory in strips of columns, which overlap. How far the
    patch model looks is derived from its layers (see `receptive_field`).
    Training on images larger than a patch streams rows too, unless the batch
    is small, and cuts no strips: gradients are those of the whole image (see
    `RowStream`).

    A patch model that has a layer whose rows cannot be streamed is run on
    tiles instead, and so is any if `predict_patch_size` asks for them. What
    tiles share is computed twice, after the overlap-tile strategy of
    Ronneberger et al. 2015 (https://arxiv.org/abs/1505.04597): of a tile of
    `t` pixels with a halo of `h` on both sides, `t - 2h` are new along each
    axis. That is 1.5 times the pixels of large images at t = 512 and h = 48,
    and 16 times at t = 128. `recomputation(image_size)` tells the number.

    "No seam" is up to rounding. GPUs multiply float32 in TensorFloat-32 unless
    told otherwise: then the result and that of the whole image differ by about
    1e-3 of the values; `verify_tiling` measures it and says how to have it
    less.

    When not training, patches are cut and run `patch_batch_size` at a time:
    memory holds the activations of those, not of the image.

    Args:
        patch_model: Layer or model that takes
            `(batch, patch height, patch width, channels)`. It may return one
            tensor, a list or a dict of tensors. Losses that its layers add
            (activity regularizers) count where all patches are run at once,
            as in training, and not in a prediction patch by patch.
        patch_size: `(height, width)` of a patch in pixels, or one integer.
            `None` leaves it to `set_patch_size`.
        overlap: Pixels that neighbouring patches share, a pair or one integer.
            `"auto"` leaves no seam. Where it makes tiles, their overlap is
            found when the layer is built, as are `multiple_of` and `shrink`;
            the attributes then hold the numbers.
        multiple_of: Origins of patches are multiples of this; for a patch
            model with strides, their product. A pair or one integer.
        blend: `"crop"` (each output pixel is written once, by the patch that
            owns it), `"mean"` or `"gaussian"` (weighted mean of all patches
            that hold it).
        stitch: Whether outputs that are images are put together. If `False`,
            outputs come back patch by patch.
        pad_value: Value of the pixels added at the bottom and right.
        pad_mode: `"constant"` adds pixels of `pad_value`; `"reflect"` mirrors
            the image at its last pixel, and `"edge"` repeats that, as
            `numpy.pad` does. These need an overlap in numbers.
        patch_batch_size: Most patches per forward pass when not training,
            which bounds memory. `None` runs all at once, as training does.
            `"auto"` takes about `2**16` pixels on a CPU, whose caches larger
            chunks outgrow (one patch of 256 x 256), and elsewhere `2**20`, on
            torch `2**21`, from 1 to 32 patches.
        predict_patch_size: Size of the patches that images are cut into, if
            it is not `patch_size`: a fully convolutional patch model may
            predict larger ones than it was trained on. `None` in the pair is
            the length of the image, rounded up to `multiple_of`: `(512, None)`
            are bands of full width.
            Where rows are streamed it is `(rows of a step, columns of a
            strip)`, and `None` in it leaves them to the software, as does
            `None` alone; two numbers ask for tiles, if there are more rows
            than the overlap of `receptive_field`.
            (Images of exactly `patch_size` are run as they are, where the
            graph knows their size.)
        shrink: Whether patches are made smaller where fewer pixels do, and
            spread evenly (see `PatchGrid`). The patch model must take any
            size. (Tiles of `overlap="auto"` do not shrink for one that does
            not: images shorter than its patch are padded to it.) Where the
            graph does not know the size of images, only patches longer than
            the image shrink, so that with an overlap in numbers there may be
            seams elsewhere.
        test_time_augmentation: `"all"`, `"turns"`, `"mirrors"` or
            `"left_right"`: predictions are the mean over these symmetries of
            the image (see `TestTimeAugmentation`), at 8, 4, 4 and 2 times the
            cost. Training knows nothing of it, but for its validation. With
            `overlap="auto"` all but `"left_right"` are run on tiles, of a size
            that computes about 2 pixels for each where `predict_patch_size` is
            `None` and the patch model takes any. `None` predicts the image as
            it is.
        data_format: `"channels_last"` or `"channels_first"`; of the images
            and of the patch model. Defaults to `keras.config`'s.
        **kwargs: Arguments of `keras.layers.Layer`. The dtype policy defaults
            to that of the patch model.

    Input shape:
        `(batch, height, width, channels)`, height and width may be `None`;
        integers are cast to `keras.config.floatx()`.

    Output shape:
        - An output of the patch model is spatial when it has rank 4 and both
          axes are k times or 1/k of the patch. With `stitch=True` it comes
          back as `(batch, k * height, k * width, channels)`, or
          `(batch, ceil(height / k), ceil(width / k), channels)`.
        - Other outputs, and all with `stitch=False`, come back as
          `(batch, rows, cols, *output shape of one patch)`.

        The dtype is that of the patch model's output.

    Raises:
        ValueError: If the geometry is impossible, or a rank-4 output is not
            spatial under `stitch=True` (as after `valid` convolutions), or
            `overlap="auto"` is asked of a patch model that no overlap is
            enough for, or of patches that are not larger than the overlap.

    Example:

    >>> patch_model = keras.Sequential(
    ...     [
    ...         keras.Input((128, 128, 3)),
    ...         keras.layers.Conv2D(2, 3, padding="same", activation="softmax"),
    ...     ]
    ... )
    >>> model = keras.Sequential(
    ...     [
    ...         keras.Input((None, None, 3)),
    ...         keras_patching.PatchedPredictor(patch_model, patch_size=128),
    ...     ]
    ... )
    >>> model.predict(np.zeros((1, 300, 200, 3)), verbose=0).shape
    (1, 300, 200, 2)
    """

    def __init__(
        self,
        patch_model: keras.layers.Layer,
        patch_size: int | Sequence[int] | None,
        *,
        overlap: int | Sequence[int] | Literal["auto"] = 0,
        multiple_of: int | Sequence[int] = 1,
        blend: str = "crop",
        stitch: bool = True,
        pad_value: float = 0,
        pad_mode: str = "constant",
        patch_batch_size: int | Literal["auto"] = "auto",
        predict_patch_size: int | Sequence[int | None] | None = None,
        shrink: bool = False,
        test_time_augmentation: str | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        # Images pass through as they are: the patch model's own policy casts
        # them, and what it returns is what this layer declares and returns.
        kwargs.setdefault("dtype", getattr(patch_model, "dtype_policy", None))
        kwargs.setdefault("autocast", False)
        with suggesting(PatchedPredictor, kwargs):
            super().__init__(patch_model, **kwargs)
        check_patch_batch_size(patch_batch_size)
        check_pad_value(pad_value)
        self.stitch = bool(stitch)
        self.pad_value = pad_value
        self.pad_mode = check_pad_mode(pad_mode)
        self.patch_batch_size = patch_batch_size
        self.data_format = data_format or keras.config.image_data_format()
        check_data_format(self.data_format)
        self._patch_model = self._call_of(patch_model)
        self._inference_model = self._patch_model
        self._averages_logits = False
        self._gives_doubt = False
        self.patch_size = None
        self._outputs: Any = None  # `PatchOutputs`, from `build` on.
        self._streaming: RowStreaming | None = None
        self._may_loop = True  # Not while a graph without loops is made.
        self._is_seamless = False  # Whether `overlap="auto"` was asked for.
        self._may_resolve = False  # Before `build`, "auto" is kept.
        self._tile_size: tuple[int, int] | None = None  # Chosen, not given.
        self._tile(
            overlap=overlap,
            multiple_of=multiple_of,
            blend=blend,
            predict_patch_size=predict_patch_size,
            shrink=shrink,
            test_time_augmentation=test_time_augmentation,
        )
        if patch_size is not None:
            self.set_patch_size(*as_pair(patch_size, "patch_size"))
        self._may_resolve = self.layer.built
        self.channels = self._input_channels()

    @spelled_out(TILING_DEFAULTS)
    def set_tiling(self, **tiling: Unpack[Tiling]) -> None:
        """Change how images are cut and stitched; the weights stay.

        What is compiled already keeps the tiling before, as with
        `set_patch_size`.

        Args:
            **tiling: `overlap`, `multiple_of`, `blend`, `predict_patch_size`,
                `shrink` or `test_time_augmentation`, as for the class. What is
                left out stays, but `overlap="auto"` finds `multiple_of` and
                `shrink` anew, and so does another `predict_patch_size` or
                `test_time_augmentation` alone where it was asked for before.

        Raises:
            TypeError: If there is no such argument.
            ValueError: If no grid can be made with them. The tiling stays.
        """
        now = {name: getattr(self, name) for name in TILING_DEFAULTS}
        if unknown := tiling.keys() - now:
            raise TypeError(
                f"`set_tiling` takes {', '.join(now)}. Received: "
                f"{', '.join(sorted(unknown))}"
            )
        resolved_anew = {"predict_patch_size", "test_time_augmentation"}
        if self._is_seamless and tiling.keys() <= resolved_anew:
            tiling["overlap"] = "auto"
        if tiling.get("overlap") == "auto":
            now |= {"multiple_of": 1, "shrink": False}
        self._tile(**{**now, **tiling})

    @spelled_out(TILING_DEFAULTS)
    def with_tiling(self, **tiling: Unpack[Tiling]) -> Self:
        """Return a layer with the same patch model and another tiling.

        Args:
            **tiling: As for `set_tiling`.

        Returns:
            A `PatchedPredictor`, in all else like this one. They share the
            patch model, and so its weights.

        Raises:
            TypeError, ValueError: As `set_tiling`.
        """
        predictor = self._twin()
        predictor._average_logits(self._averages_logits)
        predictor.set_tiling(**tiling)
        return predictor

    def with_doubt(self) -> Self:
        """Return a layer of the same tiling that gives the doubt of each pixel.

        Returns:
            A `PatchedPredictor` with the same patch model, for inference. It
            gives one channel, the largest standard deviation of a channel over
            the passes of `test_time_augmentation` and of an `Ensemble`.

        Raises:
            ValueError: If there is one pass only.
        """
        predictor = self._twin()
        predictor._averages_logits = self._averages_logits
        predictor._gives_doubt = True
        predictor.set_tiling(test_time_augmentation=self.test_time_augmentation)
        shape = (None, None, None, self.channels)
        predictor.build(shape_from_channels_last(shape, self.data_format))
        return predictor

    # No property: Keras would save its weights under that name.
    def inference_layer(self) -> keras.layers.Layer:
        """Return what is run on patches when not training.

        It has the weights of the patch model, and is it, but for
        `test_time_augmentation`.
        """
        return self._inference_model.layer

    def _average_logits(self, are_logits: bool) -> None:
        """Tell whether the patch model gives logits.

        Args:
            are_logits: Whether `test_time_augmentation` averages the
                probabilities that outputs stand for; see
                `TestTimeAugmentation`.
        """
        if are_logits == self._averages_logits:
            return
        self._averages_logits = are_logits
        if self.test_time_augmentation is not None:
            self.set_tiling(test_time_augmentation=self.test_time_augmentation)

    def _call_of(self, layer):
        return PatchModelCall(layer, self.name, self.stitch, self.data_format)

    def _inference_call(self, symmetries):
        """Return the call of what is run on patches when not training."""
        layer = wrap_for_inference(
            *(self.layer, symmetries, self._averages_logits),
            *(self._gives_doubt, self.data_format),
        )
        return (
            self._patch_model if layer is self.layer else self._call_of(layer)
        )

    def _tile(self, **tiling):
        """Set the tiling, if it is possible."""
        tiling = checked_tiling(
            tiling, self.patch_size, self.stitch, self.pad_mode
        )
        overlap = tiling["overlap"]
        predict_patch_size = tiling["predict_patch_size"]
        model = self._inference_call(tiling["test_time_augmentation"])
        resolved = Resolved(overlap, tiling["multiple_of"], tiling["shrink"])
        outputs = self._outputs
        largest = predict_patch_size or self.patch_size
        if largest is not None and self._may_resolve:
            resolved = self._resolve(
                model.layer, largest, resolved, predict_patch_size
            )
            if self.patch_size is not None and self.built:
                outputs = model.find_outputs(self.patch_size, self.channels)
        self._take(resolved)
        self._inference_model, self._outputs = model, outputs
        self._is_seamless, self.blend = overlap == "auto", tiling["blend"]
        self.predict_patch_size = predict_patch_size
        self.test_time_augmentation = tiling["test_time_augmentation"]

    def _input_channels(self):
        """Channels that the patch model was built for, or None if unknown."""
        shape = getattr(self.layer, "input_shape", None)
        if not isinstance(shape, tuple) or len(shape) != 4:
            return None
        return self._channels_last_shape(shape)[3]

    def set_patch_size(self, height: int, width: int | None = None) -> None:
        """Change the patch size.

        What is compiled already keeps the size before: call `compile` again on
        a model around this layer. (`PatchedModel.set_patch_size` sees to it.)

        Args:
            height: Height of a patch in pixels.
            width: Width in pixels; the height where it is left out.

        Raises:
            ValueError: If no grid can be made with it.
        """
        patch_size = as_pair(
            (height, height if width is None else width), "patch_size"
        )
        overlap, multiple_of = self.overlap, self.multiple_of
        if overlap == "auto" or (self.predict_patch_size or self._tile_size):
            overlap, multiple_of = (0, 0), (1, 1)
        try:
            check_patch_geometry(patch_size, overlap, multiple_of)
        except ValueError as error:
            raise ValueError(
                f"{error} (`set_tiling` sets another overlap, and with "
                "`predict_patch_size` other patches for prediction.)"
            ) from error
        outputs = None
        if self.built:
            outputs = self._inference_model.find_outputs(
                patch_size, self.channels
            )
        if self._tile_size is not None:  # Another patch, another tile.
            self._take(Resolved("auto", (1, 1), False))
        if self.overlap == "auto" and self._may_resolve:
            self._resolve_tiling(self.predict_patch_size or patch_size)
        self.patch_size, self._outputs = patch_size, outputs

    def build(self, input_shape: Any) -> None:
        self.channels = self._channels_last_shape(input_shape)[3]
        if not self.layer.built:
            # Models that define no `build` are built by a call.
            patch_size = self._require_patch_size()
            self.layer(self._patch_model.patch_spec(patch_size, self.channels))
        self._may_resolve = True
        if self.patch_size is not None:
            self._resolve_tiling(self._largest_patch())
            self._outputs = self._inference_model.find_outputs(
                self.patch_size, self.channels
            )

    def _resolve_tiling(self, patch_size):
        self._take(
            self._resolve(
                *(self.inference_layer(), patch_size, self._tiling_now()),
                self.predict_patch_size,
            )
        )

    def _tiling_now(self):
        return Resolved(
            *(self.overlap, self.multiple_of, self.shrink),
            *(self._streaming, self._tile_size),
        )

    def _take(self, resolved):
        self.overlap, self.multiple_of = resolved.overlap, resolved.multiple_of
        self.shrink, self._streaming = bool(resolved.shrink), resolved.streaming
        self._tile_size = resolved.tile_size

    def _resolve(self, layer, patch_size, asked, predict_patch_size):
        build_around(
            layer, self.layer, self._input_channels(), self.data_format
        )
        return resolve(
            *(layer, patch_size, asked, predict_patch_size, self.data_format),
            is_patch_model=layer is self.layer,
        )

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        return metrics_outside_models(self, super().metrics)

    def patch_grid(
        self, image_size: Sequence[int], training: bool | None = False
    ) -> PatchGrid:
        """Return the `PatchGrid` that images are cut and stitched by.

        Args:
            image_size: `(height, width)` in pixels.
            training: Whether for training, whose patches are not padded to
                those of prediction.

        Raises:
            ValueError: If the patch size is not set, or `overlap="auto"` is
                impossible.
        """
        if self._is_one_patch(image_size, training):
            return graph_grid(image_size, self.patch_size)
        resolved = self._resolved()
        if resolved.streaming is not None:
            return resolved.streaming.grid(image_size)
        largest = resolved.tile_size or self._largest_patch()
        is_smaller = training and (self.predict_patch_size or self._tile_size)
        shrink = resolved.shrink or bool(is_smaller)
        return graph_grid(
            *(image_size, largest, resolved.overlap, resolved.multiple_of),
            shrink,
        )

    def _resolved(self):
        """Give the tiling in numbers, also before the layer is built."""
        now = self._tiling_now()
        if self.overlap != "auto" or self._streaming is not None:
            return now
        return self._resolve(
            *(self.inference_layer(), self._largest_patch(), now),
            self.predict_patch_size,
        )

    def _is_one_patch(self, image_size, training):
        """Whether images are patches of training, which stay as they are."""
        if self.patch_size is None:
            return False
        if static_lengths(image_size) != self.patch_size:
            return False
        if training:
            return True
        if self._streaming is not None:
            # What no stride divides is padded in prediction.
            strides = self._streaming.stride
            axes = zip(self.patch_size, strides, strict=True)
            return not any(patch % stride for patch, stride in axes)
        if self.test_time_augmentation is not None and any(
            patch % multiple
            for patch, multiple in zip(
                self.patch_size, self._resolved().multiple_of, strict=True
            )
        ):
            return False  # Turned, its strides would fall on other pixels.
        sizes = zip(self.patch_size, self._largest_patch(), strict=True)
        return all(tile is None or patch <= tile for patch, tile in sizes)

    def recomputation(self, image_size: Sequence[int]) -> float:
        """Tell how many pixels are computed for each pixel of an image.

        Args:
            image_size: `(height, width)` in pixels.

        Returns:
            Float: pixels of all patches by pixels of the image. It is 1
            where patches share nothing and fit the image, and hardly more
            where rows are streamed: the last step may make fewer rows than it
            computes.

        Example:

        >>> predictor = keras_patching.layers.PatchedPredictor
        >>> layer = predictor(patch_model, patch_size=256, overlap=64)
        >>> layer.recomputation((1024, 1024))
        1.5625
        """
        grid = self.patch_grid(image_size)
        computed = grid.num_patches * math.prod(grid.patch_size)
        streaming = self._resolved().streaming
        if streaming is not None:
            computed = streaming.computed_pixels(image_size)
        return computed / math.prod(grid.image_size)

    def row_stream(self, image_size: Sequence[int]) -> RowStream | None:
        """Return the `RowStream` that images go through in prediction.

        Args:
            image_size: `(height, width)` in pixels.

        Returns:
            A `RowStream`; `None` for images that are tiled, or so small that
            they are run at once.

        Example:

        >>> predictor = keras_patching.layers.PatchedPredictor
        >>> layer = predictor(patch_model, patch_size=128, overlap="auto")
        >>> layer.row_stream((256, 256)) is None
        True
        >>> isinstance(
        ...     layer.row_stream((4096, 4096)), keras_patching.layers.RowStream
        ... )
        True
        """
        streaming = self._resolved().streaming
        if streaming is None or self._is_one_patch(image_size, False):
            return None
        return streaming.stream_of_strip(streaming.grid(image_size).patch_size)

    def compute_output_shape(self, input_shape: Any) -> Any:
        if self.patch_size is None:
            # With this error Keras says that a shape is not known: `summary`
            # writes "?", and would pass any other on.
            raise NotImplementedError(
                f"The output shape of '{self.name}' depends on the patch "
                "size: call `set_patch_size(height, width)` first."
            )
        spec = self.compute_output_spec(keras.KerasTensor(input_shape))
        return keras.tree.map_structure(lambda output: output.shape, spec)

    def compute_output_spec(
        self, inputs: Tensor, training: bool | None = None
    ) -> Any:
        batch, height, width, channels = self._channels_last_shape(inputs.shape)
        known = self._outputs
        if known is None or channels != self.channels:
            known = self._inference_model.find_outputs(
                self._require_patch_size(), channels
            )
        # One of the two lengths may be unknown: any number stands in for it.
        grid = self.patch_grid((height or 1, width or 1))
        rows = None if height is None else grid.rows
        cols = None if width is None else grid.cols

        def declare(scale, output):
            shape = output_shape(
                *(output.shape, scale, batch, (height, width), (rows, cols))
            )
            if scale is not None:
                shape = shape_from_channels_last(shape, self.data_format)
            return keras.KerasTensor(shape, dtype=output.dtype)

        return known.map(declare, known.spec)

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        images = to_channels_last(inputs, self.data_format)
        image_size = ops.shape(images)[1:3]
        if self._is_one_patch(image_size, training):
            # `fit` on patches and `predict` on images are one graph, and this
            # is the way through it without detours.
            model = self._patch_model if training else self._inference_model
            return self._outputs.map(add_grid, model(images))
        if not self._may_loop:
            outputs = self._run_without_loops(images, image_size)
            return self._outputs.map_stitched(
                lambda output: from_channels_last(output, self.data_format),
                outputs,
            )
        if training and (streaming := self._streaming_in_training()):
            return self._train_through(streaming, images, image_size)
        grid = self.patch_grid(image_size, training)
        how = grid, self._outputs, self.blend
        images = pad_to_grid(images, grid, self.pad_value, self.pad_mode)
        if self._streaming is not None:
            outputs = self._stream(images, grid)
        elif training or self.patch_batch_size is None:
            model = self._patch_model if training else None
            outputs = run_at_once(self._run(model=model), images, *how)
        else:
            run = self._run(self._patch_model.values())
            size = self._chunk_size(grid)
            outputs = run_in_chunks(run, images, *how, size)
        return self._outputs.map_stitched(
            lambda output: from_channels_last(output, self.data_format), outputs
        )

    @contextlib.contextmanager
    def without_loops(self) -> Iterator[None]:
        """Make graphs without loops meanwhile, for what cannot hold them.

        All patches are run in one batch; where rows would be streamed, the
        image as a whole. Memory holds all of their activations.

        Raises:
            ValueError: If the patch model does not take whole images, where
                they would be streamed.

        Example:

        >>> predictor = keras_patching.layers.PatchedPredictor
        >>> layer = predictor(patch_model, patch_size=128, overlap="auto")
        >>> with layer.without_loops():
        ...     whole = layer(np.zeros((1, 512, 512, 3), "float32"))
        """
        if self._resolved().streaming is not None and not takes_any_size(
            self.layer, self.data_format
        ):
            raise ValueError(
                f"'{self.layer.name}' takes patches of one size, and without "
                'loops overlap="auto" runs it on whole images: build it with '
                "`keras.Input((None, None, channels))`, or set an overlap in "
                "pixels (`set_tiling`)."
            )
        self._may_loop = False
        try:
            yield
        finally:
            self._may_loop = True

    def _run_without_loops(self, images, image_size):
        """Run all patches at once, or whole what would be streamed."""
        streaming = self._streaming
        if streaming is None:
            grid = self.patch_grid(image_size)
        else:
            grid = graph_grid(image_size, (None, None), 0, streaming.stride)
        # Convolutions are converted where the channels are known.
        images = with_known_channels(
            pad_to_grid(images, grid, self.pad_value, self.pad_mode), grid
        )
        how = self._run(), images, grid, self._outputs
        if streaming is None:
            return run_without_loops(*how, self.blend)
        return run_whole(*how)

    def _run(self, values=None, call=None, model=None):
        """Return what runs the patch model on patches, as in inference."""
        model = model or self._inference_model
        return functools.partial(
            model.run, known=self._outputs, values=values, call=call
        )

    def _stream(self, images, grid):
        """Run rows through the patch model, strip by strip."""
        streaming = self._streaming
        call = functools.partial(streaming.run, structure=self._outputs.spec)
        run = self._run(self._patch_model.values(), call)
        at_once = self.patch_batch_size
        if at_once == "auto":
            at_once = streaming.images_at_once(ops.shape(images))
        how = grid, self._outputs, self.blend
        return run_streamed(run, images, *how, at_once)

    def _streaming_in_training(self):
        """Return how whole images are trained on; `None` of tiles."""
        if not self._is_seamless:
            return None
        if self._inference_model is self._patch_model:
            return self._streaming
        # What predictions average is not trained.
        return find_streaming(
            self.layer, self.predict_patch_size, self.data_format
        )

    def _train_through(self, streaming, images, image_size):
        """Run the patch model on whole images in training."""
        grid = graph_grid(image_size, (None, None), 0, streaming.stride)
        images = pad_to_grid(images, grid, self.pad_value, self.pad_mode)
        call = functools.partial(
            streaming.run_in_training, structure=self._outputs.spec
        )
        run = self._run(call=call, model=self._patch_model)
        outputs = run_whole(run, images, grid, self._outputs)
        return self._outputs.map_stitched(
            lambda output: from_channels_last(output, self.data_format), outputs
        )

    def check_training(self, shape: Sequence[int]) -> None:
        """Refuse images that the patch model cannot be trained on.

        Args:
            shape: Of the images that are trained on at a time.

        Raises:
            ValueError: If they are too large to be run at once, so that rows
                are streamed, and a layer needs whole images in training; it
                is named.
        """
        batch, *image_size, channels = self._channels_last_shape(shape)
        if self._is_one_patch(image_size, True):
            return
        streaming = self._streaming_in_training()
        if streaming is not None:
            grid = graph_grid(image_size, (None, None), 0, streaming.stride)
            padded = batch, *grid.padded_size, channels
            streaming.stream_in_training(
                shape_from_channels_last(padded, self.data_format)
            )

    def fold_grid(self, outputs: Tensor) -> Any:
        """Fold rows and columns of unstitched outputs into the batch.

        Args:
            outputs: What the layer returned: a tensor, list or dict.

        Returns:
            The same structure. A stitched output stays as it is; an output of
            shape `(batch, rows, cols, *patch output)` becomes
            `(batch * rows * cols, *patch output)`.
        """
        return self._outputs.map(fold_grid, outputs)

    def _chunk_size(self, grid):
        if self.patch_batch_size != "auto":
            return self.patch_batch_size
        lengths = static_lengths(grid.patch_size)
        return patches_per_chunk(
            self._largest_patch() if None in lengths else lengths
        )

    def _largest_patch(self):
        """Size that images are cut into, before patches shrink."""
        patch_size = self._require_patch_size()
        return self.predict_patch_size or self._tile_size or patch_size

    def _require_patch_size(self):
        if self.patch_size is None:
            raise ValueError(
                f"The patch size of '{self.name}' is not known yet: call "
                "`set_patch_size(height, width)` first."
            )
        return self.patch_size

    def _channels_last_shape(self, shape):
        """Return the shape of images as `(batch, height, width, channels)`.

        Args:
            shape: In the data format of the layer.

        Raises:
            ValueError: If it is not of rank 4.
        """
        if len(shape) != 4:
            raise ValueError(
                f"Layer '{self.name}' takes images of shape (batch, height, "
                f"width, channels). Received: shape={tuple(shape)}"
            )
        return shape_to_channels_last(shape, self.data_format)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self._arguments()}

    def _arguments(self):
        """Give the arguments that a layer like this one is made with."""
        arguments = {name: getattr(self, name) for name in PREDICTOR_ARGUMENTS}
        if self._is_seamless and self.test_time_augmentation is not None:
            # Without it the same patch model may stream rows again.
            arguments |= {"overlap": "auto", "multiple_of": 1, "shrink": False}
        return arguments

    def _twin(self):
        """Return a layer like this one, with the same patch model."""
        return PatchedPredictor(
            self.layer, dtype=self.dtype_policy, **self._arguments()
        )
