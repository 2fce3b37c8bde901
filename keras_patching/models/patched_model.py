"""The Keras model that trains on patches and predicts whole images."""

import contextlib
import inspect
import os
import warnings
from collections.abc import Sequence
from typing import Any, Literal, Self, Unpack

import keras

from keras_patching._keras_internals import (
    drop_compiled_functions,
    inner_layers,
    is_called_by_fit,
    may_get_weights,
    put_weights_back,
)
from keras_patching._signatures import (
    TILING_DEFAULTS,
    Shown,
    spelled_out,
    suggesting,
)
from keras_patching._types import Tensor, Tiling
from keras_patching.geometry import as_pair, as_patch_size
from keras_patching.layers.nested_metrics import metrics_outside_models
from keras_patching.layers.patched_predictor import PatchedPredictor
from keras_patching.layers.predictor_arguments import PREDICTOR_ARGUMENTS
from keras_patching.models.data_checks import DataChecks
from keras_patching.models.devices import count_devices, fill_up, round_up
from keras_patching.models.export_formats import (
    check_export_format,
    keeps_loops,
)
from keras_patching.models.feeding import (
    feeding,
    feeding_training,
    with_callback,
)
from keras_patching.models.image_predictor import ImagePredictor
from keras_patching.models.input_checks import (
    check_one_size,
    check_shared,
)
from keras_patching.models.kept_weights import weights_kept
from keras_patching.models.litert_check import write_checked
from keras_patching.models.patch_model_check import check_patch_model
from keras_patching.models.processes import check_alone
from keras_patching.models.quantizing import check_quantizable
from keras_patching.models.resuming import split_place
from keras_patching.models.turns import GiveWay, Turns
from keras_patching.ops.compiling import FunctionsBySize
from keras_patching.ops.data_formats import shape_from_channels_last
from keras_patching.prediction.engines import Engines
from keras_patching.receptive_fields.automatic_overlap import (
    describe_cost,
    describe_seams,
)


