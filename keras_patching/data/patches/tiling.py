"""Patches that tile an image."""

import numpy as np

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
    if pad_mode != "constant":
        image = _padded(image, origins, patch_size, pad_mode)
    shape = (len(origins), *patch_size, *image.shape[2:])
    patches = np.empty(shape, image.dtype)
    for patch, (y, x) in zip(patches, origins, strict=True):
        inside = image[y : y + patch_size[0], x : x + patch_size[1]]
        rows, cols = inside.shape[:2]
        patch[:rows, :cols] = inside
        patch[rows:] = pad_value
        patch[:rows, cols:] = pad_value
    return patches


def _padded(image, origins, patch_size, pad_mode):
    """Pad an image so that no patch reaches beyond it."""
    for axis, patch in enumerate(patch_size):
        end = max(origin[axis] for origin in origins) + patch
        length = image.shape[axis]
        if end > length:
            indices = np.arange(end)
            pixels = pixel_for(indices, length, pad_mode, minimum=np.minimum)
            image = image.take(pixels, axis)
    return image
