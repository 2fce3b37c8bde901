"""Feeds the patches of a cache to Keras."""

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from keras_patching._types import NDArray
from keras_patching.data.cache.shard_kinds import PICTURES, keys_drawn
from keras_patching.data.feeding.block_split import BlockSplit
from keras_patching.data.feeding.cached_sequence import CachedSequence
from keras_patching.data.feeding.epoch_sampler import (
    EpochSampler,
    check_sampling,
)
from keras_patching.data.feeding.foreground import has_foreground
from keras_patching.data.feeding.kept_patches import (
    check_split,
    keep,
    patch_boxes,
)
from keras_patching.data.feeding.random_crops import open_crops
from keras_patching.data.feeding.readers import open_readers
from keras_patching.data.feeding.resampling import (
    check_resampling,
    open_resampled,
)


class PatchingSequence(CachedSequence):
    """Batches of patches from a patch cache, for `fit` and `evaluate`.

    A batch is `(images, labels)`: images `(batch, height, width, channels)` in
    the dtype of the image files, and labels: masks `(batch, height, width)` of
    the smallest unsigned dtype, float32 heatmaps of that shape, or a dict of
    `boxes` `(batch, n, 4)` and `labels` `(batch, n)`, filled up with -1. Each
    batch depends on the seed, the epoch and its index only, whatever the
    number of workers.

    The models of this package train on batches in this order, and in the epoch
    that `fit` is in: `initial_epoch=5` goes on with what epoch 5 would have
    seen. `evaluate` and `predict` leave the epoch as it is. Other Keras models
    see each patch once in each pass too, but mix the batches of an epoch
    (pass `shuffle=False` to their `fit`: the sequence shuffles itself, and
    what comes next is read ahead), start at `epoch`, and count each pass.

    Manifest and shards are checked when the sequence is made, so that nothing
    fails in the middle of a training.

    Args:
        path: The manifest of a cache, or a folder that holds only one.
        batch_size: Number of patches per batch.
        shuffle: Whether to draw a new order of all patches for each epoch.
        seed: Integer that decides orders and augmentations. `None` draws one,
            which `keras.utils.set_random_seed` makes repeatable.
        names: Images to take patches of, as in `image_names`; `None` is all.
        split: `keras_patching.data.BlockSplit` that says which patches to
            take of each image; `None` takes all.
        subset: Which part of the `split`: "training", "validation" or "test".
        dtype: Dtype of the images in a batch. `None` keeps that of the files:
            uint8 is a quarter of the memory of float32. Use "float32" for
            models that do not cast their inputs.
        augment: `True` flips, quarter-turns and brightens image and label
            together. Or a function (whose own randomness the seed does not
            reach) from `(images, labels)` to the same, for a batch.
        foreground_fraction: Fraction of the patches of an epoch that hold a
            wanted class or an object, drawn again where there are too few.
            `None` takes each patch as often as any other.
        foreground_classes: The wanted classes of masks; `None` is all but
            class 0.
        keep_empty: Fraction of the patches without foreground that an
            epoch sees, others in the next.
        random_crops: Whether patches are cut at other places in each epoch, of
            a cache of `store="images"`. Each tile is moved by up to half a
            patch each way, at random, inside of its image: an epoch has as
            many crops as there are tiles, and sees each pixel once on average;
            near an edge of an image, along its axis, half to two and a half
            times. With a `split` a crop is of the part that its tile is of.
            With `foreground_fraction`, or `keep_empty` below 1, a crop of a
            tile with foreground holds some, and one of a tile without holds
            none: labels are read to tell. Where 16 places would not do, the
            tile stays.
        drop_remainder: Whether to leave out the last batch if it is smaller
            than `batch_size`; each batch size is compiled on its own.
        workers: Number of threads that read batches ahead in `fit`,
            `evaluate` and `predict`; 0 reads none ahead. It can be set later,
            and is 1 when asked for: Keras itself takes one batch after the
            other, since its own threads skip and repeat batches.
        **kwargs: `max_queue_size` of `keras.utils.PyDataset`: how many batches
            are read ahead at most.

    Attributes:
        manifest_path: `pathlib.Path` of the manifest.
        directory: Folder of the cache.
        task: Name of the task that the cache was made for.
        parameters: Dict of what else the patches were made by, such as
            `value_range` and `num_classes`.
        patch_size: `(height, width)` in pixels.
        class_names: Names of the classes, in their order, or `None`.
        class_colors: RGB tuples of the classes of masks, and behind them that
            of unlabelled pixels where it is known; or `None`.
        class_ids: Dict from the values in mask files to classes, where they
            are not the same; or `None`.
        image_names: Names of the images, relative to their folder.
        num_samples: Number of patches per epoch.
        seed: The seed that is used.
        epoch: Number of epochs that have come to their end. It can be set.

    Raises:
        FileNotFoundError: If there is no manifest.
        ValueError: If manifest or shards are damaged; names the files.

    Example:

    >>> sequence = keras_patching.PatchingSequence(
    ...     "field/images_patches", batch_size=4
    ... )
    >>> images, masks = sequence[0]
    >>> images.shape, images.dtype, masks.shape, masks.dtype
    ((4, 128, 128, 3), dtype('uint8'), (4, 128, 128), dtype('uint8'))
    """

    def __init__(
        self,
        path: str | os.PathLike,
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        names: Sequence[str] | None = None,
        split: BlockSplit | None = None,
        subset: str = "training",
        dtype: str | type | np.dtype | None = None,
        augment: bool | Callable = False,
        foreground_fraction: float | None = None,
        foreground_classes: Sequence[int] | None = None,
        keep_empty: float = 1.0,
        drop_remainder: bool = False,
        workers: int = 4,
        random_crops: bool = False,
        **kwargs: Any,
    ) -> None:
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
            **kwargs,
        )
        check_sampling(foreground_fraction, foreground_classes, keep_empty)
        check_split(split, subset)
        self.patch_size = self.manifest.patch_size
        foreground = has_foreground(
            self.sources,
            foreground_classes,
            self.manifest.parameters.get("ignore_value"),
        )
        self._fractions = foreground_fraction, keep_empty
        self._part = split, subset
        self._origins = [source.origins for source in self.sources]
        self._kept = self._keep(self._origins)
        self._order_by(
            EpochSampler(foreground, *self._fractions, kept=self._kept),
            list(map(len, self._origins)),
        )
        self._draw, self._crops = 0, None
        if split is not None:
            self.image_names = list(self.patch_boxes())
        cache = self.manifest_path, self.manifest, self.sources
        if random_crops:
            rare = foreground_fraction is not None or keep_empty < 1
            wanted = (foreground, foreground_classes) if rare else None
            self._crops, self._readers = open_crops(*cache, *self._part, wanted)
        else:
            self._readers = open_readers(*cache)
        self._check_augmentation()

    def _keep(self, origins):
        """Tell which patches are taken, of those at some origins."""
        known = self.manifest, self.sources, origins
        return keep(*self._part, *known, self.manifest_path)

    def _check_augmentation(self):
        """Refuse labels that do not move with the pixels."""
        pictures = keys_drawn(self.manifest.fed_kinds, *PICTURES)
        others = [key for key in self._readers if key not in pictures]
        if self.augment is True and others:
            raise ValueError(
                f"{self.manifest_path}: holds {' and '.join(others)}, which "
                "augment=True does not move with the pixels. The patches of a "
                "detector are augmented as its sampler planned them; for "
                "others pass a function of a batch. Received: augment=True"
            )

    def check_resampling(self) -> None:
        """Refuse a cache that no other patches can be drawn from.

        Raises:
            ValueError: If it does not hold whole images and their objects.
        """
        check_resampling(self.manifest_path, self.manifest)

    def resample(self, number: int) -> None:
        """Draw anew the patches that were planned at random.

        Call it between epochs. Nothing is done where it is the present draw.
        The number of samples stays the same: with `keep_empty`, some of those
        with objects may be seen twice or left out in an epoch to make it up.

        Args:
            number: Number of the draw, from 0, which is what the cache holds.

        Raises:
            ValueError: As `check_resampling`; or if a `split` takes none of
                the patches of the draw.
        """
        self.check_resampling()
        if number != self._draw:
            readers, foreground, origins = open_resampled(
                self.manifest_path, self.manifest, self.sources, number
            )
            kept = self._keep(origins)
            sampler = EpochSampler(
                foreground, *self._fractions, self._sampler.num_samples, kept
            )
            self._readers, self._sampler = readers, sampler
            self._origins, self._kept = origins, kept
            self._draw = number
            self._ahead.stop()

    def patch_boxes(self) -> dict[str, NDArray]:
        """Tell what the patches show of each image, in all epochs.

        After a `resample` it is that of the patches that were drawn; of random
        crops, of all that may be drawn.

        Returns:
            Dict from the name of an image to integers `(n, 4)`: x1, y1, x2, y2
            in pixels of the image, pixel `i` from `i` to `i + 1`.
        """
        known = self.manifest, self.sources, self._origins, self._kept
        return patch_boxes(*known, self._crops)

    def _place(self, samples, rng):
        sources, rows = super()._place(samples, rng)
        if self._crops is None:
            return sources, rows
        return sources, self._crops.draw(samples, sources, rng)

    def _read(self, epoch, samples):
        """Copy patches out of the shards: images, and what belongs to them."""
        places = [each[samples].tolist() for each in self._at(epoch)]
        # Asked once: `resample` may put others in their place meanwhile.
        (_, images), *labels = self._readers.items()
        return images.read(*places), _read_labels(labels, places)

    @property
    def label_keys(self) -> tuple[str, ...]:
        """What the labels are called, where there are several: a tuple."""
        _, *keys = self._readers
        return tuple(keys)

    def read_labels(self) -> NDArray | dict[str, NDArray]:
        """Read the labels of all patches of this epoch, no images.

        Returns:
            Array, or dict of them, as in a batch of all patches.
        """
        places = [each.tolist() for each in self._at(self.epoch)]
        _, *labels = self._readers.items()
        return _read_labels(labels, places)


def _read_labels(readers, places):
    """Read the labels of one kind, or a dict of those of several."""
    labels = {key: reader.read(*places) for key, reader in readers}
    return labels if len(labels) != 1 else next(iter(labels.values()))