@keras.saving.register_keras_serializable(package="keras_patching")
class PatchedModel(DataChecks, ImagePredictor, keras.Model):
    """A patch model that is trained on patches and predicts whole images.

    `fit` takes patches (of a `PatchingSequence`, or any others of the patch
    size); `predict` and `evaluate` take images of any size, which are cut,
    run and stitched in the graph by a `PatchedPredictor`.

    Args:
        patch_model: Layer or model that takes
            `(batch, patch height, patch width, channels)`.
        patch_size: `(height, width)` of a patch in pixels, or one integer;
            or call `set_patch_size`.
        overlap, multiple_of, blend, stitch, pad_value, pad_mode,
            patch_batch_size, predict_patch_size, shrink,
            test_time_augmentation, data_format: As for `PatchedPredictor`.
        **kwargs: Arguments of `keras.Model`.

    Attributes:
        skipped_share: Share of the pixels that the last `predict_images`
            did not compute since `keep` left them out, from 0 to 1; `None`
            before.

    Input shape:
        `(batch, height, width, channels)`, of any number type.

    Output shape:
        That of `PatchedPredictor`: `(batch, height, width, channels)` where
        outputs are stitched, else `(batch, rows, cols, *patch output)`.

    Example:

    >>> model = keras_patching.PatchedModel(patch_model)
    >>> model.set_patch_size(height=128, width=128)
    >>> model.compile("adam", keras_patching.losses.SegmentationLoss(2))
    >>> train = keras_patching.PatchingSequence("field/images_patches")
    >>> history = model.fit(train, epochs=1)
    >>> images = np.zeros((1, 300, 200, 3), "uint8")
    >>> model.predict(images, verbose=0).shape
    (1, 300, 200, 2)
    """

    _is_built = False
    # The `TrainingPlace` of a training that is backed up.
    training_place = None

    def __init__(
        self,
        patch_model: keras.layers.Layer,
        patch_size: int | Sequence[int] | None = None,
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
        kwargs.setdefault("dtype", getattr(patch_model, "dtype_policy", None))
        kwargs.setdefault("autocast", False)
        with suggesting(type(self), kwargs):
            super().__init__(**kwargs)
        self._functions = FunctionsBySize()
        self._turns = Turns()
        self._training = Turns()
        self.predictor = PatchedPredictor(
            patch_model,
            patch_size=None,
            overlap=overlap,
            multiple_of=multiple_of,
            blend=blend,
            stitch=stitch,
            pad_value=pad_value,
            pad_mode=pad_mode,
            patch_batch_size=patch_batch_size,
            predict_patch_size=predict_patch_size,
            shrink=shrink,
            test_time_augmentation=test_time_augmentation,
            data_format=data_format,
        )
        self._engines = Engines(self.predictor, self._turn)
        self._doubt_engines: Engines | None = None
        self._knows_of_seams = False
        self._sizes_judged: set[tuple[int, ...]] = set()
        self._check_tiles(overlap, predict_patch_size)
        if patch_size is not None:
            self.set_patch_size(*as_pair(patch_size, "patch_size"))

    @property
    def patch_model(self) -> keras.layers.Layer:
        """The model that is run on each patch."""
        return self.predictor.layer

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        return metrics_outside_models(self, super().metrics)

    @property
    def patch_size(self) -> tuple[int, int] | None:
        """`(height, width)` of a patch in pixels; `None` until it is set."""
        return self.predictor.patch_size

    def set_patch_size(self, height: int, width: int | None = None) -> None:
        """Set the size of the patches, at any time, also between predictions.

        Args:
            height: Height of a patch in pixels.
            width: Width in pixels; the height where it is left out.

        Raises:
            ValueError: If the patch model does not take patches of this size.
        """
        patch_size = as_pair(
            (height, height if width is None else width), "patch_size"
        )
        if min(patch_size) < 1:
            raise ValueError(
                "`patch_size` must be positive, (height, width) in pixels. "
                f"Received: patch_size={patch_size}"
            )
        self._check_patch_size(patch_size)
        self.predictor.set_patch_size(*patch_size)
        self._drop_compiled_functions()
        if self._input_shape() is not None and not self.predictor.built:
            self.predictor.build(self._input_shape())

    @property
    def built(self) -> bool:
        """Whether the model is built; it is, once somebody asks who may know.

        Keras asks before it saves, loads, counts or trains weights. A model
        that was built in its constructor would take no more layers and
        metrics, which those of subclasses add.
        """
        if not self._is_built and self._input_shape() is not None:
            self._is_built = True  # Building asks too.
            try:
                self.build(self._input_shape())
            except BaseException:
                self._is_built = False
                raise
        return self._is_built

    @built.setter
    def built(self, value: bool) -> None:
        self._is_built = value

    def _input_shape(self):
        """Return the shape of images, or `None` if weights depend on more.

        They depend on the channels, and those of a patch model that is not
        built on the patch size too.
        """
        channels = self.predictor.channels or self._declared_channels()
        is_known = self.patch_model.built or self.patch_size is not None
        if channels is None or not is_known:
            return None
        return shape_from_channels_last(
            (None, None, None, channels), self.predictor.data_format
        )

    def _declared_channels(self):
        """Return the channels of images, where a patch model does not tell."""
        return None

    def _channels_to_read(self):
        """Return what the channels of files are converted to."""
        return self.predictor.channels

    def _check_patch_size(self, patch_size):
        """Refuse a pair `(height, width)` that cannot be trained on.

        Raises:
            ValueError: Naming it, and what would do.
        """
        self._check_patch_model(patch_size)

    def _check_patch_model(self, patch_size):
        check_patch_model(
            self.patch_model, patch_size, self.predictor.data_format
        )

    def _check_tiles(self, overlap, predict_patch_size):
        """Refuse tiles that the patch model cannot take."""
        # Where there is to be no seam the layer finds what is possible.
        is_auto = isinstance(overlap, str) and overlap == "auto"
        if predict_patch_size is not None and not is_auto:
            self._check_patch_model(
                as_patch_size(predict_patch_size, "predict_patch_size")
            )

    @spelled_out(TILING_DEFAULTS)
    def set_tiling(self, **tiling: Unpack[Tiling]) -> None:
        """Set how images are cut and stitched, at any time; the weights stay.

        Args:
            **tiling: `overlap`, `multiple_of`, `blend`, `predict_patch_size`,
                `shrink` or `test_time_augmentation`, as for
                `PatchedPredictor`. What is left out stays, but
                `overlap="auto"` finds `multiple_of` and `shrink` anew.

        Raises:
            TypeError: If there is no such argument.
            ValueError: If the patch model cannot be tiled so. The tiling
                stays.

        Example:

        >>> model = keras_patching.inference.load_model("field.keras")
        >>> model.set_tiling(overlap="auto")
        """
        overlap = tiling.get("overlap", self.predictor.overlap)
        self._check_tiles(overlap, tiling.get("predict_patch_size"))
        self.predictor.set_tiling(**tiling)
        self._drop_compiled_functions()

    def recomputation(self, image_size: Sequence[int]) -> float:
        """Tell how many pixels are computed for each pixel of an image.

        Args:
            image_size: `(height, width)` in pixels.

        Returns:
            Float: pixels of all patches by pixels of the image; see
            `PatchedPredictor`.
        """
        return self.predictor.recomputation(image_size)

    def _drop_compiled_functions(self):
        """Compile again: what they have closed over has changed."""
        self._sizes_judged.clear()
        self._functions.clear()
        self._engines.clear()
        self._doubt_engines = None
        drop_compiled_functions(self)

    def _engines_for(self, transform):
        """Return the `Engines` whose outputs an `ImageTransform` takes."""
        if not transform.is_doubt:
            return self._engines
        if self._doubt_engines is None:
            predictor = self.predictor.with_doubt()
            self._doubt_engines = Engines(predictor, self._turn)
        return self._doubt_engines

    def _require_patch_size(self):
        """Return the patch size.

        Raises:
            ValueError: If it has not been set.
        """
        if self.patch_size is None:
            raise ValueError(
                f"'{self.name}' has no patch size yet: call "
                "`model.set_patch_size(height=..., width=...)` first."
            )
        return self.patch_size

    def build(self, input_shape: Any) -> None:
        self.predictor.build(input_shape)

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        # Keras's trainer on jax calls this method itself: nobody else tells.
        # Where nobody did, as in an export, Keras's `Resizing` would tell the
        # layers after it that this is a training.
        return self.predictor(inputs, training=bool(training))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self.predictor.compute_output_shape(input_shape)

    def compute_output_spec(
        self, inputs: Tensor, training: bool | None = None
    ) -> Any:
        return self.predictor.compute_output_spec(inputs)

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Configure training; as `keras.Model.compile`."""
        self._functions.clear()
        super().compile(*args, **kwargs)
        metrics = _by_name(super().compile, *args, **kwargs).get("metrics")
        # Their names: Keras would keep metrics as its own, after a `compile`
        # with others too.
        self._unweighted = [
            str(getattr(each, "name", each))
            for each in keras.tree.flatten(metrics)
            if each is not None
        ]

    def compile_from_config(self, config: dict[str, Any]) -> None:
        # Keras leaves this to models that override `compile`.
        self.compile(**keras.saving.deserialize_keras_object(config))
        self._build_optimizer()

    def fit(
        self, x: Tensor = None, y: Tensor = None, *args: Any, **kwargs: Any
    ) -> keras.callbacks.History:
        """Train on patches, or on whole images; as `keras.Model.fit`.

        Images larger than a patch are trained on as they are. With
        `overlap="auto"`, and a patch model whose rows stream, that is done in
        bands of rows: gradients and loss are those of the whole image, and
        memory holds the activations of a band and, for each band, the rows
        that layers keep. Bands have `predict_patch_size[0]` rows; `None` takes
        a number that needs little memory. Layers that draw, such as `Dropout`,
        draw for each band. `batch_size=None` means 32, also of large images.
        Batches of images of one patch are run at once, and with `None` rows
        those of at most 2**18 pixels are, all images together.

        A layer that needs the whole image in training is refused by name where
        images are trained on in bands: `BatchNormalization` that is not
        frozen, say. Where batches are run at once it is not, and counts what
        pads them to a multiple of the stride; it is refused for an
        `ImageSequence` that pads whole images to one size.

        Where several processes have a `keras.distribution` in common, all are
        given the same sequence, and each feeds its share of every batch: the
        weights are those of one process. With `auto_shard_dataset=False` each
        is given its own `sequence.shard(index, count)`. `evaluate` does so too.

        With `keras.callbacks.BackupAndRestore(folder, save_freq=100)` a
        training that was interrupted goes on at the epoch and batch that were
        saved, with the same batches, and ends with the same weights. What is
        logged of the epoch is that of its rest; where its last batch was
        saved, it is not evaluated. Of several processes each has a folder of
        its own, and all save at the same batches.

        Raises:
            ValueError: Where it can be told before anything is trained that
                the data, or their distribution, cannot be trained on; or if a
                backup is of the middle of an epoch of other batches, or those
                of several processes are not of the same batch.
        """
        arguments = _by_name(super().fit, x, y, *args, **kwargs)
        self._check_training(**arguments)
        arguments["x"] = self._check_each(x)
        arguments["callbacks"] = with_callback(
            GiveWay(self._turns), arguments.get("callbacks")
        )
        is_on_jax = keras.backend.backend() == "jax"
        with (
            self._weights_in_use(training=True, alone=is_on_jax),
            feeding_training(self, arguments) as arguments,
        ):
            return super().fit(**arguments)

    def evaluate(
        self,
        x: Tensor = None,
        y: Tensor = None,
        batch_size: int | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        """Evaluate on patches or images; as `keras.Model.evaluate`.

        `batch_size=None` means 1 for images larger than a patch. Threads that
        evaluate one model take turns. While another thread is in `fit`, they
        wait for its end on jax; elsewhere both count in the same metrics.
        """
        if not is_called_by_fit(kwargs):  # Which has checked them.
            self._check_input(x)
            self._check_targets(x, y)
            batch_size = self._batch_size(x, batch_size)
            check_shared(x, batch_size)
            x = self._check_each(x)
        functions = self._functions.for_size_of(x, self, "test_function")
        with self._weights_in_use(training=True), functions, feeding(x) as (x,):
            return super().evaluate(x, y, batch_size, *args, **kwargs)

    def predict(
        self,
        x: Tensor,
        batch_size: int | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        """Predict images of one size; as `keras.Model.predict`.

        Threads may predict with one model; on jax they take turns, also with
        a training. A callback or a data set that predicts with the model in
        training does so in its own thread: on jax another one would wait for
        a turn which ends only when that thread is done.

        Args:
            x: Images of shape `(batch, height, width, channels)`, or anything
                else that `keras.Model.predict` takes.
            batch_size: Images at a time. `None` means 1 for images larger
                than a patch, else Keras's 32. Under `keras.distribution` it
                is rounded up to what the devices can share.
            *args, **kwargs: `verbose`, `steps`, `callbacks`.

        Returns:
            Numpy arrays of the shapes described in the class.

        Raises:
            ValueError: If the patch size is not set or `x` is not a batch of
                images that the patch model takes. The weights stay.
        """
        check_alone(self.name)
        self._check_input(x)
        check_one_size(x, self.name)
        if hasattr(x, "shape"):
            shape = self.predictor._channels_last_shape(x.shape)
            self._warn_of_tiling(tuple(shape[1:3]))
        batch_size = self._batch_size(x, batch_size)
        if hasattr(x, "shape"):
            count, x, batch_size = len(x), fill_up(x), round_up(batch_size)
        else:
            count, x = None, self._check_each(x, one_size=True)
            check_shared(x, batch_size)
        functions = self._functions.for_size_of(x, self, "predict_function")
        with self._weights_in_use(), functions, feeding(x) as (x,):
            predicted = super().predict(x, batch_size, *args, **kwargs)
        return keras.tree.map_structure(lambda each: each[:count], predicted)

    def _warn_of_tiling(self, image_size):
        """Say once that patches leave seams in such images, or are dear."""
        if self._knows_of_seams or image_size in self._sizes_judged:
            return
        self._sizes_judged.add(image_size)
        message = describe_seams(self.predictor, image_size) or describe_cost(
            self.predictor, image_size
        )
        if message is not None:
            self._knows_of_seams = True
            warnings.warn(message, stacklevel=3)

    def predict_on_batch(self, x: Tensor) -> Any:
        self._check_input(x)
        functions = self._functions.for_size_of(x, self, "predict_function")
        with self._weights_in_use(), functions:
            return super().predict_on_batch(x)

    def train_on_batch(
        self, x: Tensor, y: Tensor = None, *args: Any, **kwargs: Any
    ) -> Any:
        arguments = _by_name(super().train_on_batch, x, y, *args, **kwargs)
        self._check_class_weight(arguments.get("class_weight"), y)
        self._check_batch(x, y)
        self._check_bands(x, len(x))
        with self._weights_in_use(training=True):
            return super().train_on_batch(**arguments)

    def test_on_batch(
        self, x: Tensor, y: Tensor = None, *args: Any, **kwargs: Any
    ) -> Any:
        self._check_batch(x, y)
        with self._weights_in_use(training=True):
            return super().test_on_batch(x, y, *args, **kwargs)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with self._turn():
            return super().__call__(*args, **kwargs)

    @contextlib.contextmanager
    def _weights_in_use(self, training=False, alone=True):
        """Have the weights alone, and give them back whatever happens.

        Args:
            training: Whether metrics and optimizer are used too.
            alone: Whether other threads that use them wait until the end.
        """
        metrics = contextlib.nullcontext()
        if training:
            self._build_optimizer()
            metrics = self._training if alone else metrics
        with metrics, self._turn(), weights_kept(self):
            yield

    def _build_optimizer(self):
        """Make its variables now, not in a first step that may fail.

        Layers that a subclass adds may be built in that step only.
        """
        optimizer = getattr(self, "optimizer", None)
        if optimizer is None or optimizer.built:
            return
        if self.built and self._has_all_weights():
            optimizer.build(self.trainable_variables)

    def _has_all_weights(self):
        """Whether no layer will get weights when it is first called."""
        return not any(map(may_get_weights, inner_layers(self)))

    @contextlib.contextmanager
    def _turn(self):
        """Wait, on jax, for threads that have taken the weights out."""
        if keras.backend.backend() != "jax":
            yield
            return
        with self._turns as is_new:
            if is_new:
                # A training that let this thread go first has the weights.
                put_weights_back(self)
            yield

    def compute_loss(
        self,
        x: Tensor = None,
        y: Tensor = None,
        y_pred: Tensor = None,
        sample_weight: Tensor = None,
        training: bool = True,
    ) -> Tensor:
        return super().compute_loss(
            x, y, self.predictor.fold_grid(y_pred), sample_weight, training
        )

    def compute_metrics(
        self, x: Tensor, y: Tensor, y_pred: Tensor, sample_weight: Tensor = None
    ) -> dict[str, Any]:
        return super().compute_metrics(
            x, y, self.predictor.fold_grid(y_pred), sample_weight
        )

    def export(
        self,
        filepath: str | os.PathLike,
        format: str = "tf_saved_model",
        verbose: bool | None = None,
        input_signature: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Export for inference; as `keras.Model.export`.

        Without an `input_signature` it takes images of any size, where Keras
        would take those of the first prediction only. SavedModel, and ONNX
        from tensorflow, keep the loops that bound memory. In other formats all
        patches are run in one batch, and with `overlap="auto"` the image as a
        whole: it has to fit into memory with all activations.

        From jax it is SavedModel alone, where tensorflow is installed, and
        from torch `format="torch"` for batches of one size. ONNX, OpenVINO and
        LiteRT take `pip install "keras-patching[export]"`. A LiteRT file is
        run before it is there, since its converter writes some that do not.

        Raises:
            ValueError: If the format does not work, on this backend, with
                images of any size; or for `"litert"` if the file does not
                predict the same.

        Example:

        >>> model = keras_patching.PatchedModel(patch_model, patch_size=64)
        >>> if keras.backend.backend() == "tensorflow":
        ...     model.export("field", verbose=False)
        """
        check_export_format(self.name, format, input_signature)
        self._require_patch_size()
        if input_signature is None and self.predictor.channels is not None:
            shape = shape_from_channels_last(
                (None, None, None, self.predictor.channels),
                self.predictor.data_format,
            )
            input_signature = [keras.InputSpec(dtype="float32", shape=shape)]
        if not self.built and input_signature is not None:
            (spec,) = keras.tree.flatten(input_signature)
            self(keras.KerasTensor(spec.shape))

        def write(path):
            return super(PatchedModel, self).export(
                path, format, verbose, input_signature, **kwargs
            )

        path = os.fspath(filepath)  # Keras takes no other for some formats.
        if keeps_loops(format):
            return write(path)
        with self.predictor.without_loops():
            if format != "litert":
                return write(path)
            (spec,) = keras.tree.flatten(input_signature)
            return write_checked(write, self, path, spec, bool(kwargs))

    def quantize(
        self,
        mode: str | None = None,
        config: Any = None,
        filters: Any = None,
        **kwargs: Any,
    ) -> None:
        """Quantize the patch model; as `keras.Model.quantize`.

        Keras quantizes dense layers, and with a warning none of the others.

        Args:
            mode, config, filters, **kwargs: As there.

        Raises:
            ValueError: If Keras can quantize no layer of the patch model, such
                as of a net of convolutions.
        """
        check_quantizable(self.patch_model)
        super().quantize(mode, config, filters, **kwargs)
        self._drop_compiled_functions()

    def save_own_variables(self, store: Any) -> None:
        super().save_own_variables(store)
        if self.training_place is not None:
            self.training_place.save(store)

    def load_own_variables(self, store: Any) -> None:
        variables, place = split_place(store)
        super().load_own_variables(variables)
        if self.training_place is not None:
            self.training_place.found = place

    def get_config(self) -> dict[str, Any]:
        predictor = self.predictor.get_config()
        return {
            **super().get_config(),
            "patch_model": predictor["layer"],
            **{name: predictor[name] for name in PREDICTOR_ARGUMENTS},
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Any = None
    ) -> Self:
        patch_model = keras.saving.deserialize_keras_object(
            config["patch_model"], custom_objects=custom_objects
        )
        return cls(**{**config, "patch_model": patch_model})

    def _batch_size(self, x, batch_size):
        """Resolve the number of images that are predicted at a time."""
        if batch_size is not None or not hasattr(x, "shape"):
            return batch_size
        image_size = self.predictor._channels_last_shape(x.shape)[1:3]
        # One image a device.
        return 32 if tuple(image_size) == self.patch_size else count_devices()


# Of what a task's model hands on to it.
PATCHED_MODEL_DEFAULTS = {
    **{
        name: each.default
        for name, each in inspect.signature(PatchedModel).parameters.items()
    },
    "pad_value": Shown("<value_range[0]>"),
    "name": None,
    "dtype": None,
    "trainable": True,
}


def _by_name(function, *args, **kwargs):
    """Name the arguments of a call."""
    return inspect.signature(function).bind(*args, **kwargs).arguments
