"""Semantic segmentation of large images with a patch model."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, Unpack

import keras
import numpy as np

from keras_patching._checks import check_integer
from keras_patching._signatures import IMAGES_DEFAULTS, spelled_out
from keras_patching._types import (
    ArrayLike,
    Color,
    ImagesOptions,
    NDArray,
    PatchedModelOptions,
)
from keras_patching.data.feeding.cached_sequence import CachedSequence
from keras_patching.data.images.channels import number_of
from keras_patching.data.images.contents import read_content
from keras_patching.data.images.image_io import read_header
from keras_patching.data.images.known import read_known
from keras_patching.data.labels.mask_classes import given_classes
from keras_patching.data.labels.masks import as_class_ids, decode_classes
from keras_patching.data.loader_options import ModelLoaderOptions, loader
from keras_patching.data.sequence_options import Loaded
from keras_patching.losses.segmentation_loss import (
    ACTIVATIONS,
    SegmentationLoss,
)
from keras_patching.metrics import MeanIoU, PixelAccuracy
from keras_patching.metrics.confusion import confusion_matrix, iou_per_class
from keras_patching.models.patched_model import PATCHED_MODEL_DEFAULTS
from keras_patching.models.prediction_checks import (
    PROBABILITY_ROUNDING,
    check_predictions,
)
from keras_patching.models.seen_images import check_images
from keras_patching.models.segmentation import loaders
from keras_patching.models.segmentation.class_agreement import (
    check_same_classes,
    learned_classes,
)
from keras_patching.models.segmentation.class_ids import ClassIds
from keras_patching.models.segmentation.class_transforms import class_transforms
from keras_patching.models.segmentation.compile_checks import (
    check_metric,
    takes_class_ids,
)
from keras_patching.models.segmentation.drawn_targets import (
    DrawnTarget,
    with_drawn_targets,
)
from keras_patching.models.segmentation.heads import (
    check_head,
    last_activation,
)
from keras_patching.models.segmentation.training_masks import (
    check_training_masks,
)
from keras_patching.models.task_model import TaskModel
from keras_patching.models.unet import unet


@keras.saving.register_keras_serializable(package="keras_patching")
class SemanticSegmentationModel(TaskModel):
    """Assigns a class to every pixel of images of any size.

    `compile` takes `SegmentationLoss` and shows `metrics.MeanIoU`, where it is
    not told otherwise. The metric `"accuracy"` is `metrics.PixelAccuracy`;
    metrics of Keras that would count pixels of `ignore_value` are refused.

    A segmenter of KerasHub sees images scaled as its preprocessor does, and
    resized by `resize` alone.

    Args:
        num_classes: Number of classes, background included.
        patch_model: Keras model from `(batch, height, width, channels)` to
            `(batch, height, width, num_classes)`, or to one channel where
            there are two classes. `None` makes a compact U-Net.
        activation: What the patch model ends in: `"softmax"`, `"sigmoid"` (one
            channel, two classes) or `"linear"` (logits). `None` reads it off
            the patch model.
        ignore_value: Value of mask pixels that carry no label: they have no
            weight in the loss. `None` if all pixels are labelled.
        class_names: Names of the classes, that of class 0 first, for pictures
            and tables. `None` takes those of the data set that it is trained
            on, if it has any; else they are numbered.
        class_colors: Colours of the classes in pictures and in RGB masks:
            `{"soil": (0, 0, 0), "crop": (0, 255, 0)}`, a sequence of RGB, or
            the path of a table of them. `None` as for `class_names`.
        class_ids: Values of the classes in files of masks, where they have
            gaps: `[0, 7, 11]`, or a dict from value to class. Masks of
            `predict_files` hold them again; all else holds classes. `None` as
            for `class_names`.
        channels: Channels of the images; "grayscale" reads files, also of
            colour, as one channel. `None` keeps those of the files, which
            needs a `patch_model`.
        value_range: Lowest (black, the padding) and highest value of images,
            as `predict` takes them.
        normalize: What scales the values of whole images, whatever range files
            have, per channel: `"percentile"`, from the 1st (black of
            `value_range`) to the 99.8th (white); `"zscore"`, to mean 0 and
            deviation 1, with a `value_range` of (-3, 3). Loaders, read_image,
            predict_images and all that reads files do it alike; `predict`,
            and what is exported, takes what `read_image` gives, or
            `prepare_image` of an array. The loader of masks tells more. `None`
            takes values as they are.
        resize: Factor that files are resized by as they are read (0.5 halves
            height and width), or the `(height, width)` of every image; `None`
            leaves them. `patch_size` and `overlap` are in resized pixels,
            results of files in pixels of the files.
        **kwargs: Arguments of `PatchedModel`, such as `overlap`.

    Input shape:
        `(batch, height, width, channels)`, values in `value_range`.

    Output shape:
        `(batch, height, width, num_classes)`, what the patch model ends in:
        probabilities, or logits; one channel under one-channel heads.

    Raises:
        ValueError: If the head of the patch model does not fit `num_classes`,
            or cannot be told without `activation=`.

    Example:

    >>> model = keras_patching.SemanticSegmentationModel(2, patch_model)
    >>> model.set_patch_size(height=128, width=128)
    >>> train, val = model.load_dataset_from_directory_with_segmentation_masks(
    ...     "field/images", "field/masks", validation_split=0.3, subset="both"
    ... )
    >>> model.compile("adam")
    >>> history = model.fit(train, validation_data=val, epochs=1)
    >>> image = keras_patching.data.read_image("field/new/new_0.jpg")
    >>> probabilities = model.predict(image[None])
    >>> masks = model.decode_predictions(probabilities)
    >>> masks.shape, masks.dtype
    ((1, 130, 140), dtype('uint8'))
    """

    task = loaders.TASK
    _truth = "masks"
    _truth_may_be_files = True
    _may_copy_pixels = True

    @spelled_out(PATCHED_MODEL_DEFAULTS)
    def __init__(
        self,
        num_classes: int = 2,
        patch_model: keras.layers.Layer | None = None,
        *,
        activation: str | None = None,
        ignore_value: int | None = None,
        class_names: Sequence[str] | None = None,
        class_colors: Mapping[str, Color]
        | Sequence[Color]
        | str
        | os.PathLike
        | None = None,
        class_ids: Sequence[int] | Mapping[int, int] | None = None,
        channels: int | Literal["grayscale"] | None = 3,
        value_range: Sequence[float] = (0, 255),
        normalize: Literal["percentile", "zscore"] | None = None,
        resize: float | Sequence[int] | None = None,
        **kwargs: Unpack[PatchedModelOptions],
    ) -> None:
        num_classes = check_integer(num_classes, "num_classes", 2)
        classes = given_classes(
            num_classes, ignore_value, class_names, class_colors, class_ids
        )
        channels, value_range = check_images(
            patch_model, channels, value_range, normalize
        )
        if patch_model is None:
            patch_model = unet(
                num_classes,
                channels=number_of(channels),
                value_range=value_range,
            )
        super().__init__(
            patch_model,
            channels=channels,
            value_range=value_range,
            normalize=normalize,
            resize=resize,
            **kwargs,
        )
        self.num_classes = num_classes
        self.activation = activation or last_activation(patch_model)
        if self.activation not in ACTIVATIONS:
            raise ValueError(
                f"`activation` must be one of {ACTIVATIONS}: what "
                f"'{patch_model.name}' ends in. "
                f"Received: activation={self.activation!r}"
            )
        self.predictor._average_logits(self.activation == "linear")
        self.ignore_value = classes.ignore_value
        self._take_classes(classes)
        check_head(patch_model, num_classes, self.activation)

    @loader
    def load_dataset_from_directory_with_segmentation_masks(
        self,
        dirname: str | os.PathLike,
        seg_dirname: str | os.PathLike,
        *,
        unlabelled: str = "error",
        augment: bool | Callable = False,
        foreground_classes: Sequence[int] | None = None,
        random_crops: bool = False,
        **options: Unpack[ModelLoaderOptions],
    ) -> Loaded:
        """Load patches of images and masks, cutting them where not cached.

        Takes `patch_size`, `num_classes`, `ignore_value`, `class_names`,
        `class_colors`, `class_ids`, `channels`, `value_range`, `normalize` and
        `resize` from the model, and the other arguments of the function
        `keras_patching.load_dataset_from_directory_with_segmentation_masks`.
        What the masks tell of their classes becomes that of the model in
        `fit`.
        """
        return loaders.load_dataset_from_directory_with_segmentation_masks(
            dirname,
            seg_dirname,
            num_classes=self.num_classes,
            ignore_value=self.ignore_value,
            class_names=self.class_names,
            class_colors=self.class_colors,
            class_ids=self.class_ids,
            unlabelled=unlabelled,
            augment=augment,
            foreground_classes=foreground_classes,
            random_crops=random_crops,
            pad_mode=self.predictor.pad_mode,
            **self._loader_options(options),
        )

    def _default_loss(self):
        return SegmentationLoss(
            self.num_classes, self.activation, self.ignore_value
        )

    def _default_metrics(self, loss):
        if not takes_class_ids(loss):
            return []
        return [MeanIoU(self.num_classes, self.activation, self.ignore_value)]

    def _as_metric(self, metric):
        if isinstance(metric, str) and metric.lower() in ("accuracy", "acc"):
            return PixelAccuracy(
                self.activation, self.ignore_value, name=metric
            )
        if self.ignore_value is not None and metric is not None:
            check_metric(
                metric, self.num_classes, self.activation, self.ignore_value
            )
        return metric

    def _patch_parameters(self):
        parameters = super()._patch_parameters()
        return {**parameters, "num_classes": self.num_classes}

    def _check_data_set(self, data_set):
        super()._check_data_set(data_set)
        parameters = getattr(data_set, "parameters", {})
        ignored = parameters.get("ignore_value")
        # Where none is ignored, all pixels are labelled.
        if ignored not in (None, self.ignore_value):
            raise ValueError(
                f"The data set has unlabelled pixels of value {ignored}, which "
                f"'{self.name}' would train on. Make the model with "
                f"`ignore_value={ignored}`, or load the data set with the "
                "loader of the model. Received: ignore_value="
                f"{self.ignore_value}, {data_set.manifest_path}"
            )

        check_same_classes(self._mask_classes, data_set, self.name)

    def _check_training(self, x=None, validation_data=None, **arguments):
        super()._check_training(
            x=x, validation_data=validation_data, **arguments
        )
        if isinstance(x, CachedSequence):
            classes = learned_classes(self._mask_classes, x)
            check_same_classes(classes, validation_data, self.name)
            self._take_classes(classes)

    def _take_classes(self, classes):
        self.class_names = classes.names
        self.class_colors = classes.colors
        self.class_ids = classes.ids

    def _explain_class_weight(self, class_weight):
        weights = [
            float(class_weight.get(label, 1))
            if hasattr(class_weight, "get")
            else 1.0
            for label in range(self.num_classes)
        ]
        return (
            "`class_weight` weighs samples that have one class each, not "
            'pixels. Weigh classes in the loss: `model.compile("adam", '
            f"keras_patching.SegmentationLoss({self.num_classes}, "
            f"{self.activation!r}, {self.ignore_value}, class_weights="
            f"{weights}))`. Received: class_weight={class_weight}"
        )

    def _check_targets(self, x, y):
        """Refuse masks in memory that are not class ids; they train nothing.

        Raises:
            ValueError: Tells what was found and expected.
        """
        if takes_class_ids(getattr(self, "loss", None)):
            check_training_masks(
                y, x, self.num_classes, self.ignore_value, self.name
            )

    def decode_predictions(self, predictions: ArrayLike) -> NDArray:
        """Turn predictions into masks.

        Args:
            predictions: Array of shape `(batch, height, width, classes)` as
                `predict` returns it.

        Returns:
            Numpy array of shape `(batch, height, width)`, the class of each
            pixel in the smallest unsigned integer type.

        Raises:
            ValueError: If it is no such array, holds NaN, or values outside of
                0 to 1 where the model ends in probabilities.
        """
        predictions = self._check_predictions(predictions)
        if predictions.shape[-1] == 1:
            threshold = 0.5 if self.activation == "sigmoid" else 0.0
            classes = predictions[..., 0] > threshold
        else:
            classes = np.argmax(predictions, axis=-1)
        return classes.astype(np.min_scalar_type(self.num_classes - 1))

    @spelled_out(IMAGES_DEFAULTS)
    def predict_images(
        self,
        sources: Iterable[Any],
        *,
        transform: Callable | str | None = None,
        **options: Unpack[ImagesOptions],
    ) -> Iterator[Any] | list[Any]:
        """Predict images of any sizes; as `PatchedModel.predict_images`.

        Args:
            sources, **options: As there.
            transform: `"classes"` gives masks `(height, width)` of the class
                of each pixel, as `decode_predictions` does, of uint8, or of
                int32 where there are more than 255 classes. They are decided
                where the predictions are, which then need not be copied: that
                is the fastest, and takes the least memory.
                `"instances"` gives the objects: connected regions of one
                class, of pixels that share sides, as `scipy.ndimage.label`
                finds them in the whole image; none of class 0 and of
                `ignore_value`. Memory grows with the objects, not with the
                image. `"doubt"` gives `(height, width)` of float32, the
                standard deviation of the probability of a class over the
                passes of `test_time_augmentation` and the members of an
                ensemble, of the class where it is largest: 0 where all agree,
                0.5 at the most. All else is as there.

        Returns:
            As there. Of `"instances"` a dict per image, whose arrays have an
            entry per object, in the order of their first pixels, row by row:
            `labels`, int32 `(n,)`, the class; `areas`, int64 `(n,)`, pixels;
            `perimeters`, int64 `(n,)`, the sides of pixels between an object
            and what is not of it, holes and the border of the image included
            (they are 4 / pi times as long as a smooth round outline);
            `centers`, float64 `(n, 2)`, the mean `(y, x)` of its pixels; and
            `boxes`, int64 `(n, 4)`, xyxy. Pixel `i` reaches from `i` to
            `i + 1`. `physical` has the same but `labels` in metres or
            micrometres and their squares, from the upper left corner, and
            their `unit`, "m" or "µm"; it is `None` where the size of a pixel
            is not known. With `out`, uint32 `(height, width)` is written, 0
            for no object and `i + 1` for entry `i`, and `map` is that path or
            array.

        Example:

        >>> model = keras_patching.SemanticSegmentationModel(patch_size=64)
        >>> images = [np.zeros((90, 70, 3)), np.zeros((50, 120, 3))]
        >>> found = model.predict_images(
        ...     images, transform="classes", verbose=False
        ... )
        >>> [mask.shape for mask in found]
        [(90, 70), (50, 120)]
        """
        chosen = self._image_transform(transform)
        return self._predict_images(sources, chosen, **options)

    @property
    def _image_transforms(self):
        return {**class_transforms(self), "doubt": self._doubt_transform}

    @property
    def _check_classes(self):
        return ClassIds(self.num_classes, self.activation).check

    @property
    def _background(self):
        """Classes that are of no object."""
        return {0, self.ignore_value} - {None}

    def _check_predictions(self, predictions):
        """Return predictions as an array, if they are of a model like this."""
        shape = getattr(self.patch_model, "output_shape", None)
        channels = shape[-1] if isinstance(shape, tuple) else None
        if channels is None:
            channels = "classes"
        predictions = check_predictions(
            predictions,
            ("batch", "height", "width", channels),
            "`predict` of this model",
        )
        if self.activation == "linear" or not predictions.size:
            return predictions
        lowest, highest = float(predictions.min()), float(predictions.max())
        beyond = max(-lowest, highest - 1)
        if beyond > PROBABILITY_ROUNDING:
            raise ValueError(
                f"'{self.name}' ends in {self.activation}, so its predictions "
                "are probabilities from 0 to 1; these look like logits. Make "
                'the model with `activation="linear"` if it gives these. '
                f"Received: values from {lowest:g} to {highest:g}"
            )
        return predictions

    def evaluate_full_images(
        self,
        images: str | os.PathLike | Sequence[Any] | NDArray,
        targets: Any,
    ) -> dict[str, float]:
        """Predict whole images one by one and compare them with their masks.

        Args:
            images: Images of shape `(height, width, channels)`, of any sizes:
                a folder, a list of paths, a list of arrays, or an array.
            targets: Their masks of shape `(height, width)`, class ids or for
                two classes 0 and 255, or paths, in the order of the images; or
                a folder of masks or whatever else the loader takes for that;
                or a dict from the names of the images.

        Returns:
            Dict of floats: `mean_iou` over the classes that occur, and
            `iou_<class>` of each; pixels of `ignore_value`, and those without
            data, do not count.

        Raises:
            ValueError: If images and masks do not pair, or a mask is of
                another size than its image, or holds other values.
        """
        confusion = np.zeros((self.num_classes, self.num_classes), "int64")
        for image, target in self.pair_full_images(images, targets):
            known = read_known(image)
            image, scale = self._read_scaled(image)
            target = self.read_target(target)
            mask = self.decode_predictions(self.predict(image[None], verbose=0))
            mask = scale.to_file.pixels(mask[0], "nearest")
            if known is not None:
                target, mask = target[known], mask[known]
            confusion += confusion_matrix(
                target, mask, self.num_classes, self.ignore_value
            )
        iou = iou_per_class(confusion)
        return {"mean_iou": float(np.mean(list(iou.values()))), **iou}

    def pair_full_images(
        self, images: Any, targets: Any
    ) -> list[tuple[Any, Any]]:
        targets = with_drawn_targets(images, targets, self._mask_classes)
        return super().pair_full_images(images, targets)

    def _check_full_target(self, target, name, image_size):
        if isinstance(target, DrawnTarget):
            return target  # It is drawn in the size of its image.
        if isinstance(target, (str, os.PathLike)):
            size = tuple(read_header(target).size)
        else:
            target = self.read_target(target)
            size = target.shape
        if size != tuple(image_size):
            raise ValueError(
                f"`{name}`: a mask must be as high and wide as its image. "
                f"Received: image of {tuple(image_size)}, mask of {size}"
            )
        return target

    def read_target(self, target: str | os.PathLike | ArrayLike) -> NDArray:
        """Return a mask as classes, read where it is the path of a file."""
        if isinstance(target, (str, os.PathLike)):
            data = read_content(target)
            return decode_classes(data, target, self._mask_classes)
        mask = np.asarray(target)
        if mask.ndim == 3 and mask.shape[-1] == 1:
            mask = mask[..., 0]
        return as_class_ids(
            mask,
            "a mask given as an array",
            self.num_classes,
            self.ignore_value,
        )

    @property
    def _mask_classes(self):
        return given_classes(
            self.num_classes,
            self.ignore_value,
            self.class_names,
            self.class_colors,
            self.class_ids,
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "activation": self.activation,
            "ignore_value": self.ignore_value,
            "class_names": self.class_names,
            "class_colors": self.class_colors,
            # JSON has no integers as keys.
            "class_ids": self.class_ids and list(self.class_ids.items()),
        }
