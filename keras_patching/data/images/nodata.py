"""Pixels that have no data: by a value for it, a mask, or alpha."""

import contextlib
import decimal

import numpy as np

# The tag is text, which may be rounded.
_ROUNDING = 1e-5


def nodata_value(text, dtype):
    """Give the number that stands for no data, or `None`.

    Args:
        text: What a TIFF declares, or `None`.
        dtype: NumPy dtype of the pixels; what it cannot hold stands for
            nothing.
    """
    with contextlib.suppress(TypeError, ValueError, ArithmeticError):
        if dtype.kind == "f":
            return np.float64(float(text))
        # A float would round integers of 64 bits.
        limits, value = np.iinfo(dtype), decimal.Decimal(text)
        if limits.min <= value <= limits.max and value == int(value):
            return dtype.type(int(value))
    return None


def has_data(stored, alpha, text):
    """Tell which pixels have data.

    Args:
        stored: Array `(height, width, channels)`.
        alpha: Whether the last channel is alpha.
        text: As for `nodata_value`.

    Returns:
        Booleans `(height, width)`: false where the image is transparent, and
        where channels hold the value for no data: all of them in integers
        without a sign, where the value may be a colour, else any.
    """
    known = np.ones(stored.shape[:2], bool)
    if alpha:
        known = stored[..., -1] != 0
        stored = stored[..., :-1]
    value = nodata_value(text, stored.dtype)
    if value is None:
        return known
    if stored.dtype.kind == "f":
        is_none = np.isclose(stored, value, _ROUNDING, 0, equal_nan=True)
    else:
        is_none = stored == value
    together = np.all if stored.dtype.kind in "ub" else np.any
    return known & ~together(is_none, axis=-1)
