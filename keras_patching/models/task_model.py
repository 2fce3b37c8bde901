"""What the models of all tasks share."""

import os
from collections.abc import Sequence
from typing import Any, Literal

import keras
import numpy as np

from keras_patching._types import ArrayLike, NDArray
from keras_patching.data.feeding.cached_sequence import CachedSequence
from keras_patching.data.images.channels import (
    GRAYSCALE,
    number_of,
)
from keras_patching.data.images.preparation import (
    Preparation,
    prepare_array,
)
from keras_patching.data.images.resizing import (
    as_resize,
    resize_image,
)
from keras_patching.data.images.value_range import check_array
from keras_patching.data.labels.whole_images import (
    describe_target,
    pair_whole_images,
)
from keras_patching.geometry import as_pair
from keras_patching.models.patched_model import PatchedModel
from keras_patching.models.preprocessing import with_preprocessing
from keras_patching.models.seen_images import (
    check_images,
    check_prepared,
    read_scaled,
)
from keras_patching.receptive_fields.reach import find_reach


class TaskModel(PatchedModel):
    """A `PatchedModel` of images in a declared range of values.

    Args:
        patch_model: Model that is run on each patch.
        channels: Channels of the images; "grayscale" reads files, also of
            colour, as one channel. `None` keeps those of the files.
        value_range: Lowest (black, the padding) and highest value of images.
        normalize: What brings the values of images there; `"percentile"`,
            `"zscore"`, or `None`, which takes them as they are.
        resize: How files are resized as they are read, as in loaders.
        **kwargs: Arguments of `PatchedModel`.

    Raises:
        ValueError: If images are channels-first.
    """

    task: str | None = None  # Its name in the caches that its loaders make.
    # What targets of whole images are, for messages, and whether they may be
    # files.
    _truth = "targets"
    _truth_may_be_files = False
    # Whether training knows no label of what `pad_mode` shows once more.
    _may_copy_pixels = False

    def __init__(
        self,
        patch_model: keras.layers.Layer,
        patch_size: int | Sequence[int] | None = None,
        *,
        channels: int | Literal["grayscale"] | None = 3,
        value_range: Sequence[float] = (0, 255),
        normalize: Literal["percentile", "zscore"] | None = None,
        resize: float | Sequence[int] | None = None,
        **kwargs: Any,
    ) -> None:
        channels, value_range = check_images(
            patch_model, channels, value_range, normalize
        )
        patch_model = with_preprocessing(patch_model, value_range)
        kwargs.setdefault("pad_value", value_range[0])
        super().__init__(patch_model, **kwargs)
        if self.predictor.pad_mode != "constant" and not self._may_copy_pixels:
            raise ValueError(
                "Patches of training are padded with black, so that no object "
                f"is there twice: {type(self).__name__} takes "
                'pad_mode="constant" only. Received: pad_mode='
                f"{self.predictor.pad_mode!r}"
            )
        if self.predictor.data_format != "channels_last":
            raise ValueError(
                f"{type(self).__name__} takes channels-last images: call "
                '`keras.config.set_image_data_format("channels_last")`, or use '
                "`PatchedPredictor` with `data_format`. Received: "
                f"data_format={self.predictor.data_format!r}"
            )
        if channels == GRAYSCALE and self.predictor.channels not in (None, 1):
            raise ValueError(
                'channels="grayscale" makes images of one channel, and the '
                f"patch model '{patch_model.name}' takes "
                f"{self.predictor.channels}. Make it with "
                "`keras.Input((None, None, 1))`."
            )
        self.channels = channels
        self.value_range = value_range
        self.normalize = normalize
        self.resize = as_resize(resize)
        if patch_size is not None:
            self.set_patch_size(*as_pair(patch_size, "patch_size"))

    def _declared_channels(self):
        return number_of(self.channels)

    def _channels_to_read(self):
        is_grey = self.channels == GRAYSCALE
        return GRAYSCALE if is_grey else super()._channels_to_read()

    def _check_data_set(self, data_set):
        super()._check_data_set(data_set)
        if not isinstance(data_set, CachedSequence):
            return  # Of the user's own making.
        if data_set.task != self.task:
            raise ValueError(
                f"'{self.name}' is a model of {self.task}, the data set was "
                f"made for {data_set.task}. Load it with a loader of the "
                f"model. Received: {data_set.manifest_path}"
            )
        unset = {"pad_mode": "constant", "normalize": None, "resize": None}
        found = {**unset, **data_set.parameters}
        for name, expected in self._patch_parameters().items():
            if name in found and _plain(found[name]) != _plain(expected):
                raise ValueError(
                    f"The data set has {name}={_plain(found[name])!r}, "
                    f"'{self.name}' has {name}={_plain(expected)!r}. Load the "
                    "data set with the loader of the model, or make the model "
                    f"for this data set. Received: {data_set.manifest_path}"
                )

    def _patch_parameters(self):
        """Return what the patches of a data set must agree with, by name."""
        parameters = {
            "value_range": self.value_range,
            "normalize": self.normalize,
            "pad_mode": self.predictor.pad_mode,
            "resize": self.resize,
        }
        if self.channels is not None:
            parameters["channels"] = self.channels
        return parameters

    def _check_class_weight(self, class_weight, y):
        if class_weight is not None:
            raise ValueError(self._explain_class_weight(class_weight))

    def compile(
        self,
        optimizer: str | keras.optimizers.Optimizer = "rmsprop",
        loss: Any = "auto",
        loss_weights: Any = None,
        metrics: Any = "auto",
        weighted_metrics: Any = None,
        **kwargs: Any,
    ) -> None:
        """Configure training; as `keras.Model.compile`.

        Args:
            optimizer, loss_weights, weighted_metrics: As there.
            loss: `"auto"` is that of the task, which the class tells; all
                else is as there.
            metrics: `"auto"` are those of the task, where the loss compares
                what they do; they follow sample weights, unless there are
                `weighted_metrics`. All else is as there.
            **kwargs: The other arguments of `keras.Model.compile`.
        """
        if isinstance(loss, str) and loss == "auto":
            loss = self._default_loss()
        if isinstance(metrics, str) and metrics == "auto":
            metrics = self._default_metrics(loss)
            if metrics and weighted_metrics is None:
                metrics, weighted_metrics = [], metrics
        elif metrics is None:
            metrics = []  # For `None` Keras keeps those of an earlier call.
        metrics = keras.tree.map_structure(self._as_metric, metrics)
        super().compile(
            optimizer,
            loss,
            loss_weights,
            metrics,
            keras.tree.map_structure(self._as_metric, weighted_metrics),
            **kwargs,
        )

    def _default_loss(self):
        """Return the loss of the task; `None` where it has none."""
        return None

    def _default_metrics(self, loss):
        """Return a list of the metrics that a fit with that loss shows."""
        return []

    def _as_metric(self, metric):
        """Return the metric that is meant, or refuse one that means little."""
        return metric

    def _check_patch_size(self, patch_size):
        super()._check_patch_size(patch_size)
        if self.predictor.stitch:
            self._check_output_size(patch_size)

    def _check_output_size(self, patch_size):
        """Refuse a patch model whose outputs no label of a patch fits."""
        channels = self.predictor.channels or number_of(self.channels)
        patch_shape = 1, *patch_size, channels
        try:
            shape = self.patch_model.compute_output_shape(patch_shape)
            made = tuple(shape)[1:3]
        except (TypeError, ValueError, RuntimeError):
            return  # It cannot tell, or does not take such patches.
        if made != tuple(patch_size):
            raise ValueError(
                f"The patch model '{self.patch_model.name}' makes outputs of "
                f"{made} pixels from patches of {tuple(patch_size)}, and the "
                "labels are as large as the patches. Let it end in an "
                "upsampling (`keras.layers.UpSampling2D`), or use "
                "`PatchedModel` with labels of that size. Received: output "
                f"shape {tuple(shape)}"
            )

    def read_image(self, image: str | os.PathLike | ArrayLike) -> NDArray:
        """Return an image as an array that `predict` takes.

        Args:
            image: Path of a file, or what `open_image` gives, which is read,
                normalized and resized as the model says; or an array, which is
                taken as it is.

        Returns:
            Array `(height, width, channels)`: float32 if the model
            normalizes, else of the dtype of the file.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it cannot be read, or values lie outside of the
                `value_range` of a model that does not normalize.
        """
        return self._read_scaled(image)[0]

    def prepare_image(self, image: ArrayLike) -> NDArray:
        """Make of an array what `read_image` makes of a file of its pixels.

        Channels are converted, values normalized, and it is resized, as the
        model says.

        Args:
            image: Whole image, `(height, width, channels)` or `(height,
                width)`, as another library has read it: of a part of it other
                values would come.

        Returns:
            Array `(height, width, channels)`, which `predict` takes as
            `image[None]`.

        Raises:
            ValueError: If it is no image, has channels that cannot be
                converted, or values outside of the `value_range` of a model
                that does not normalize.

        Example:

        >>> model = keras_patching.SemanticSegmentationModel(
        ...     normalize="percentile", patch_size=64
        ... )
        >>> image = np.arange(64 * 80, dtype="uint16").reshape(64, 80)
        >>> prepared = model.prepare_image(image)
        >>> prepared.shape, prepared.dtype
        ((64, 80, 3), dtype('float32'))
        >>> probabilities = model.predict(prepared[None])
        """
        name = f"'{self.name}'"
        prepared = prepare_array(image, name, self._preparation)
        return resize_image(prepared, self.resize)

    @property
    def _preparation(self):
        return Preparation(self.channels, self.value_range, self.normalize)

    def _read_scaled(self, image):
        return read_scaled(image, self._preparation, self.resize)

    def pair_full_images(
        self, images: Any, targets: Any
    ) -> list[tuple[Any, Any]]:
        """Pair whole images with what is true of each, and check it.

        Args:
            images: Folder, list of paths, or arrays, as of
                `evaluate_full_images`.
            targets: As of `evaluate_full_images`.

        Returns:
            List of pairs of an image, array or path, and its checked target.

        Raises:
            ValueError: If they do not pair, or a target cannot be one of its
                image.
        """
        pairs = pair_whole_images(
            images, targets, self._truth, self._truth_may_be_files
        )
        return [
            (image, self._check_full_target(target, *describe_target(image, i)))
            for i, (image, target) in enumerate(pairs)
        ]

    def _check_full_target(self, target, name, image_size):
        """Return what is true of an image, or refuse what cannot be.

        Args:
            target: One of the targets of `evaluate_full_images`.
            name: What it is called in messages.
            image_size: Its `(height, width)` in pixels.
        """
        return target

    def _check_input(self, x):
        super()._check_input(x)
        if hasattr(x, "shape") and self.normalize is not None:
            check_prepared(x, self._preparation, f"'{self.name}'")
        elif hasattr(x, "shape"):
            black, white = self.value_range
            if str(x.dtype).endswith("uint8") and black <= 0 and white >= 255:
                return  # Nothing can be wrong: save the copy to look at it.
            if not isinstance(x, np.ndarray):
                x = keras.ops.convert_to_numpy(x)
            check_array(x, self.value_range, f"'{self.name}'")

    def _loader_arguments(self):
        """Return the arguments that loaders take from their model.

        Raises:
            ValueError: If the patch size has not been set.
        """
        return {
            "patch_size": self._require_patch_size(),
            "channels": self.channels,
            "value_range": self.value_range,
            "normalize": self.normalize,
            "resize": self.resize,
        }

    def _loader_options(self, options):
        """Return the arguments of a loader: of the model, and its options."""
        if options["split_by"] == "blocks" and options["guard"] is None:
            guard = find_reach(
                self.predictor.inference_layer(),
                self.predictor.data_format,
                self.predictor.predict_patch_size or self._require_patch_size(),
                self.predictor.stitch,
            )
            options = {**options, "guard": guard}
        return {**self._loader_arguments(), **options}

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "channels": self.channels,
            "value_range": self.value_range,
            "normalize": self.normalize,
            "resize": self.resize,
        }


def _plain(value):
    """Make what JSON holds and what arguments hold comparable."""
    return list(value) if isinstance(value, tuple) else value
