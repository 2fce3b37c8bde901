"""Image shards of tasks whose patches tile the image."""

import functools

import numpy as np

from keras_patching.data.cache.shard_builder import ShardPlan
from keras_patching.data.images.channels import number_of
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
    for patch, (y, x) in zip(patches, origins, strict=True):
        inside = image[y : y + patch_size[0], x : x + patch_size[1]]
        rows, cols = inside.shape[:2]
        patch[:rows, :cols] = inside
        patch[rows:] = pad_value
        patch[:rows, cols:] = pad_value
    return patches


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
            number_of(channels, header.channels),
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
