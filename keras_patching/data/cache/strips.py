"""Whole images in shards, or labels of their size, cut into strips of columns.

The rows of a wide image lie far apart in a file, so that a window of it would
be as many reads as it has rows. Those of a strip lie side by side: a window is
read in the one or two pieces of the strips that it lies in.
"""

import numpy as np

from keras_patching.data.cache.pieces import Pieces, rows_of_piece, whole

# Few enough that little is read beside a window, and enough that a window lies
# in few strips.
_MOST_COLUMNS = 256


def strips_shape(image_size, *pixel_shape):
    """Give the shape of the strips of an image.

    Args:
        image_size: `(height, width)` in pixels.
        *pixel_shape: Number of channels; nothing for labels without.

    Returns:
        `(strips, height, columns, *pixel_shape)`; the last strip may reach
        beyond the image.

    Example:

    >>> strips_shape((3000, 4000), 3), strips_shape((3000, 4000))
    ((16, 3000, 250, 3), (16, 3000, 250))
    """
    height, width = (int(length) for length in image_size)
    strips = _divide_up(width, _MOST_COLUMNS)
    return strips, height, _divide_up(width, strips), *map(int, pixel_shape)


def as_strips(image):
    """Cut an image into strips.

    Args:
        image: Array `(height, width, ...)`.

    Returns:
        Array of the same dtype and of `strips_shape`; 0 beyond the image.
    """
    return whole(strip_pieces(image))


def strip_pieces(image):
    """Cut an image into strips, a few rows at a time.

    Args:
        image: Array `(height, width, ...)`.

    Returns:
        `Pieces` of the array of `as_strips`.
    """
    height, width, *pixel_shape = image.shape
    shape = strips_shape((height, width), *pixel_shape)
    count = rows_of_piece(shape[2:], image.dtype, height)

    def cut():
        rows = np.empty((count, *shape[2:]), image.dtype)
        for left in range(0, shape[0] * shape[2], shape[2]):
            for top in range(0, height, count):
                part = image[top : top + count, left : left + shape[2]]
                rows[: len(part), : part.shape[1]] = part
                rows[:, part.shape[1] :] = 0
                yield rows[: len(part)]

    return Pieces(shape, image.dtype, cut)


def as_image(strips, width):
    """Put strips together; `as_strips(as_image(strips, width))` are they.

    Args:
        strips: Array as of `as_strips`.
        width: Width of the image in pixels.

    Returns:
        Array `(height, width, ...)`.
    """
    return np.concatenate(list(strips), axis=1)[:, :width]


def _divide_up(length, by):
    return (length + by - 1) // by
