"""Results of images that were resized, in the pixels of their files again."""

import math

import numpy as np

from keras_patching.data.images.resampling import Resampling

# Values of a band that are made at once.
_MOST_VALUES = 2**24


class BandResampler:
    """Rows of a result at another size, as soon as what they need is there.

    Args:
        scale: `ReadScale` from the result to what it is to be.
        method: How, see `resampling.METHODS`.
    """

    def __init__(self, scale, method):
        lengths = zip(scale.file_size, scale.size, strict=True)
        self._down, self._across = (
            Resampling(*pair, method) for pair in lengths
        )
        self._begins, self._ends = self._down.spans(0, scale.size[0])
        self._rows, self._top, self._next = None, 0, 0

    def needed_for(self, row):
        """Give the first row that is needed for a new row and all below it."""
        if row >= len(self._begins):
            return self._down.length
        return int(self._begins[row])

    def add(self, y, band):
        """Take rows.

        Args:
            y: Index of the first of them. Where it is not the next, it is begun
                anew.
            band: Array `(rows, width, ...)`.

        Yields:
            Pairs of the index of a new row and an array `(rows, new width,
            ...)` of the dtype of the band, from there on.
        """
        made = self._across.apply(band, 1, 0, self._across.new_length)
        if self._rows is None or y != self._top + len(self._rows):
            self._rows, self._top = made, y
            self._next = int(np.searchsorted(self._begins, y))
        else:
            self._rows = np.concatenate([self._rows, made])
        there = self._top + len(self._rows)
        stop = int(np.searchsorted(self._ends, there, "right"))
        step = max(_MOST_VALUES // max(math.prod(made.shape[1:]), 1), 1)
        for first in range(self._next, stop, step):
            last = min(first + step, stop)
            begin = self.needed_for(first) - self._top
            end = int(self._ends[last - 1]) - self._top
            rows = self._down.apply(
                self._rows[begin:end], 0, first, last, begin + self._top
            )
            yield first, rows.astype(band.dtype, copy=False)
        self._next = max(stop, self._next)
        done = min(self.needed_for(self._next) - self._top, len(self._rows))
        self._rows, self._top = self._rows[done:].copy(), self._top + done


class ResampledTarget:
    """A target in pixels of a file, that takes rows of what was read of it.

    Args:
        target: As of `open_target`, in pixels of the file.
        scale: `ReadScale` of the result.
        method: How, see `resampling.METHODS`.

    Attributes:
        rows_done: Rows of what was read, that need not come any more.
    """

    def __init__(self, target, scale, method):
        self._target = target
        self._bands = BandResampler(scale.to_file, method)
        self.rows_done = 0
        if getattr(target, "rows_done", 0):
            self.rows_done = self._bands.needed_for(target.rows_done)

    @property
    def is_done(self):
        """Whether the target is whole."""
        return self._target.is_done

    def write(self, y, band):
        """Write rows `(rows, width, ...)`, the first of them row `y`."""
        for first, rows in self._bands.add(y, band):
            self._target.write(first, rows)

    def finish(self):
        """Finish the target, and give what it gives."""
        return self._target.finish()

    def abandon(self):
        """Abandon the target."""
        self._target.abandon()


class ResampledResult:
    """A result in pixels of a file, of rows of what was read of it.

    Args:
        result: Takes bands in pixels of the file.
        scale: `ReadScale` of the result.
        method: How, see `resampling.METHODS`.
    """

    def __init__(self, result, scale, method):
        self._result = result
        self._bands = BandResampler(scale.to_file, method)
        self._rows = 0

    def add(self, index, band):
        """Take the next rows of what was read."""
        for _, rows in self._bands.add(self._rows, band):
            self._result.add(index, rows)
        self._rows += len(band)

    def finish(self, *args):
        """End it, as the result does."""
        return self._result.finish(*args)


class MovedObjects:
    """A result of objects, that are moved to the pixels of the file.

    Args:
        result: Takes bands, and gives a dict of `boxes` or `points` in the end.
        scale: `ReadScale` of the image.
    """

    def __init__(self, result, scale):
        self._result, self._scale = result, scale

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._result, name)

    def finish(self):
        """Give the dict, in pixels of the file."""
        return moved_objects(self._result.finish(), self._scale)


def moved_objects(found, scale):
    """Move `points` and `boxes` of a dict to the pixels of the file.

    Args:
        found: Dict of what was found in an image as it was read.
        scale: `ReadScale` of the image.
    """
    back = scale.to_file
    move = {"points": back.points, "boxes": back.boxes}
    return {
        name: move[name](value) if name in move else value
        for name, value in found.items()
    }
