"""Loads folders of images and segmentation masks."""

import functools

import numpy as np

from keras_patching.data.faults import raise_faults
from keras_patching.data.image_io import (
    decode_mask,
    list_images,
)
from keras_patching.data.loading import SequenceOptions
from keras_patching.data.patch_cache import PatchCache
from keras_patching.data.shard_builder import ShardPlan, Source
from keras_patching.data.tiling import (
    check_same_kind,
    cut_patches,
    plan_image_shard,
)
from keras_patching.geometry import PatchGrid, as_pair

_LOSSY_SUFFIXES = (".jpg", ".jpeg")


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
        drop_remainder: Whether to leave out a last batch that is smaller.
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
    options = SequenceOptions(
        batch_size=batch_size,
        shuffle=shuffle,
        seed=seed,
        validation_split=validation_split,
        subset=subset,
        groups=groups,
        augment=augment,
        foreground_fraction=foreground_fraction,
        foreground_classes=foreground_classes,
        keep_empty=keep_empty,
        dtype=dtype,
        drop_remainder=drop_remainder,
    )
    tiling = _Tiling(
        patch_size, num_classes, ignore_value, channels, value_range
    )
    pairs = _pair(dirname, seg_dirname)
    parts = options.split([image.name for image, _ in pairs])
    cache = PatchCache(
        dirname,
        "segmentation",
        tiling.patch_size,
        tiling.parameters,
        label_dirname=seg_dirname,
        cache_dir=cache_dir,
    )
    sources = tiling.plan(pairs, cache)
    manifest = cache.build(sources, overwrite, executor, verbose)
    return options.open(manifest, parts)


def _pair(dirname, seg_dirname):
    """Pair images with masks by their stem."""
    images, masks = list_images(dirname), list_images(seg_dirname)
    faults = [
        f"{images[stem]}: has no mask in {seg_dirname}."
        for stem in images.keys() - masks.keys()
    ] + [
        f"{masks[stem]}: has no image in {dirname}."
        for stem in masks.keys() - images.keys()
    ]
    raise_faults(
        sorted(faults),
        "Images and masks do not pair by name without suffix",
        "Add what is missing, or remove or rename the others.",
    )
    return [(path, masks[stem]) for stem, path in images.items()]


class _Tiling:
    """How to cut images and masks: the arguments that decide the patches."""

    def __init__(
        self, patch_size, num_classes, ignore_value, channels, value_range
    ):
        self.patch_size = as_pair(patch_size, "patch_size")
        self.num_classes = _check_integer(num_classes, "num_classes", 2)
        self.ignore_value = _check_optional(ignore_value, "ignore_value", 0)
        self.channels = _check_optional(channels, "channels", 1)
        self.value_range = _check_value_range(value_range)

    @property
    def parameters(self):
        return {
            "channels": self.channels,
            "value_range": self.value_range,
            "num_classes": self.num_classes,
            "ignore_value": self.ignore_value,
        }

    def plan(self, pairs, cache):
        """Check the headers of all files, then plan their shards."""
        faults, headers = [], {}
        for image, mask in pairs:
            try:
                headers[image] = cache.header(image)
            except (ValueError, OSError) as error:
                faults.append(str(error))
            try:
                headers[mask] = _mask_header(mask, cache)
            except (ValueError, OSError) as error:
                faults.append(str(error))
            if image in headers and mask in headers:
                faults += _size_faults(image, mask, headers)
        images = {i: headers[i] for i, _ in pairs if i in headers}
        if images:
            faults += check_same_kind(images, self.channels)
        raise_faults(
            faults,
            "Images and masks that cannot be used",
            "Nothing was written.",
        )
        return [
            self._source(image, headers[image], mask) for image, mask in pairs
        ]

    def _source(self, image, header, mask):
        grid = PatchGrid(header.size, self.patch_size)
        return Source(
            name=image.name,
            shards=(
                plan_image_shard(
                    image, header, grid, self.channels, self.value_range
                ),
                self._plan_mask_shard(mask, grid),
            ),
            origins=[list(origin) for origin in grid.origins],
            stages=["tile"] * grid.num_patches,
        )

    def _plan_mask_shard(self, path, grid):
        classes = (self.num_classes, self.ignore_value)
        highest = max(self.num_classes - 1, self.ignore_value or 0)
        dtype = np.min_scalar_type(highest)
        return ShardPlan(
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


def _check_integer(value, name, minimum):
    is_integer = hasattr(value, "__index__") and not isinstance(value, bool)
    if not is_integer or value < minimum:
        raise ValueError(
            f"`{name}` must be an integer of at least {minimum}. "
            f"Received: {name}={value!r}"
        )
    return int(value)


def _check_optional(value, name, minimum):
    return None if value is None else _check_integer(value, name, minimum)


def _check_value_range(value_range):
    pair = np.asarray(value_range)
    if pair.shape != (2,) or pair.dtype.kind not in "uif" or pair[0] >= pair[1]:
        raise ValueError(
            "`value_range` must be a pair (black, white) of numbers, black "
            f"the smaller. Received: value_range={value_range!r}"
        )
    return [float(value) for value in pair]


def _mask_header(path, cache):
    if path.suffix.lower() in _LOSSY_SUFFIXES:
        raise ValueError(
            f"{path}: a JPEG mask, whose class ids are not exact. Save masks "
            "as PNG or TIFF, from the original."
        )
    return cache.header(path)


def _size_faults(image, mask, headers):
    found, expected = headers[mask], headers[image]
    if found.size == expected.size:
        return []
    fault = (
        f"{mask}: its size (height, width) is {found.size}, and {image} has "
        f"{expected.size}."
    )
    turned = found.size == expected.size[::-1]
    if turned and expected.rotated != found.rotated:
        which = image if expected.rotated else mask
        fault += (
            f" The EXIF orientation of {which.name} turns it by 90 degrees "
            "when it is shown, and here too: turn the other to match what is "
            "shown, or remove the orientation."
        )
    return [fault]


def _cut_mask(data, path, grid, classes, dtype):
    mask = as_class_ids(decode_mask(data, path), path, *classes)
    _, ignore_value = classes
    return cut_patches(
        mask.astype(dtype, copy=False),
        grid.origins,
        grid.patch_size,
        pad_value=0 if ignore_value is None else ignore_value,
    )


def as_class_ids(mask, path, num_classes, ignore_value):
    """Check the values of a mask, and make 1 of 255 in a binary one."""
    valid = (mask >= 0) & (mask < num_classes)
    if ignore_value is not None:
        valid |= mask == ignore_value
    if valid.all():
        return mask
    if num_classes == 2 and ignore_value != 255:
        white = mask == 255
        ones = (mask == 1) & (ignore_value != 1)
        if (valid | white).all() and not ones.any():
            return np.where(white, 1, mask)
    raise ValueError(_tell_values(mask, path, num_classes, ignore_value))


def _tell_values(mask, path, num_classes, ignore_value):
    values = np.unique(mask).tolist()
    found = ", ".join(map(str, values[:10])) + ", ..." * (len(values) > 10)
    expected = (
        "0 and 1, or 0 and 255"
        if num_classes == 2
        else f"class ids from 0 to {num_classes - 1}"
    )
    if ignore_value is not None:
        expected += f", and {ignore_value} for unlabelled pixels"
    return (
        f"{path}: found the values {found} in the mask, expected {expected}. "
        "Correct the mask, or pass the right `num_classes` or `ignore_value`."
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
