"""Arrays at another size along an axis, whole or any part of them.

Pixel `i` reaches from `i` to `i + 1`, so that of `new` pixels in the place of
`length` each is `length / new` long. What a new pixel is made of depends on its
number alone, never on the part that is asked for: parts are, bit for bit, those
of the whole.

- "linear" is Pillow's `BILINEAR`: what is made smaller is averaged over all
  that a new pixel covers, and some more.
- "nearest" takes the pixel that the new one has its center in.
- "sum" keeps the sum of all values: what is in a pixel is shared by the new
  ones that it lies under.
"""

import functools
import math

import numpy as np

METHODS = "linear", "nearest", "sum"
# Of the image, that are floats at once while it gets another size.
_MOST_PIXELS = 2**22


class Resampling:
    """How one axis gets another length.

    Args:
        length: Its length.
        new_length: Its new length.
        method: One of `METHODS`.
    """

    def __init__(self, length, new_length, method):
        self.length, self.new_length = int(length), int(new_length)
        self.method = method

    def spans(self, first, stop):
        """Give what new pixels are made of.

        Args:
            first, stop: The first of them, and the one after the last.

        Returns:
            Integer arrays: for each its first pixel, and the one after its
            last.
        """
        new = np.arange(first, stop)
        if self.method == "linear":
            centers, reach = self._centers(new)
            begins = np.floor(centers - reach + 0.5).astype(int).clip(0)
            ends = np.floor(centers + reach + 0.5).astype(int)
            return begins, ends.clip(max=self.length)
        if self.method == "nearest":
            begins = (2 * new + 1) * self.length // (2 * self.new_length)
            return begins, begins + 1
        begins = new * self.length // self.new_length
        ends = (new + 1) * self.length + self.new_length - 1
        return begins, ends // self.new_length

    def apply(self, pixels, axis, first, stop, offset=0):
        """Make new pixels.

        Args:
            pixels: Array, with all that they are made of.
            axis: Which of its axes.
            first, stop: The first of them, and the one after the last.
            offset: Number of the first pixel along the axis.

        Returns:
            Array with `stop - first` along the axis, of floats where values
            are averaged.
        """
        if self.length == self.new_length:
            places = [slice(None)] * axis
            return pixels[(*places, slice(first - offset, stop - offset))]
        begins, ends = self.spans(first, stop)
        if self.method == "nearest":
            return pixels.take(begins - offset, axis)
        moved = np.moveaxis(pixels, axis, 0)
        least = "float64" if self.method == "sum" else "float32"
        dtype = np.result_type(pixels.dtype, least)
        rows = np.ascontiguousarray(moved, dtype).reshape(len(moved), -1)
        weights = self._weights(begins, ends, first, stop)
        made = _matrix(weights, begins - offset, ends - offset, rows) @ rows
        made = made.reshape(stop - first, *moved.shape[1:])
        return np.moveaxis(made, 0, axis)

    def _centers(self, new):
        scale = self.length / self.new_length
        return (new + 0.5) * scale, max(scale, 1.0)

    @functools.cached_property
    def _most(self):
        """The most pixels that a new one is made of.

        Sums of as many numbers for each part of the whole are the same.
        """
        begins, ends = self.spans(0, self.new_length)
        return int((ends - begins).max())

    def _weights(self, begins, ends, first, stop):
        new = np.arange(first, stop)
        pixels = begins[:, None] + np.arange(self._most)
        if self.method == "linear":
            centers, reach = self._centers(new)
            far = np.abs(pixels + 0.5 - centers[:, None])
            weights = (1 - far / reach).clip(0)
            weights[pixels >= ends[:, None]] = 0
            return weights / weights.sum(axis=1, keepdims=True)
        new = new[:, None]
        # In pixels of `1 / new_length`, which are whole numbers.
        top = np.maximum(new * self.length, pixels * self.new_length)
        bottom = np.minimum(
            (new + 1) * self.length, (pixels + 1) * self.new_length
        )
        return (bottom - top).clip(0) / self.new_length


def _matrix(weights, begins, ends, rows):
    """Give the weights as a sparse matrix from rows to new rows."""
    from scipy.sparse import csr_array

    columns = begins[:, None] + np.arange(weights.shape[1])
    is_used = columns < ends[:, None]
    starts = np.concatenate([[0], is_used.sum(axis=1).cumsum()])
    shape = len(weights), len(rows)
    values = weights[is_used].astype(rows.dtype)
    return csr_array((values, columns[is_used], starts), shape=shape)


def resampled(array, new_size, method):
    """Give an array `(height, width, ...)` at another size.

    Args:
        array: Array of numbers.
        new_size: `(height, width)`.
        method: One of `METHODS`.

    Returns:
        Array `(*new_size, ...)` of the same dtype; integers are rounded.
    """
    if tuple(array.shape[:2]) == tuple(new_size):
        return array

    def read(y, height, x, width):
        return array[y : y + height, x : x + width]

    size, window = array.shape[:2], (0, new_size[0], 0, new_size[1])
    return resampled_window(read, size, new_size, method, window)


def resampled_window(read, size, new_size, method, window):
    """Give a window of an array at another size, a few rows at a time.

    Args:
        read: Function of `y, height, x, width` that gives a window of the
            array, `(height, width, ...)`.
        size: `(height, width)` of the array.
        new_size: `(height, width)` that it is to have.
        method: One of `METHODS`.
        window: `(y, height, x, width)` at the new size.

    Returns:
        Array `(height, width, ...)` of the same dtype; integers are rounded.
    """
    y, height, x, width = window
    down, across = (
        _resampling(int(length), int(new), method)
        for length, new in zip(size, new_size, strict=True)
    )
    left, right = _reach(across, x, x + width)
    rows_each = math.ceil(down.length / down.new_length) * (right - left)
    step = max(_MOST_PIXELS // rows_each, 1)
    parts = []
    for first in range(y, y + height, step):
        stop = min(first + step, y + height)
        top, bottom = _reach(down, first, stop)
        pixels = read(top, bottom - top, left, right - left)
        made = down.apply(pixels, 0, first, stop, top)
        made = across.apply(made, 1, x, x + width, left)
        parts.append(_as_dtype(made, pixels.dtype))
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


@functools.lru_cache(maxsize=64)
def _resampling(length, new_length, method):
    return Resampling(length, new_length, method)


def _reach(resampling, first, stop):
    """Give the first pixel of some new ones, and the one after the last."""
    begins, ends = resampling.spans(first, stop)
    return int(begins[0]), int(ends[-1])


def _as_dtype(made, dtype):
    if made.dtype.kind == "f" and dtype.kind in "iub":
        made = np.rint(made)
    return made.astype(dtype, copy=False)
