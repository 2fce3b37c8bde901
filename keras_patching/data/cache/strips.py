"""Whole images in shards: cut into strips of a few columns each.

The rows of a wide image lie far apart in a file, so that a window of it would
be as many reads as it has rows. Those of a strip lie side by side: a window is
read in the one or two pieces of the strips that it lies in.
"""

import numpy as np

# Few enough that little is read beside a window, and enough that a window lies
# in few strips.
_MOST_COLUMNS = 256


def strips_shape(image_size, channels):
    """Give the shape of the strips of an image.

    Args:
        image_size: `(height, width)` in pixels.
        channels: Number of channels.

    Returns:
        `(strips, height, columns, channels)`; the last strip may reach beyond
        the image.

    Example:

    >>> strips_shape((3000, 4000), 3)
    (16, 3000, 250, 3)
    """
    height, width = (int(length) for length in image_size)
    strips = _divide_up(width, _MOST_COLUMNS)
    return strips, height, _divide_up(width, strips), int(channels)


def as_strips(image):
    """Cut an image into strips.

    Args:
        image: Array `(height, width, channels)`.

    Returns:
        Array of the same dtype and of `strips_shape`; 0 beyond the image.
    """
    height, width, channels = image.shape
    strips = np.zeros(strips_shape((height, width), channels), image.dtype)
    columns = strips.shape[2]
    for index, strip in enumerate(strips):
        part = image[:, index * columns : (index + 1) * columns]
        strip[:, : part.shape[1]] = part
    return strips


def _divide_up(length, by):
    return (length + by - 1) // by
