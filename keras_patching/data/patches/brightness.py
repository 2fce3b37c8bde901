"""Makes pixels brighter or darker, in proportion to their own spread.

Levels that suit a photograph turn a dim microscopy image black. So the change
is a share of how far the image's own values are spread, and it is scaled from
black: black stays black, and nothing else becomes it.
"""

import math

import numpy as np

MOST = 0.4  # More would round the darkest level of integers to black.
_DARKEST, _BRIGHTEST = 1, 99  # percentiles: hot pixels do not count
_SAMPLE = 4096
_BYTES_AT_ONCE = 2**16


def brighten(pixels, share, value_range):
    """Scale pixels from black, so that the brightest move by a share.

    Args:
        pixels: Array `(height, width, ...)` of any real dtype, with values in
            `value_range`.
        share: Share of the spread of the values, from the 1st to the 99th
            percentile, that those of the 99th are moved by: -0.4 to 0.4,
            below 0 for darker. Pixels that are all alike stay as they are.
        value_range: `(black, white)`. The result is rounded for integers and
            clipped to it; of floats that lie beyond, as those of normalized
            images may, to the values that there are.

    Returns:
        New array of the same shape and dtype.
    """
    black, white = value_range
    factor = _factor(pixels, share, black)
    if pixels.dtype == np.uint8:
        # Every value that there is, once: looking up is quick.
        values = np.arange(256)
        table = _scaled(values, factor, black, white, pixels.dtype)
        return _looked_up(pixels, table)
    return _scaled(pixels, factor, black, white, pixels.dtype)


def _looked_up(pixels, table):
    """Give `table[pixels]` of bytes, in a third of the time."""
    found, table = np.empty(pixels.shape, "uint8"), table.tobytes()
    rows = max(_BYTES_AT_ONCE // max(math.prod(pixels.shape[1:]), 1), 1)
    for top in range(0, len(pixels), rows):
        part = pixels[top : top + rows]
        bright = np.frombuffer(part.tobytes().translate(table), "uint8")
        found[top : top + rows] = bright.reshape(part.shape)
    return found


def _factor(pixels, share, black):
    low, high = np.percentile(_sample(pixels), (_DARKEST, _BRIGHTEST))
    # Also of values that are not numbers.
    if not (low < high and high > black):
        return 1.0
    return 1 + share * min((high - low) / (high - black), 1.0)


def _sample(pixels):
    """Take some values from all over the image, the same ones each time."""
    step = max(pixels.size // _SAMPLE, 1)
    # Not every time of the same column, or of the same channel.
    while math.gcd(step, math.prod(pixels.shape[1:])) > 1:
        step += 1
    return pixels.reshape(-1)[::step]


def _scaled(values, factor, black, white, dtype):
    # float32 holds every integer of 16 bits, and stays float32 if it is that.
    work = np.result_type(dtype, np.float32)
    scaled = values.astype(work)
    scaled -= work.type(black)
    scaled *= work.type(factor)
    scaled += work.type(black)
    if dtype.kind in "ui":
        np.rint(scaled, out=scaled)
        limits = np.iinfo(dtype)
        black = max(math.ceil(black), limits.min)
        white = min(math.floor(white), limits.max)
    else:
        # Others than `min` and `max` they leave out what is no number.
        black = np.fmin(black, np.fmin.reduce(values, axis=None))
        white = np.fmax(white, np.fmax.reduce(values, axis=None))
    np.clip(scaled, black, white, out=scaled)
    return scaled.astype(dtype)
