"""How the values of a whole image are scaled, by what they are in all of it.

The numbers come from the whole image where it is small, and else from windows
whose places its shape alone decides: the same image gives the same numbers,
whoever reads it, in training and in prediction.
"""

import math

import numpy as np

from keras_patching._checks import as_value_range

NORMALIZATIONS = ("percentile", "zscore")
# Of an image, black and white; hot pixels and specks do not count. As in
# csbdeep and StarDist.
_PERCENTILES = (1, 99.8)
# Black and white of scores: next to all pixels lie between.
_SCORES = (-3.0, 3.0)
# What a `value_range` is that nobody has chosen.
_UNCHOSEN = ([0.0, 255.0], list(_SCORES))

# How many values are looked at; a pixel of fewer than four counts as four.
_MOST_VALUES = 2**24
_LEAST_CHANNELS = 4
# A window lies in one tile of files whose tiles are a multiple of it.
_SIDE = 128
_LEAST_WINDOWS = 16


def check_normalization(normalize, value_range):
    """Give the range of values that normalized images have, nearly all.

    Args:
        normalize: One of `NORMALIZATIONS`, or `None`.
        value_range: `(black, white)` that images are to have.

    Returns:
        `[black, white]` as floats; of scores -3 and 3.

    Raises:
        ValueError: There is no such normalization, or it has no such range.
    """
    value_range = as_value_range(value_range)
    if normalize not in (None, *NORMALIZATIONS):
        raise ValueError(
            '`normalize` must be "percentile", "zscore", or None, which takes '
            f"images as they are. Received: normalize={normalize!r}"
        )
    if normalize != "zscore":
        return value_range
    if value_range not in _UNCHOSEN:
        raise ValueError(
            'Images that normalize="zscore" makes have a mean of 0 and a '
            "deviation of 1, whatever `value_range` is: leave it out. "
            f"Received: value_range={tuple(value_range)}"
        )
    return list(_SCORES)


class Scaling:
    """What is done to the values of an image, per channel.

    Args:
        offset, scale: Arrays `(channels,)`: the first is subtracted, by the
            second it is multiplied.
        base: What is added then.
        black: What pixels become that are none.
    """

    def __init__(self, offset, scale, base, black):
        self._offset, self._scale = offset, scale
        self._base, self._black = base, black

    def apply(self, pixels, known):
        """Scale a window.

        Args:
            pixels: Array `(height, width, channels)` of numbers.
            known: Booleans `(height, width)`: which are any.

        Returns:
            float32 array of the same shape.
        """
        if pixels.dtype.kind not in "biuf":  # as bfloat16
            pixels = pixels.astype("float32")
        # float32 holds every integer of 16 bits.
        work = np.result_type(pixels.dtype, np.float32)
        scaled = pixels.astype(work)
        offset = self._offset.astype(work)
        # What rounding takes from the offset is put back into the base.
        base = self._base + (offset - self._offset) * self._scale
        with np.errstate(invalid="ignore", over="ignore"):
            scaled -= offset
            scaled *= self._scale.astype(work)
            scaled += base.astype(work)
        if pixels.dtype.kind not in "biu":
            scaled[~np.isfinite(pixels)] = self._black
        if not known.all():
            scaled[~known] = self._black
        return scaled.astype("float32", copy=False)


def find_scaling(windows, normalize, value_range):
    """Look at an image, and find how its values are scaled.

    Args:
        windows: `ConvertedWindows` of the image.
        normalize: One of `NORMALIZATIONS`.
        value_range: `(black, white)`.

    Returns:
        A `Scaling`.
    """
    black, white = value_range
    look = _by_percentiles if normalize == "percentile" else _by_deviation
    found = [look(values) for values in _sample(windows)]
    offset, spread = np.asarray(found, "float64").T
    # A channel that is all alike has no spread: it becomes black, or 0.
    spread = np.where(spread > 0, spread, 1)
    if normalize == "zscore":
        return Scaling(offset, 1 / spread, 0, black)
    return Scaling(offset, (white - black) / spread, black, black)


def _by_percentiles(values):
    if not values.size:
        return 0, 0
    low, high = np.percentile(values, _PERCENTILES, overwrite_input=True)
    if low == high:  # Next to all are alike: the others tell the spread.
        low, high = float(values.min()), float(values.max())
    return low, high - low


def _by_deviation(values):
    if not values.size:
        return 0, 0
    lowest, highest = float(values.min()), float(values.max())
    if lowest == highest:  # Rounding would make a deviation of it.
        return lowest, 0
    return values.mean(dtype="float64"), values.std(dtype="float64")


def _sample(windows):
    """Give the values of each channel, of pixels that are any."""
    channels = [[] for _ in range(windows.shape[2])]
    for window in sampled_windows(windows.shape):
        pixels, known = windows.read_known(*window)
        if pixels.dtype.kind not in "iu" and pixels.dtype.itemsize < 4:
            pixels = pixels.astype("float32")
        pixels = pixels[known]
        for values, each in zip(channels, pixels.T, strict=True):
            values.append(each[np.isfinite(each)])
    return map(np.concatenate, channels)


def sampled_windows(shape):
    """Give the windows of an image that are looked at.

    Args:
        shape: `(height, width, channels)`.

    Returns:
        List of `(y, height, x, width)`: the whole image, or windows of 128 x
        128 pixels that are spread evenly over a large one.

    Example:

    >>> sampled_windows((2048, 2048, 3))
    [(0, 2048, 0, 2048)]
    >>> windows = sampled_windows((20000, 20000, 3))
    >>> len(windows), windows[0], windows[-1]
    (256, (512, 128, 512, 128), (19456, 128, 19456, 128))
    """
    height, width, channels = shape
    channels = max(channels, _LEAST_CHANNELS)
    if height * width * channels <= _MOST_VALUES:
        return [(0, height, 0, width)]
    count = _MOST_VALUES // (_SIDE * _SIDE * channels)
    count = max(count, _LEAST_WINDOWS)
    wanted = max(1, round(math.sqrt(count * height / width)))
    rows = _spread(height, min(wanted, count))
    columns = _spread(width, count // len(rows))
    return [(*row, *column) for row in rows for column in columns]


def _spread(length, count):
    """Give so many blocks of a length, or all, as pairs of start and size."""
    blocks = (length + _SIDE - 1) // _SIDE
    count = min(count, blocks)
    starts = [(2 * i + 1) * blocks // (2 * count) * _SIDE for i in range(count)]
    return [(start, min(_SIDE, length - start)) for start in starts]
