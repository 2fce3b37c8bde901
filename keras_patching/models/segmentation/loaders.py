"""Loads folders of images and segmentation masks."""

import functools
import math

import numpy as np

from keras_patching._checks import check_integer, check_optional
from keras_patching.data.cache.shard_builder import ShardPlan
from keras_patching.data.images.label_images import decode_mask
from keras_patching.data.labels.label_summaries import (
    doubt_classes,
    summarize_pixels,
)
from keras_patching.data.labels.masks import as_class_ids
from keras_patching.data.labels.pairing import pair_by_stem, pair_faults
from keras_patching.data.patched_dataset import (
    load_patched_dataset,
    tile_source,
)
from keras_patching.data.patches.tiling import cut_patches

TASK = "segmentation"


def load_dataset_from_directory_with_segmentation_masks(
    dirname,
    seg_dirname,
    patch_size,
    *,
    num_classes=2,
    ignore_value=None,
    channels=3,
    value_range=(0, 255),
    batch_size=32,
    shuffle=True,
    seed=None,
    validation_split=None,
    subset=None,
    groups=None,
    cache_dir=None,
    overwrite=False,
    executor=None,
    augment=False,
    foreground_fraction=None,
    foreground_classes=None,
    keep_empty=1.0,
    dtype=None,
    drop_remainder=False,
    verbose=True,
):
    """Load a folder of images and a folder of masks as patches for training.

    Images and masks are paired by name without suffix. They are cut into tiles
    without overlap, padded at the bottom and right with black
    (`value_range[0]`), the masks with `ignore_value` or 0. The patches are
    saved in `<dirname>_patches`; a second call finds them there and cuts only
    what has changed.

    Args:
        dirname: Folder of images. Subfolders are not searched.
        seg_dirname: Folder of masks: PNG, TIFF, BMP or npy of class ids. With
            two classes, also 0 and 255.
        patch_size: `(height, width)` in pixels, or one integer.
        num_classes: Number of classes, background included.
        ignore_value: Value of unlabelled pixels in the masks.
        channels: Channels that images are converted to (grey repeated, alpha
            dropped). `None` keeps those of the files.
        value_range: Values `(black, white)` of the images. They are not
            scaled.
        batch_size: Number of patches per batch.
        shuffle: Whether to shuffle the training patches in each epoch.
        seed: Integer that decides the split, orders and augmentations.
            `None` draws orders and augmentations anew, but not the split.
        validation_split: Fraction of the images for validation. No image has
            patches on both sides.
        subset: "training", "validation" or "both", with a
            `validation_split`.
        groups: Function from an image's file name to its group. Images of
            one group stay on one side of the split.
        cache_dir: Folder to keep the patches below, instead of beside the
            images.
        overwrite: Whether to cut everything again.
        executor: `concurrent.futures.Executor` that cuts; `None` is a pool
            of at most 4 threads.
        augment: `True` flips, quarter-turns and brightens the training
            patches, image and mask together. Or a function from a batch
            `(images, masks)` to the same.
        foreground_fraction: Fraction of the training patches of an epoch that
            hold a wanted class, for classes that are rare. `None` takes each
            patch as often as any other.
        foreground_classes: The wanted classes; `None` is all but class 0.
        keep_empty: Fraction of the training patches without a wanted class
            that an epoch sees, others in the next.
        dtype: Dtype of the images in a batch; `None` keeps that of the files.
        drop_remainder: Whether to leave out a last batch that is smaller, in
            training; validation sees every patch.
        verbose: Whether to print what is cut and found.

    Returns:
        A `PatchingSequence`; with `subset="both"` a pair of them, for training
        and validation. Batches are `(images, masks)`: `(batch, height, width,
        channels)` in the files' dtype, and `(batch, height, width)` class ids
        in the smallest unsigned dtype.

    Raises:
        FileNotFoundError: If a folder is missing.
        ValueError: If images and masks do not fit together or cannot be read;
            lists the files.

    Example:
    >>> training, validation = (
    ...     load_dataset_from_directory_with_segmentation_masks(
    ...         "field/images", "field/masks", patch_size=128,
    ...         validation_split=0.2, subset="both"))
    """
    pairs = pair_by_stem(dirname, seg_dirname, "mask")
    return load_patched_dataset(
        TASK,
        dirname,
        [image for image, _ in pairs],
        _Masks(pairs, seg_dirname, num_classes, ignore_value),
        patch_size,
        channels=channels,
        value_range=value_range,
        batch_size=batch_size,
        shuffle=shuffle,
        seed=seed,
        validation_split=validation_split,
        subset=subset,
        groups=groups,
        cache_dir=cache_dir,
        overwrite=overwrite,
        executor=executor,
        augment=augment,
        foreground_fraction=foreground_fraction,
        foreground_classes=foreground_classes,
        keep_empty=keep_empty,
        dtype=dtype,
        drop_remainder=drop_remainder,
        verbose=verbose,
    )


