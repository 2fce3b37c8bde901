"""Data sets with bands first, as rasterio gives them, of arrays."""


class Raster:
    """A data set of a file, which may fail while it is read.

    Args:
        path: Its name.
        image: Array `(height, width, channels)` of float32.
        fails_at: Row from which on it cannot be read, or `None`.

    Attributes:
        rows: List of the first row of each window that was read.
    """

    def __init__(self, path, image, fails_at=None):
        self.name, self.image, self.fails_at = str(path), image, fails_at
        self.height, self.width, self.count = image.shape
        self.dtypes = ("float32",) * self.count
        self.rows = []

    def read(self, window):
        rows, columns = window
        if self.fails_at is not None and rows[1] > self.fails_at:
            raise OSError("the disk is gone")
        self.rows.append(rows[0])
        return self.image[slice(*rows), slice(*columns)].transpose(2, 0, 1)
