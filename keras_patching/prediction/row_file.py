"""Files whose rows lie behind each other: `.npy`, TIFF without compression."""

import math
import os

import numpy as np

from keras_patching._whole_files import OutputError, flush
from keras_patching.data.images.npy_format import encode_npy_header
from keras_patching.data.images.open_file import read_at
from keras_patching.data.images.tiff_writing import write_empty_tiff


def write_empty_npy(stream, shape, dtype):
    """Write the header of an `.npy` file; gives where its rows begin."""
    return stream.write(encode_npy_header(shape, dtype))


FORMATS = {
    ".npy": write_empty_npy,
    ".tif": write_empty_tiff,
    ".tiff": write_empty_tiff,
}


class RowFile:
    """A file that rows are written into at their places.

    Args:
        path: `pathlib.Path` to write to.
        suffix: Key of `FORMATS`.
        shape: Shape of the array, rows first.
        dtype: Its dtype.

    Attributes:
        path, shape, dtype: As given.
        rows: Number of rows that are written, from the top.
    """

    def __init__(self, path, suffix, shape, dtype):
        self.path = path
        self.rows = 0
        self._write_header = FORMATS[suffix]
        self.shape = shape
        self.dtype = dtype
        self._row_bytes = math.prod(shape[1:]) * dtype.itemsize
        self._stream = None
        self._offset = 0

    def make(self):
        """Make an empty file, unless there is one."""
        self.path.touch()

    def missing_bytes(self):
        """Give the bytes that it will take of the disk and has not yet."""
        status = self.path.stat()
        blocks = getattr(status, "st_blocks", None)  # Windows has none.
        taken = status.st_size if blocks is None else blocks * 512
        return max(0, self.shape[0] * self._row_bytes - taken)

    def begin(self):
        """Write a file without rows; gives the facts for `reopen`."""
        with open(self.path, "w+b") as stream:
            offset = self._write_header(stream, self.shape, self.dtype)
            stream.truncate(self._size(offset))
        self._open(offset, 0)
        return {"offset": offset}

    def reopen(self, rows, facts):
        """Go on after the first rows; gives whether the file is as it was."""
        offset = facts.get("offset")
        size = self.path.stat().st_size
        if type(offset) is not int or size != self._size(offset):
            return False
        self._open(offset, rows)
        return True

    def write(self, band):
        """Write the next rows."""
        left = np.ascontiguousarray(band).reshape(-1).view("uint8").data
        self._stream.seek(self._offset + self.rows * self._row_bytes)
        while left:  # The system writes at most 2 GB at once.
            left = left[self._stream.write(left) :]
        self.rows += len(band)

    def read(self, y, height, x=0, width=None):
        """Read a window of rows that are written, while it is open.

        Args:
            y, x: Its first row and column.
            height, width: Its size; without a width it reaches to the end.

        Returns:
            Array `(height, width, ...)`.
        """
        whole = self.shape[1]
        width = whole - x if width is None else width
        window = np.empty((height, width, *self.shape[2:]), self.dtype)
        pixel = self._row_bytes // whole
        pieces = [window] if width == whole else window
        for row, piece in enumerate(pieces, y):
            offset = self._offset + row * self._row_bytes + x * pixel
            if not read_at(self._stream.fileno(), offset, piece):
                raise OutputError(
                    f"{self.path}: has lost rows that were written. Run again."
                )
        return window

    def finish(self):
        """Close it, when all rows are written; gives its path."""
        self.close()  # Windows renames no file that is open.
        self.flush()
        return self.path

    def flush(self):
        """Wait until all rows are on the disk."""
        flush(self.path)

    def close(self):
        """Close the file, if it is open."""
        if self._stream is not None:
            self._stream.close()

    def check_replaces(self, path):
        """Refuse to take the place of a folder."""
        if path.is_dir():
            raise OutputError(f"{path}: is a folder, expected a file.")

    def move(self, path):
        """Give the closed file its name, in place of what has it."""
        os.replace(self.path, path)

    def remove(self):
        """Remove the closed file."""
        self.path.unlink(missing_ok=True)

    def _size(self, offset):
        return offset + self.shape[0] * self._row_bytes

    def _open(self, offset, rows):
        self._stream = open(self.path, "r+b", buffering=0)  # noqa: SIM115
        self._offset = offset
        self.rows = rows
