"""Feeds whole images of a cache, or crops of any size, to Keras."""

import math
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from keras_patching._checks import check_integer
from keras_patching._types import NDArray
from keras_patching.data.cache.shard_kinds import key_of, shard_kind
from keras_patching.data.feeding.cached_sequence import CachedSequence
from keras_patching.data.feeding.epoch_sampler import EpochSampler
from keras_patching.data.feeding.window_readers import open_windows
from keras_patching.geometry import as_positive_pair


class ImageSequence(CachedSequence):
    """Batches of whole images with their labels, for `fit` and `evaluate`.

    A batch is `(images, labels)`: images `(batch, height, width, channels)` in
    the dtype of the image files, and masks `(batch, height, width)` of the
    smallest unsigned dtype, or float32 heatmaps of that shape. Where images
    are padded to one size, at the bottom and right, every batch is `(images,
    labels, weights)`: float32 `(batch, height, width)`, 1 in the image and 0
    beyond it. The losses and metrics of this package take pixels of weight 0
    as if they were not there; of a Keras model of your own pass metrics as
    `weighted_metrics`.

    With a `crop_size` they are crops of that size, at random places of the
    images, others in each epoch. Each batch depends on the seed, the epoch and
    its index only, as in `PatchingSequence`, with which it shares orders,
    epochs, `shard`, `to_grain` and all else.

    A model with `overlap="auto"` trains on an image as a whole, whatever its
    patch size; another one cuts it into patches first, as it predicts it.

    Args:
        path: The manifest of a cache of whole images, as loaders make it with
            `store="images"`, or a folder that holds only one.
        batch_size: Number of images, or crops, per batch.
        crop_size: `(height, width)` of the crops in pixels, or one integer;
            `None` gives whole images. An image that is smaller is padded.
        crops_per_image: Number of crops of each image per epoch; `None` takes
            as many as have the pixels of the image.
        multiple_of: Height and width of whole images are padded to multiples
            of this, a pair or one integer, and a `crop_size` must be one. The
            models of this package need none; others need the stride of their
            net.
        same_size: Whether whole images are padded to the size of the largest,
            so that a model is compiled once. `False` gives each in its own
            size, one per batch; with jax each size is compiled anew.
        shuffle: Whether to draw a new order of all images for each epoch.
        seed: Integer that decides orders, crops and augmentations. `None`
            draws one, which `keras.utils.set_random_seed` makes repeatable.
        names: Images to take, as in `image_names`; `None` is all.
        dtype: Dtype of the images in a batch; `None` keeps that of the files.
        augment: `True` flips images and labels together, quarter-turns them
            where height and width are the same, and brightens images. Or a
            function (whose own randomness the seed does not reach) from the
            arrays of a batch to the same, weights too where it has them.
        drop_remainder: Whether to leave out the last batch if it is smaller
            than `batch_size`.
        workers: Number of threads that read batches ahead in `fit`,
            `evaluate` and `predict`; 0 reads none ahead.
        max_queue_size: How many batches are read ahead at most.
        **kwargs: Other arguments of `keras.utils.PyDataset`.

    Attributes:
        image_size: `(height, width)` of all batches in pixels; `None` where
            each image has its own.
        largest_size: `(height, width)` in pixels of the largest batch.
        is_padded: Whether batches have weights.
        manifest_path, directory, task, parameters, class_names, class_colors,
            class_ids, image_names, seed, epoch: As in `PatchingSequence`.
        num_samples: Number of images, or crops, per epoch.

    Raises:
        FileNotFoundError: If there is no manifest.
        ValueError: If manifest or shards are damaged; or if the cache holds
            patches, or boxes.

    Example:

    >>> import keras_patching as kp
    >>> load = kp.load_dataset_from_directory_with_segmentation_masks
    >>> sequence = load(
    ...     "field/images", "field/masks", patch_size=64, crop_size="image"
    ... )
    >>> images, masks = sequence[0]
    >>> images.shape, masks.shape
    ((1, 130, 140, 3), (1, 130, 140))
    >>> crops = kp.ImageSequence(
    ...     sequence.manifest_path, batch_size=2, crop_size=(96, 128)
    ... )
    >>> crops[0][0].shape
    (2, 96, 128, 3)
    """

    def __init__(
        self,
        path: str | os.PathLike,
        batch_size: int = 1,
        crop_size: int | Sequence[int] | None = None,
        *,
        crops_per_image: int | None = None,
        multiple_of: int | Sequence[int] = 1,
        same_size: bool = True,
        shuffle: bool = True,
        seed: int | None = None,
        names: Sequence[str] | None = None,
        dtype: str | type | np.dtype | None = None,
        augment: bool | Callable = False,
        drop_remainder: bool = False,
        workers: int = 2,
        max_queue_size: int = 2,
        **kwargs: Any,
    ) -> None:
        if not same_size and (crop_size is not None or batch_size != 1):
            raise ValueError(
                "same_size=False gives whole images, one per batch. Received: "
                f"same_size=False, batch_size={batch_size}, "
                f"crop_size={crop_size}"
            )
        self.crop_size = None
        if crop_size is not None:
            self.crop_size = as_positive_pair(crop_size, "crop_size")
        if crops_per_image is not None:
            check_integer(crops_per_image, "crops_per_image", 1)
            if crop_size is None:
                raise ValueError(
                    "`crops_per_image` needs a `crop_size`. Received: "
                    f"crops_per_image={crops_per_image}, crop_size=None"
                )
        self._multiples = as_positive_pair(multiple_of, "multiple_of")
        self._check_multiples()
        super().__init__(
            path,
            batch_size,
            shuffle,
            seed,
            names,
            dtype,
            augment,
            drop_remainder,
            workers,
            max_queue_size=max_queue_size,
            **kwargs,
        )
        self._sizes = [
            self.manifest.image_size(source) for source in self.sources
        ]
        self.image_size = self.crop_size
        if same_size and self.crop_size is None:
            heights, widths = zip(*self._sizes, strict=True)
            self.image_size = self._round_up((max(heights), max(widths)))
        self.is_padded = any(
            height < whole_height or width < whole_width
            for (height, width), (whole_height, whole_width) in (
                (size, self._size_in_batch(size)) for size in self._sizes
            )
        )
        counts = [
            self._num_crops(size, crops_per_image) for size in self._sizes
        ]
        self._order_by(EpochSampler(np.ones(sum(counts), bool)), counts)
        self._readers = self._open_readers()

    def _check_multiples(self):
        """Refuse crops, which are not padded, of another size."""
        size = self.crop_size
        if size is not None and size != self._round_up(size):
            raise ValueError(
                "`crop_size` must be a multiple of `multiple_of`, such as "
                f"{self._round_up(size)}. Received: crop_size={size}, "
                f"multiple_of={self._multiples}"
            )

    def _open_readers(self):
        """Open what cuts images, and what cuts their labels."""
        known = self.manifest_path, self.manifest, self.sources
        readers = open_windows(*known)
        others = [
            key_of(kind)
            for kind in self.manifest.fed_kinds
            if not shard_kind(kind).is_cut
        ]
        if others:
            raise ValueError(
                f"{self.manifest_path}: holds {' and '.join(others)}, and "
                "whole images are fed with masks or heatmaps only. Train a "
                "detector on patches, with `PatchingSequence`."
            )
        return list(readers.values())

    def _round_up(self, size):
        return tuple(
            (length + multiple - 1) // multiple * multiple
            for length, multiple in zip(size, self._multiples, strict=True)
        )

    @property
    def largest_size(self) -> tuple[int, int]:
        """`(height, width)` in pixels of the batch with the most of them."""
        return max(map(self._size_in_batch, self._sizes), key=math.prod)

    def _size_in_batch(self, size):
        """Give the `(height, width)` that an image of a size is padded to."""
        return self.image_size or self._round_up(size)

    def _num_crops(self, size, crops_per_image):
        if self.crop_size is None:
            return 1
        as_many = math.ceil(math.prod(size) / math.prod(self.crop_size))
        return crops_per_image or as_many

    def _place(self, samples, rng):
        sources, _ = super()._place(samples, rng)
        origins = np.zeros((len(sources), 2), int)
        if self.crop_size is not None:
            room = np.maximum(np.subtract(self._sizes, self.crop_size), 0)
            origins = rng.integers(room[sources] + 1)
        return sources, origins

    def _read(self, epoch, samples):
        """Cut images out of the shards, and their labels."""
        sources, origins = (each[samples].tolist() for each in self._at(epoch))
        size = self._size_in_batch(self._sizes[sources[0]])
        batch = [
            reader.cut_all(sources, origins, size) for reader in self._readers
        ]
        if self.is_padded:
            batch.append(np.zeros((len(sources), *size), "float32"))
            for weights, source in zip(batch[-1], sources, strict=True):
                height, width = self._sizes[source]
                weights[:height, :width] = 1
        return batch

    def patch_boxes(self) -> dict[str, NDArray]:
        """Tell what batches show of each image, in all epochs: all of it.

        Returns:
            Dict from the name of an image to integers `(1, 4)`: x1, y1, x2, y2
            in pixels of the image.
        """
        return {
            name: np.array([[0, 0, width, height]])
            for name, (height, width) in zip(
                self.image_names, self._sizes, strict=True
            )
        }

    def declared_shape(self, array: NDArray) -> tuple[int | None, ...]:
        if self.image_size is not None:
            return array.shape[1:]
        return None, None, *array.shape[3:]
