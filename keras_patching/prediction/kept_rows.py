"""Which rows of an image are kept, where its rows are streamed."""

import collections

import numpy as np

from keras_patching.geometry import round_up

# Rows of a place, which is kept or filled as a whole. It depends on nothing:
# results are the same however many rows a step has.
PLACE = 64


class KeptRows:
    """The rows of an image that are kept, found out as they are asked for.

    Args:
        job: `ImageJob`.
        rows: Rows of a band, what is read at once.
        stride: What the rows of a place are a multiple of.
        reach: Rows around a place that its results depend on.
    """

    def __init__(self, job, rows, stride, reach):
        self._job, self._rows = job, rows
        self._place = round_up(PLACE, stride)
        # Of each place whether it is kept; what is done is not looked at.
        self._known = [True] * (job.rows_done // self._place)
        # Bands are looked at, and then computed: as many as lie between.
        most = 3 + (self._place + 2 * reach) // rows
        self._held = collections.deque(maxlen=most)

    def places(self):
        """Yield the first row, and that after the last, of what is to be done.

        Those of one place after the other, or of all, where all is kept.
        """
        job, height = self._job, self._job.size[0]
        if job.keep is None:
            yield job.rows_done, height
            return
        start = job.rows_done // self._place * self._place
        for y in range(start, height, self._place):
            self.look_to(y + 1)
            if job.error is not None:
                return
            if self._known[y // self._place]:
                yield max(y, job.rows_done), min(y + self._place, height)

    def look_to(self, row):
        """Find out which places above a row are kept."""
        job, (height, width) = self._job, self._job.size
        if job.keep is None:
            return
        while (y := len(self._known) * self._place) < min(row, height):
            count = min(self._place, height - y)
            pixels = self.read(y, count) if job.keep.looks else None
            is_kept = job.look(y, count, pixels)(0, width)
            if job.error is not None:
                return
            self._known.append(bool(is_kept))

    def read(self, y, count):
        """Read rows, also those that were looked at, or `None`."""
        if self._job.keep is None or not self._job.keep.looks:
            return self._job.read(y, count)
        first = y // self._rows * self._rows
        bands = [
            self._read_band(start)
            for start in range(first, y + count, self._rows)
        ]
        if any(band is None for band in bands):
            return None
        found = bands[0] if len(bands) == 1 else np.concatenate(bands)
        return found[y - first : y - first + count]

    def _read_band(self, y):
        for start, band in self._held:
            if start == y:
                return band
        count = min(self._rows, self._job.size[0] - y)
        self._held.append((y, self._job.read(y, count)))
        return self._held[-1][1]

    def empty(self, start, stop, scale):
        """Tell which rows of an output are of places that are not kept.

        Args:
            start, stop: The rows; those of the image must have been looked at.
            scale: Of the output, see `PatchOutputs`.

        Returns:
            Boolean array `(stop - start,)`, or `None` where all is kept.
        """
        if self._job.keep is None:
            return None
        numerator, denominator = scale
        rows = np.arange(start, stop)
        first = rows * denominator // numerator
        last = ((rows + 1) * denominator - 1) // numerator
        last = np.minimum(last, self._job.size[0] - 1)
        kept = np.cumsum([0, *self._known])
        return kept[last // self._place + 1] == kept[first // self._place]
