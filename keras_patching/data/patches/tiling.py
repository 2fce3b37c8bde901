"""Image shards of tasks whose patches tile the image."""

import functools

import numpy as np

from keras_patching.data.cache.shard_builder import ShardPlan
from keras_patching.data.images.value_range import decode_in_range


def cut_patches(image, origins, patch_size, pad_value):
    """Cut patches out of an image that is padded at the bottom and right.

    Args:
        image: Array `(height, width, ...)`.
        origins: Pairs `(y, x)` of the patches' top-left corners, inside.
        patch_size: `(height, width)` in pixels.
        pad_value: Value of the pixels beyond the image.

    Returns:
        Array `(patches, patch height, patch width, ...)` of the same dtype.
    """
    shape = (len(origins), *patch_size, *image.shape[2:])
    patches = np.empty(shape, image.dtype)
    for patch, origin in zip(patches, origins, strict=True):
        cut_patch(image, origin, patch, pad_value)
    return patches


def cut_patch(image, origin, target, pad_value):
    """Copy what lies at `origin` into `target`; see `cut_patches`."""
    (y, x), (height, width) = origin, target.shape[:2]
    inside = image[y : y + height, x : x + width]
    rows, cols = inside.shape[:2]
    target[:rows, :cols] = inside
    target[rows:] = pad_value
    target[:rows, cols:] = pad_value


def plan_image_shard(path, header, grid, channels, value_range):
    """Plan the shard of an image's tiles.

    Args:
        path: `pathlib.Path` of the image.
        header: Its `ImageHeader`.
        grid: Its `PatchGrid`, without overlap.
        channels: Channels to convert to; `None` keeps those of the file.
        value_range: `(black, white)`; the image is padded with black.

    Returns:
        A `ShardPlan` of kind "images".
    """
    return ShardPlan(
        kind="images",
        shape=(
            grid.num_patches,
            *grid.patch_size,
            header.channels if channels is None else channels,
        ),
        dtype=header.dtype,
        parameters=[grid.patch_size, channels, value_range],
        path=path,
        make=functools.partial(
            _cut_image,
            path=path,
            grid=grid,
            channels=channels,
            value_range=value_range,
        ),
    )


def _cut_image(data, path, grid, channels, value_range):
    image = decode_in_range(data, path, channels, value_range)
    return cut_patches(image, grid.origins, grid.patch_size, value_range[0])


def check_same_kind(headers, channels):
    """Refuse images of different dtypes or numbers of channels.

    Args:
        headers: Dict from path to `ImageHeader`.
        channels: Channels to convert to; `None` keeps those of the files.

    Returns:
        A list of faults, empty if all is well.
    """
    faults = []
    first_path, first = next(iter(headers.items()), (None, None))
    for path, header in headers.items():
        if header.dtype != first.dtype:
            faults.append(
                f"{path}: is {header.dtype}, and {first_path} is "
                f"{first.dtype}. Save all images with one dtype."
            )
        elif channels is None and header.channels != first.channels:
            faults.append(
                f"{path}: has {header.channels} channels, and {first_path} "
                f"has {first.channels}. Pass `channels` to convert all."
            )
        elif not _convertible(header.channels, channels):
            faults.append(
                f"{path}: has {header.channels} channels, expected "
                f"{channels}. Pass channels={header.channels}, or "
                "channels=None to keep what the files have."
            )
    return faults


def _convertible(found, wanted):
    """Tell what can be told before decoding: which channel is alpha, cannot."""
    alpha_dropped = (found, wanted) in ((2, 1), (4, 3))
    return (
        wanted in (None, found)
        or alpha_dropped
        or (wanted == 3 and found in (1, 2))
    )
