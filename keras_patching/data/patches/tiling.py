"""Patches that tile an image."""

import numpy as np

from keras_patching.data.cache.pieces import Pieces, rows_of_piece
from keras_patching.geometry import pixel_for


def cut_patches(image, origins, patch_size, pad_value, pad_mode="constant"):
    """Cut patches out of an image that is padded at the bottom and right.

    Args:
        image: Array `(height, width, ...)`.
        origins: Pairs `(y, x)` of the patches' top-left corners, inside.
        patch_size: `(height, width)` in pixels.
        pad_value: Value of the pixels beyond the image.
        pad_mode: One of `PAD_MODES`; others than "constant" copy pixels.

    Returns:
        Array `(patches, patch height, patch width, ...)` of the same dtype.
    """
    image = _padded(image, origins, patch_size, pad_mode)
    shape = (len(origins), *patch_size, *image.shape[2:])
    patches = np.empty(shape, image.dtype)
    _fill(patches, image, origins, pad_value)
    return patches


def cut_pieces(image, origins, patch_size, pad_value, pad_mode="constant"):
    """Cut patches as `cut_patches` does, a few at a time.

    Returns:
        `Pieces` of the same array.
    """
    image = _padded(image, origins, patch_size, pad_mode)
    shape = (*patch_size, *image.shape[2:])
    count = rows_of_piece(shape, image.dtype, len(origins))

    def cut():
        patches = np.empty((count, *shape), image.dtype)
        for first in range(0, len(origins), count):
            some = origins[first : first + count]
            _fill(patches[: len(some)], image, some, pad_value)
            yield patches[: len(some)]

    return Pieces((len(origins), *shape), image.dtype, cut)


def _fill(patches, image, origins, pad_value):
    height, width = patches.shape[1:3]
    for patch, (y, x) in zip(patches, origins, strict=True):
        inside = image[y : y + height, x : x + width]
        rows, cols = inside.shape[:2]
        patch[:rows, :cols] = inside
        patch[rows:] = pad_value
        patch[:rows, cols:] = pad_value


def _padded(image, origins, patch_size, pad_mode):
    """Copy pixels of an image so that no patch reaches beyond it."""
    if pad_mode == "constant":
        return image
    for axis, patch in enumerate(patch_size):
        end = max(origin[axis] for origin in origins) + patch
        length = image.shape[axis]
        if end > length:
            indices = np.arange(end)
            pixels = pixel_for(indices, length, pad_mode, minimum=np.minimum)
            image = image.take(pixels, axis)
    return image
