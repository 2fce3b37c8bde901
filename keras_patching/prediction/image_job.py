"""One image on its way from its source to its result."""

from keras_patching.ops.patches import scaled_length


class ImageJob:
    """One image on its way from its source to its result.

    What goes wrong with one image is kept with it: others go on.

    Args:
        number: Its place among the images.
        source: `ImageSource`.
        result: Takes its bands: has `add(index, band)`, `finish()` and
            `abandon()`; may have `check(band)`, which refuses what is no
            result, and `leave_out(row, col)`, for a patch that is not run.
        fill: What results hold where nothing is kept.

    Attributes:
        keep: What of it is kept, as of `open_keep`; `None` for all.
        known: `KnownRows` of the image as it is read; `None` where all pixels
            have data. Others are filled.
        rows_done: Rows of the image whose results are there already.
        value: What the result gave when it was finished.
        error: What was wrong with the image, or `None`.
        pixels: How many pixels are to be predicted.
        pixels_read: How many of these have been read.
    """

    def __init__(self, number, source, result, fill=0):
        self.number, self.source, self.result = number, source, result
        self.keep, self.fill, self.known = None, fill, None
        self.value = self.error = None
        self.rows_done = self._first = getattr(result, "rows_done", 0)
        is_done = getattr(result, "is_done", False)
        self.pixels = 0 if is_done else self._pixels_until(self.size[0])
        self.pixels_read = 0
        self._skipped, self._given, self._scales = {}, None, ()

    @property
    def size(self):
        """`(height, width)` of the image in pixels."""
        return tuple(self.source.shape[:2])

    @property
    def skipped(self):
        """Share of the image that was not computed, from 0 to 1."""
        return sum(self._skipped.values())

    def skip(self, place, share):
        """Note that some of a place, any that is hashable, is not computed."""
        self._skipped[place] = share

    def begin(self, scales):
        """Begin it, or begin again after the rows that were handed on.

        Args:
            scales: Of the outputs, see `PatchOutputs`.
        """
        self._scales = scales
        if self._given is None:
            self._given = [
                0 if scale is None else scaled_length(self.rows_done, scale)
                for scale in scales
            ]
        self.rows_done = min(map(image_rows, self._given, scales))

    def given(self, index):
        """Tell how many rows of an output were handed on, or were there."""
        return self._given[index]

    def read(self, y, height, x=0, width=None):
        """Read pixels, or `None` where that fails."""
        if self.error is None:
            # Rows that patches share are read more than once.
            self.pixels_read = self._pixels_until(y + height)
            try:
                return self.source.read(y, height, x, width)
            except Exception as error:
                self.fail(error)
        return None

    def _pixels_until(self, row):
        return max(row - self._first, 0) * self.size[1]

    def look(self, y, height, pixels=None):
        """Look at rows: give a function of `x, width` that tells what is kept.

        Args:
            y, height: The rows.
            pixels: These rows, where `keep.looks`; `None` could not be read.
        """
        if self.error is None and (pixels is not None or not self.keep.looks):
            try:
                return self.keep.strip(y, height, pixels)
            except Exception as error:
                self.fail(error)
        return lambda x, width: False

    def add(self, index, band, empty=None):
        """Hand a band on to the result.

        Args:
            index: Number of the output.
            band: Its next rows.
            empty: Boolean array `(rows,)` or `(rows, width)`, of what is
                filled; `None` for nothing.
        """
        first = self._given[index]
        self._given[index] += len(band)
        if self.error is None:
            try:
                unknown = self._unknown(index, first, len(band))
                if hasattr(self.result, "check"):
                    self.result.check(band)
                if empty is not None and empty.any():
                    band = band.copy()
                    band[empty] = self.fill
                if unknown is not None:
                    band = band.copy()
                    band[unknown] = self.fill
                self.result.add(index, band)
            except Exception as error:
                self.fail(error)

    def _unknown(self, index, first, count):
        """Tell which pixels of rows of an output have no data."""
        scale = self._scales[index]
        if self.known is None or scale is None:
            return None
        return self.known.at(scale).unknown(first, count)

    def fail(self, error):
        """Note what was wrong; the first is kept."""
        self._forget_known()
        if self.error is None:
            self.error = error
            self.result.abandon()

    def _forget_known(self):
        known, self.known = self.known, None
        if known is not None:
            known.close()
            self.keep.close()

    def finish(self):
        """End it, well or not."""
        self.source.close()
        self._forget_known()
        if self.error is None:
            try:
                self.value = self.result.finish()
            except Exception as error:
                self.fail(error)


def image_rows(rows, scale):
    """Give the rows of an image that so many rows of an output are of."""
    if scale is None:
        return 0
    numerator, denominator = scale
    return rows // numerator * denominator
