"""Counting of objects in large images with a patch model."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal, Unpack

import keras
import numpy as np
from keras import ops

from keras_patching._checks import (
    check_distance,
    check_positive,
    check_share,
)
from keras_patching._signatures import IMAGES_DEFAULTS, spelled_out
from keras_patching._types import (
    ArrayLike,
    ImagesOptions,
    NDArray,
    PatchedModelOptions,
    Tensor,
)
from keras_patching.data.images.channels import number_of
from keras_patching.data.images.known import open_known
from keras_patching.data.labels.density_maps import peak_density
from keras_patching.data.labels.point_labels import as_true_points
from keras_patching.data.loader_options import ModelLoaderOptions, loader
from keras_patching.data.sequence_options import Loaded
from keras_patching.losses.density_map_loss import DensityMapLoss
from keras_patching.metrics import (
    CountError,
    count_errors,
    localization_scores,
)
from keras_patching.models.counting import loaders
from keras_patching.models.counting.counted_bands import CountedBands
from keras_patching.models.counting.peaks import find_peaks
from keras_patching.models.image_transforms import ImageTransform
from keras_patching.models.patched_model import PATCHED_MODEL_DEFAULTS
from keras_patching.models.prediction_checks import check_predictions
from keras_patching.models.seen_images import check_images
from keras_patching.models.task_model import TaskModel
from keras_patching.models.unet import unet
from keras_patching.prediction.known_pixels import KnownRows

# What the patch model gives at the peak of one object, about: large enough for
# a training to see, small enough to be reached from the first weights.
_PEAK = 10.0


@keras.saving.register_keras_serializable(package="keras_patching")
class HeatmapObjectCountingModel(TaskModel):
    """Counts and locates objects in images of any size.

    It is trained on density maps (Lempitsky and Zisserman 2010, "Learning to
    count objects in images"): a Gaussian of mass 1 per object, so the sum of a
    heatmap is the number of objects in it. Images and heatmaps are cut and
    stitched without overlap, so nothing is counted twice or lost at a seam.

    Sequences and predictions are in objects per pixel, which are small
    numbers. The patch model gives them times `density_scale`, as does the
    loss compare them: `compile` takes `DensityMapLoss` and shows
    `metrics.CountError`, where it is not told otherwise.

    Args:
        patch_model: Keras model from `(batch, height, width, channels)` to
            `(batch, height, width, 1)`, objects per pixel times
            `density_scale`. `None` makes a compact U-Net.
        density_map_sigma: Standard deviation in pixels of the Gaussian that
            stands for an object; about half of its radius is a good start.
        density_scale: What the patch model's output is divided by. `None`
            takes what makes the peak of an object 10, by the sigma that is set
            when the model is compiled first. It is saved with the model. Use 1
            for a patch model that gives objects per pixel.
        channels: Channels of the images; "grayscale" reads files, also of
            colour, as one channel. `None` keeps those of the files, which
            needs a `patch_model`.
        value_range: Lowest (black, the padding) and highest value of images,
            as `predict` takes them.
        normalize: What scales the values of whole images, per channel:
            `"percentile"`, `"zscore"`, or `None`, as for
            `SemanticSegmentationModel`.
        resize: Factor that files are resized by as they are read (0.5 halves
            height and width), or the `(height, width)` of every image; `None`
            leaves them. Patches, `density_map_sigma` and `min_distance` are
            in resized pixels, results of files in pixels of the files.
        **kwargs: Arguments of `PatchedModel`, such as `overlap`.

    Input shape:
        `(batch, height, width, channels)`, values in `value_range`.

    Output shape:
        float32 `(batch, height, width, 1)`, objects per pixel.

    Raises:
        ValueError: If the patch model does not end in one channel, or a number
            is not positive.

    Example:

    >>> model = keras_patching.HeatmapObjectCountingModel(
    ...     patch_model, density_map_sigma=4.0
    ... )
    >>> model.set_patch_size(height=64, width=64)
    >>> train = model.load_heatmap_dataset_with_csv_from_directory(
    ...     "cells", "points.csv"
    ... )
    >>> model.compile("adam")
    >>> history = model.fit(train, epochs=1)
    >>> image = keras_patching.data.read_image("cells/slide_0.jpg")
    >>> heatmaps = model.predict(image[None])
    >>> counts = model.decode_predictions(heatmaps)
    >>> heatmaps.shape, counts.shape
    ((1, 130, 140, 1), (1,))
    """

    task = loaders.TASK
    _truth = "points"

    @spelled_out(PATCHED_MODEL_DEFAULTS)
    def __init__(
        self,
        patch_model: keras.layers.Layer | None = None,
        density_map_sigma: float = 4.0,
        *,
        density_scale: float | None = None,
        channels: int | Literal["grayscale"] | None = 3,
        value_range: Sequence[float] = (0, 255),
        normalize: Literal["percentile", "zscore"] | None = None,
        resize: float | Sequence[int] | None = None,
        **kwargs: Unpack[PatchedModelOptions],
    ) -> None:
        channels, value_range = check_images(
            patch_model, channels, value_range, normalize
        )
        if patch_model is None:
            patch_model = unet(
                1,
                # Not softplus or relu: most pixels are empty, and a first step
                # too far below zero would leave no slope to come back.
                activation="linear",
                channels=number_of(channels),
                value_range=value_range,
            )
        _check_head(patch_model)
        super().__init__(
            patch_model,
            channels=channels,
            value_range=value_range,
            normalize=normalize,
            resize=resize,
            **kwargs,
        )
        self._given_scale = density_scale is not None
        if self._given_scale:
            self.density_scale = check_positive(density_scale, "density_scale")
        self.set_density_map_sigma(density_map_sigma)

    def set_density_map_sigma(self, density_map_sigma: float) -> None:
        """Set the size of the Gaussians, before a data set is loaded.

        Args:
            density_map_sigma: Standard deviation in pixels.

        Raises:
            ValueError: If it is not a positive number.
        """
        sigma = check_positive(density_map_sigma, "density_map_sigma")
        self.density_map_sigma = sigma
        if not self._is_scale_fixed:
            self.density_scale = _PEAK / peak_density(sigma)
            self._drop_compiled_functions()

    @property
    def _is_scale_fixed(self):
        """Whether another sigma leaves the scale: it was given or trained."""
        return self._given_scale or self.compiled

    @property
    def peak_density(self) -> float:
        """Objects per pixel at the center of an object that is alone.

        What pictures of heatmaps show as white, so that they can be compared.
        """
        return peak_density(self.density_map_sigma)

    @loader
    def load_heatmap_dataset_with_csv_from_directory(
        self,
        dirname: str | os.PathLike,
        label_file: str | os.PathLike,
        *,
        unlabelled: str = "error",
        classes: Sequence[str] | None = None,
        augment: bool | Callable = False,
        random_crops: bool = False,
        **options: Unpack[ModelLoaderOptions],
    ) -> Loaded:
        """Load patches of images and of the heatmaps of a CSV file's points.

        Takes `patch_size`, `density_map_sigma`, `channels`, `value_range`,
        `normalize` and `resize` from the model, and the other arguments of the
        function
        `keras_patching.load_heatmap_dataset_with_csv_from_directory`.
        """
        return loaders.load_heatmap_dataset_with_csv_from_directory(
            dirname,
            label_file,
            density_map_sigma=self.density_map_sigma,
            unlabelled=unlabelled,
            classes=classes,
            augment=augment,
            random_crops=random_crops,
            **self._loader_options(options),
        )

    @loader
    def load_heatmap_dataset_with_json_files_from_directory(
        self,
        dirname: str | os.PathLike,
        *,
        unlabelled: str = "error",
        classes: Sequence[str] | None = None,
        augment: bool | Callable = False,
        random_crops: bool = False,
        **options: Unpack[ModelLoaderOptions],
    ) -> Loaded:
        """Load patches of images and of the heatmaps of JSON files' points.

        Takes `patch_size`, `density_map_sigma`, `channels`, `value_range`,
        `normalize` and `resize` from the model, and the other arguments of the
        function
        `keras_patching.load_heatmap_dataset_with_json_files_from_directory`.
        """
        return loaders.load_heatmap_dataset_with_json_files_from_directory(
            dirname,
            density_map_sigma=self.density_map_sigma,
            unlabelled=unlabelled,
            classes=classes,
            augment=augment,
            random_crops=random_crops,
            **self._loader_options(options),
        )

    @loader
    def load_dataset_from_directory_with_segmentation_masks(
        self,
        dirname: str | os.PathLike,
        seg_dirname: str | os.PathLike,
        *,
        heatmap_unit: float | None = None,
        dots: str | None = None,
        augment: bool | Callable = False,
        random_crops: bool = False,
        **options: Unpack[ModelLoaderOptions],
    ) -> Loaded:
        """Load patches of images and of ready heatmaps, or of dot images.

        Takes `patch_size`, `density_map_sigma`, `channels`, `value_range`,
        `normalize` and `resize` from the model, and the other arguments, such
        as `heatmap_unit` and `dots`, of the function
        `keras_patching.load_heatmap_dataset_with_heatmap_files_from_directory`.
        """
        return loaders.load_heatmap_dataset_with_heatmap_files_from_directory(
            dirname,
            seg_dirname,
            heatmap_unit=heatmap_unit,
            dots=dots,
            density_map_sigma=self.density_map_sigma,
            augment=augment,
            random_crops=random_crops,
            **self._loader_options(options),
        )

    def _patch_parameters(self):
        parameters = super()._patch_parameters()
        return {**parameters, "density_map_sigma": self.density_map_sigma}

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        return self._finish_outputs(super().call(inputs, training=training))

    def _finish_outputs(self, outputs):
        return ops.cast(outputs, "float32") / self.density_scale

    @spelled_out(IMAGES_DEFAULTS)
    def predict_images(
        self,
        sources: Iterable[Any],
        *,
        transform: Callable | str | None = None,
        min_score: float = 0.3,
        min_distance: float | None = None,
        **options: Unpack[ImagesOptions],
    ) -> Iterator[Any] | list[Any]:
        """Count and locate objects in images of any sizes.

        As `PatchedModel.predict_images`; heatmaps are never whole in memory.

        Args:
            sources, **options: As there.
            transform: `"heatmap"` gives what `predict` does, and so may be
                written to `out`; a function as there gets the heatmap. Of
                files that are resized the heatmap keeps its sum. `"doubt"`
                gives `(height, width)` of float32, the standard deviation of
                the objects per pixel over the passes of
                `test_time_augmentation` and the members of an ensemble.
            min_score, min_distance: As for `locate`, in pixels of the image as
                it is read.

        Returns:
            As there; without a `transform`, a dict per image: `count`, the
            number of objects as of `decode_predictions`, and their `points`
            and `scores` as of `locate`.

        Example:

        >>> model = keras_patching.HeatmapObjectCountingModel(patch_size=64)
        >>> images = [np.zeros((90, 70, 3)), np.zeros((50, 120, 3))]
        >>> for found in model.predict_images(images, verbose=False):
        ...     print(sorted(found))
        ['count', 'points', 'scores']
        ['count', 'points', 'scores']
        """
        if transform is None:
            self._check_peaks(min_score, min_distance)
            chosen = ImageTransform(
                self._finish_outputs,
                lambda source: self._count_bands(min_score, min_distance),
            )
        else:
            chosen = self._image_transform(transform)
        return self._predict_images(sources, chosen, **options)

    @property
    def _image_transforms(self):
        return {
            "heatmap": ImageTransform(
                self._finish_outputs, name="heatmap", method="sum"
            ),
            "doubt": self._doubt_transform,
        }

    def _count_bands(self, min_score, min_distance):
        """Make what counts and locates objects in bands of a heatmap."""
        return CountedBands(
            self.peak_density, *self._check_peaks(min_score, min_distance)
        )

    def _check_peaks(self, min_score, min_distance):
        """Return the arguments of `locate` that are meant, or refuse them."""
        if min_distance is None:
            min_distance = self.density_map_sigma
        return (
            check_share(min_score, "min_score"),
            check_distance(min_distance, "min_distance"),
        )

    def compute_output_spec(
        self, inputs: Tensor, training: bool | None = None
    ) -> Any:
        spec = super().compute_output_spec(inputs)
        return keras.KerasTensor(spec.shape, dtype="float32")

    def _default_loss(self):
        return DensityMapLoss(self.density_scale)

    def _default_metrics(self, loss):
        return [CountError()]

    def decode_predictions(self, heatmaps: ArrayLike) -> NDArray:
        """Count the objects in heatmaps.

        Args:
            heatmaps: Array `(batch, height, width, 1)` as `predict` gives it.

        Returns:
            float32 `(batch,)`, the number of objects in each image.

        Raises:
            ValueError: If it is no such array, or holds NaN.
        """
        heatmaps = _check_heatmaps(heatmaps)
        counts = heatmaps.sum(axis=(1, 2, 3), dtype="float64")
        return counts.astype("float32")

    def locate(
        self,
        heatmaps: ArrayLike,
        min_score: float = 0.3,
        min_distance: float | None = None,
    ) -> list[tuple[NDArray, NDArray]]:
        """Find the places of objects: the local maxima of heatmaps.

        Args:
            heatmaps: Array `(batch, height, width, 1)` as `predict` gives it.
            min_score: Lowest score of an object, from 0 to 1. A score is the
                height of a maximum over that of one object that stands alone;
                it is above 0.
            min_distance: Objects are at least so many pixels apart; `None` is
                `density_map_sigma`, 0 keeps every local maximum.

        Returns:
            List with a pair `(points, scores)` per image: float32 `(n, 2)`,
            `(y, x)` in pixels, the centers of pixels, and float32 `(n,)`, best
            first. There may be fewer points than the count says: objects that
            lie closer than their Gaussians are wide have one maximum.

        Raises:
            ValueError: If `heatmaps` is no such array, or holds NaN; or a
                number is not as above.

        Example:

        >>> model = keras_patching.HeatmapObjectCountingModel(
        ...     patch_model, density_map_sigma=2.0
        ... )
        >>> heatmaps = np.zeros((1, 32, 32, 1))
        >>> heatmaps[0, 10, 20] = 0.03
        >>> points, scores = model.locate(heatmaps)[0]
        >>> points.tolist()
        [[10.5, 20.5]]
        """
        min_score, min_distance = self._check_peaks(min_score, min_distance)
        scores = _check_heatmaps(heatmaps).astype("float32")
        scores *= np.float32(1 / self.peak_density)
        return find_peaks(scores, min_score, min_distance)

    def evaluate_full_images(
        self,
        images: str | os.PathLike | Sequence[Any] | NDArray,
        targets: Any,
        tolerance: float | None = None,
    ) -> dict[str, float]:
        """Predict whole images one by one and compare them with their points.

        Args:
            images: Images of shape `(height, width, channels)`, of any sizes:
                a folder, a list of paths, a list of arrays, or an array.
            targets: Their points, arrays `(n, 2)` of `(y, x)` in pixels, in
                the order of the images; or a dict from their names, as
                `read_points` gives it.
            tolerance: How far a found point may be from a true one, in pixels;
                `None` is twice `density_map_sigma`, 0 the same place. Of files
                that are resized a number is in pixels of the file, twice
                `density_map_sigma` in resized pixels, as that is.

        Returns:
            Dict of floats: `count_mae` and `count_relative_error` as of
            `metrics.count_errors`, `precision`, `recall` and `f1` as of
            `metrics.localization_scores`.

        Raises:
            ValueError: If images and points do not pair, points lie outside of
                their image, or `tolerance` is negative.
        """
        in_resized_pixels = tolerance is None
        if in_resized_pixels:
            tolerance = 2 * self.density_map_sigma
        tolerance = check_distance(tolerance, "tolerance")
        counts, places, true = [], [], []
        for image, target in self.pair_full_images(images, targets):
            original = image
            image, scale = self._read_scaled(image)
            heatmaps = self.predict(image[None], verbose=0)
            heatmaps = self._with_data(heatmaps, original, image.shape[:2])
            counts.append(self.decode_predictions(heatmaps)[0])
            points, _ = self.locate(heatmaps)[0]
            if in_resized_pixels:
                target = scale.points(target)
            else:
                points = scale.to_file.points(points)
            places.append(points)
            true.append(target)
        true_counts = [len(points) for points in true]
        return {
            **count_errors(counts, true_counts),
            **localization_scores(places, true, tolerance),
        }

    def _with_data(self, heatmaps, image, size):
        """Give the heatmap of one image, 0 where that has no data."""
        with open_known(image) as windows:
            if windows is None:
                return heatmaps
            (scale,) = self.predictor._outputs.scales
            rows = KnownRows(windows, size, scale)
            unknown = rows.unknown(0, heatmaps.shape[1])
        if unknown is None:
            return heatmaps
        return np.where(unknown[None, ..., None], 0, heatmaps)

    def _check_full_target(self, target, name, image_size):
        return as_true_points(target, name, image_size)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "density_map_sigma": self.density_map_sigma,
            "density_scale": (
                self.density_scale if self._is_scale_fixed else None
            ),
        }


def _check_heatmaps(heatmaps):
    shape = "batch", "height", "width", 1
    return check_predictions(heatmaps, shape, "`predict` of this model")


def _check_head(patch_model):
    shape = getattr(patch_model, "output_shape", None)
    if isinstance(shape, tuple) and (len(shape) != 4 or shape[-1] != 1):
        raise ValueError(
            f"The patch model '{patch_model.name}' must end in one channel, "
            "(batch, height, width, 1). "
            f"Received: output shape {shape}"
        )
