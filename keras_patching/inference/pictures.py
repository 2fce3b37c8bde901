"""Whole images to draw on, of rows that come and go."""

import math

import numpy as np

from keras_patching.visualization import to_uint8

# Larger images are drawn smaller, and their results not held in memory.
MOST_PIXELS = 2**26
_SHOWN_PIXELS = 2**22


def is_large(size):
    """Tell whether an image of `(height, width)` pixels is not held whole."""
    return math.prod(size) > MOST_PIXELS


def step_of(size):
    """Give of how many rows and columns of an image one is drawn."""
    if not is_large(size):
        return 1
    return math.ceil(math.sqrt(math.prod(size) / _SHOWN_PIXELS))


def shown_range(source, model):
    """Tell how pixels of an image are shown.

    Args:
        source: `ImageSource` of the image.
        model: Task model.

    Returns:
        `(black, white)` of what the model sees, which is what is shown of more
        than 8 bits that are normalized: a hot pixel would leave all others
        dark. `None` for pixels as they are stored.
    """
    is_shown_as_it_is = source.stored_dtype == np.uint8
    if model.normalize is None or is_shown_as_it_is:
        return None
    return model.value_range


class Picture:
    """An image, or every so many rows and columns of a large one.

    Args:
        size: `(height, width)` of the image in pixels.
        step: Of how many rows and columns one is kept.

    Attributes:
        step: As given.
        pixels: Array `(ceil(height / step), ceil(width / step), ...)`; `None`
            before the first rows came.
    """

    def __init__(self, size, step):
        self.step = step
        self.pixels = None
        self._size = [math.ceil(length / step) for length in size]

    def add(self, window, y, x=0):
        """Take a window; one that came before may come again.

        Args:
            window: Array `(rows, columns, ...)`.
            y, x: Its first row and column.
        """
        if self.pixels is None:
            shape = *self._size, *window.shape[2:]
            self.pixels = np.zeros(shape, window.dtype)
        step = self.step
        part = window[-y % step :: step, -x % step :: step]
        top, left = math.ceil(y / step), math.ceil(x / step)
        height, width = part.shape[:2]
        self.pixels[top : top + height, left : left + width] = part


class PicturedSource:
    """A source of which a picture is made while it is read.

    Args:
        source: `ImageSource`.
        value_range: As of `shown_range`.

    Attributes:
        picture: `Picture` of it.
        name, stem, shape, dtype, identity, original, downsample, pixel_size:
            As of the source.
    """

    def __init__(self, source, value_range=None):
        self._source, self._value_range = source, value_range
        self.name, self.stem = source.name, source.stem
        self.shape, self.dtype = source.shape, source.dtype
        self.identity, self.original = source.identity, source.original
        self.downsample, self.pixel_size = source.downsample, source.pixel_size
        size = source.shape[:2]
        self.picture = Picture(size, step_of(size))
        if value_range is None:
            source.watch(self.picture.add)

    def read(self, y, height, x=0, width=None):
        """Read a window, as the source does."""
        window = self._source.read(y, height, x, width)
        if self._value_range is not None:
            self.picture.add(to_uint8(window, self._value_range), y, x)
        return window

    def open_known(self):
        """Open what tells which pixels have data, as the source does."""
        return self._source.open_known()

    def close(self):
        """Close the source; the picture stays."""
        self._source.close()
