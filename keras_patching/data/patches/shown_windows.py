"""Which pixels of an image its patches show."""

import numpy as np

from keras_patching.geometry import pixel_for


def shown_windows(image_size, origins, patch_size, pad_mode="constant"):
    """Give the part of the image that each patch shows.

    What is padded with pixels of the image, as with `pad_mode="reflect"`,
    shows these.

    Args:
        image_size: `(height, width)` in pixels.
        origins: Pairs `(y, x)` of the patches' top-left corners, inside.
        patch_size: `(height, width)` in pixels.
        pad_mode: One of `PAD_MODES`.

    Returns:
        Integers `(patches, 4)` of y1, x1, y2, x2 in pixels of the image, the
        ends exclusive.
    """
    first = np.asarray(origins, int).reshape(-1, 2)
    last = np.minimum(first + patch_size, image_size)
    if pad_mode != "constant":
        first = first.copy()
        for axis, (length, patch) in enumerate(
            zip(image_size, patch_size, strict=True)
        ):
            beyond = first[:, axis] + patch > length
            for origin in np.unique(first[beyond, axis]):
                indices = np.arange(origin, origin + patch)
                shown = pixel_for(
                    indices, length, pad_mode, minimum=np.minimum
                ).min()
                first[first[:, axis] == origin, axis] = min(shown, origin)
    return np.concatenate([first, last], axis=1)