class _Masks:
    """Segmentation masks, as `patched_dataset.Labels`."""

    def __init__(self, pairs, folder, num_classes, ignore_value):
        self.path = folder
        self.num_classes = check_integer(num_classes, "num_classes", 2)
        self.ignore_value = check_optional(ignore_value, "ignore_value", 0)
        self._paths = dict(pairs)

    @property
    def parameters(self):
        return {
            "num_classes": self.num_classes,
            "ignore_value": self.ignore_value,
        }

    def faults(self, headers, cache):
        return pair_faults(self._paths.items(), headers, cache, "mask")

    def source(self, image, header, pixels):
        shards = functools.partial(self._shards, self._paths[image])
        return tile_source(image, header, pixels, shards)

    def summarize(self, records, headers):
        return summarize_pixels(
            len(records), *self._count_classes(records, headers)
        )

    def doubts(self, records, headers):
        pixels, _ = self._count_classes(records, headers)
        return doubt_classes(pixels, self.ignore_value)

    def _count_classes(self, records, headers):
        """Count the pixels of each class, and those without, padding apart."""
        pixels = sum(
            np.sum(record.shards["masks"].facts["pixels"], axis=0)
            for record in records
        )
        inside = sum(math.prod(header.size) for header in headers.values())
        if (self.ignore_value or 0) < self.num_classes:
            cut = sum(math.prod(r.shards["masks"].shape) for r in records)
            pixels[self.ignore_value or 0] -= cut - inside
        if self.ignore_value is not None and self.ignore_value < len(pixels):
            pixels[self.ignore_value] = 0
        return pixels.tolist(), inside - int(pixels.sum())

    def _shards(self, path, grid):
        classes = (self.num_classes, self.ignore_value)
        highest = max(self.num_classes - 1, self.ignore_value or 0)
        dtype = np.min_scalar_type(highest)
        plan = ShardPlan(
            kind="masks",
            shape=(grid.num_patches, *grid.patch_size),
            dtype=dtype,
            parameters=[grid.patch_size, *classes],
            path=path,
            make=functools.partial(
                _cut_mask, path=path, grid=grid, classes=classes, dtype=dtype
            ),
            facts=functools.partial(
                _count_pixels, num_classes=self.num_classes
            ),
        )
        return [plan]


def _cut_mask(data, path, grid, classes, dtype):
    mask = as_class_ids(decode_mask(data, path), path, *classes)
    _, ignore_value = classes
    return cut_patches(
        mask.astype(dtype, copy=False),
        grid.origins,
        grid.patch_size,
        pad_value=0 if ignore_value is None else ignore_value,
    )


def _count_pixels(masks, num_classes):
    """Count the pixels of each class in each patch, padding included."""
    return {
        "pixels": [
            np.bincount(mask.ravel(), minlength=num_classes)[
                :num_classes
            ].tolist()
            for mask in np.asarray(masks)
        ]
    }
