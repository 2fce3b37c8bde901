"""Places where images have no data, and results none there.

Pixels without data are read from the file once more, in the order in which
results are written: what was read ahead of them is not held so long.
"""

import numpy as np

from keras_patching.box_geometry import box_centers
from keras_patching.data.images.resampling import Resampling


class KnownRows:
    """Which pixels of a result are of pixels that have data.

    Args:
        windows: Windows of the image as it is stored, with `known`.
        size: `(height, width)` that the image is read at.
        scale: Of the result, see `PatchOutputs`.
    """

    def __init__(self, windows, size=None, scale=(1, 1)):
        self._windows = windows
        self._size = tuple(windows.shape[:2] if size is None else size)
        self._scale = scale

    def at(self, scale):
        """Give the same of a result of another scale."""
        return KnownRows(self._windows, self._size, scale)

    def unknown(self, y, count):
        """Tell which pixels of rows of the result have no data.

        Args:
            y: Index of the first row.
            count: Number of rows.

        Returns:
            Booleans `(count, width)`: true where no pixel that one stands for
            has data; `None` where all have some.
        """
        numerator, denominator = self._scale
        first = y // numerator * denominator
        stop = -(-(y + count) // numerator) * denominator
        known = self._read(first, min(stop, self._size[0]) - first)
        if known is None or known.all():
            return None
        for axis in (0, 1):
            known = _scaled(known, axis, numerator, denominator)
        top = y - y // numerator * numerator
        return ~known[top : top + count]

    def _read(self, y, count):
        """Tell which pixels of rows, as they are read, have data."""
        (height, width), read = self._windows.shape[:2], self._size
        if (height, width) == read:
            return self._windows.known(y, count, 0, width)
        (tops, bottoms), (lefts, rights) = (
            Resampling(stored, length, "sum").spans(begin, begin + number)
            for begin, number, stored, length in zip(
                (y, 0), (count, read[1]), (height, width), read, strict=True
            )
        )
        top, bottom = int(tops[0]), int(bottoms[-1])
        known = self._windows.known(top, bottom - top, 0, width)
        if known is None:
            return None
        known = _any_within(known, 0, tops - top, bottoms - top)
        return _any_within(known, 1, lefts, rights)

    def have_data(self, points):
        """Tell which of some places in the file lie on pixels that have data.

        Args:
            points: Array `(n, 2)` of (y, x) in pixels of the file.
        """
        height, width = self._windows.shape[:2]
        pixels = np.floor(points).astype(int)
        pixels = pixels.clip(0, (height - 1, width - 1))
        found = np.ones(len(pixels), bool)
        for index in np.argsort(pixels[:, 0], kind="stable"):
            y, x = pixels[index].tolist()
            known = self._windows.known(y, 1, x, 1)
            found[index] = known is None or bool(known[0, 0])
        return found

    def close(self):
        """Close what it is read from."""
        self._windows.close()


def _any_within(known, axis, begins, ends):
    """Tell where any of some pixels along an axis is known."""
    counts = np.insert(known.cumsum(axis=axis), 0, 0, axis=axis)
    return counts.take(ends, axis) > counts.take(begins, axis)


def _scaled(known, axis, numerator, denominator):
    """Give pixels of a result, of which each stands for some, or for a part."""
    length = known.shape[axis]
    missing = -length % denominator
    if missing:
        widths = [(0, 0), (0, 0)]
        widths[axis] = 0, missing
        known = np.pad(known, widths)
    if denominator > 1:
        shape = list(known.shape)
        shape[axis : axis + 1] = shape[axis] // denominator, denominator
        known = known.reshape(shape).any(axis=axis + 1)
    return np.repeat(known, numerator, axis) if numerator > 1 else known


class KnownTarget:
    """A target of rows in which pixels without data get a value for it.

    Args:
        target: As of `open_target`, in pixels of the file.
        rows: `KnownRows` of it.
        missing: The value; `None` leaves them as they are.
    """

    def __init__(self, target, rows, missing):
        self._target, self._rows, self._missing = target, rows, missing

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._target, name)

    def unknown(self, y, count):
        """Tell which pixels have no data; as `KnownRows` does."""
        return self._rows.unknown(y, count)

    def write(self, y, band):
        """Write rows `(rows, width, ...)`, the first of them row `y`."""
        unknown = None
        if self._missing is not None:
            unknown = self.unknown(y, len(band))
        if unknown is not None and unknown.any():
            band = band.copy()
            band[unknown] = self._missing
        self._target.write(y, band)

    def finish(self):
        """Finish the target, and give what it gives."""
        self._rows.close()
        return self._target.finish()

    def abandon(self, **how):
        """Abandon the target."""
        self._rows.close()
        self._target.abandon(**how)


class KnownObjects:
    """The objects of an image whose centers lie on pixels that have data.

    Args:
        result: Gives a dict of `boxes`, xyxy in pixels of the file, and more
            arrays as long.
        rows: `KnownRows` of the image.
    """

    def __init__(self, result, rows):
        self._result, self._rows = result, rows

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._result, name)

    def finish(self):
        """Give those objects alone."""
        found = self._result.finish()
        if "boxes" in found:
            boxes = np.asarray(found["boxes"], "float64")
            kept = self._rows.have_data(box_centers(boxes))
            found = {name: values[kept] for name, values in found.items()}
        self._rows.close()
        return found

    def abandon(self):
        """Abandon the result."""
        self._rows.close()
        self._result.abandon()
