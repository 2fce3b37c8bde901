"""One image on its way from its source to its result."""


class ImageJob:
    """One image on its way from its source to its result.

    What goes wrong with one image is kept with it: others go on.

    Args:
        number: Its place among the images.
        source: `ImageSource`.
        result: Takes its bands: has `add(index, band)`, `finish()` and
            `abandon()`.

    Attributes:
        value: What the result gave when it was finished.
        error: What was wrong with the image, or `None`.
        pixels_read: How many pixels of it have been read.
    """

    def __init__(self, number, source, result):
        self.number, self.source, self.result = number, source, result
        self.value = self.error = None
        self.pixels_read = 0
        # Rows of the image whose results are there already.
        self.rows_done = getattr(result, "rows_done", 0)

    @property
    def size(self):
        """`(height, width)` of the image in pixels."""
        return tuple(self.source.shape[:2])

    def read(self, y, height, x=0, width=None):
        """Read pixels, or `None` where that fails."""
        if self.error is None:
            # Rows that patches share are read more than once.
            self.pixels_read = (y + height) * self.size[1]
            try:
                return self.source.read(y, height, x, width)
            except Exception as error:
                self.fail(error)
        return None

    def add(self, index, band):
        """Hand a band on to the result."""
        if self.error is None:
            try:
                self.result.add(index, band)
            except Exception as error:
                self.fail(error)

    def fail(self, error):
        """Note what was wrong; the first is kept."""
        if self.error is None:
            self.error = error
            self.result.abandon()

    def finish(self):
        """End it, well or not."""
        self.source.close()
        if self.error is None:
            try:
                self.value = self.result.finish()
            except Exception as error:
                self.fail(error)
