"""Windows of image files, without the memory of the whole where that goes.

TIFFs and npy files are read by windows. What cannot be, as PNG and JPEG, is
decoded once, whole, and held.
"""

from keras_patching.data.images.georeference import pixel_size_of
from keras_patching.data.images.headers import format_of
from keras_patching.data.images.image_io import decode_seen, read_header
from keras_patching.data.images.npy_format import NpyWindows, is_in_rows
from keras_patching.data.images.open_file import OpenFile, identity_of
from keras_patching.data.images.tiff_windows import TiffWindows


class FileWindows:
    """Windows of an image file, as `read_image` gives them.

    Args:
        path: Path of an image file.

    Attributes:
        shape: `(height, width, channels)`.
        dtype: NumPy dtype.
        alpha: Whether the last channel is alpha; `None` as long as it is not
            known.
        nodata: Text of the value that a TIFF declares to be no data.
        identity: Dict of path, size and times.
        pixel_size: `PixelSize` of a map in metres, else `None`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It cannot be read exactly, or has more pixels than the
            declared limit, and has to be decoded as a whole.
    """

    def __init__(self, path):
        self._file = OpenFile(path)
        try:
            self._pixels = _open_pixels(self._file)
        except BaseException:
            self._file.close()
            raise
        self.shape, self.dtype = self._pixels.shape, self._pixels.dtype
        self.nodata = self._pixels.nodata
        self.identity = identity_of(path, self._file.stat)
        self.pixel_size = pixel_size_of(path)

    @property
    def alpha(self):
        return self._pixels.alpha

    def read(self, y, height, x, width):
        """Read a window.

        Args:
            y, x: Its first row and column.
            height, width: Its size, inside of the image.

        Returns:
            Array `(height, width, channels)`, which may be read-only.

        Raises:
            ValueError: It is damaged, or has changed since it was opened.
        """
        try:
            window = self._pixels.read(y, height, x, width)
        finally:
            # What was changed meanwhile may look damaged.
            self._file.check_unchanged()
        return window

    def close(self):
        """Close the file and forget what is held of it."""
        self._pixels = None
        self._file.close()


class _Whole:
    """Windows of an image that is decoded at the first of them, and held."""

    def __init__(self, file):
        self._file, self._image = file, None
        header = read_header(file.path)
        self.shape, self.dtype = (*header.size, header.channels), header.dtype
        self.alpha = self.nodata = None

    def read(self, y, height, x, width):
        if self._image is None:
            image, self.alpha = decode_seen(self._file[:], self._file.path)
            self._image = image
        return self._image[y : y + height, x : x + width]


def _open_pixels(file):
    kind = format_of(file.stream, file.path)
    file.stream.seek(0)
    if kind == "npy" and is_in_rows(file.stream, file.path):
        return NpyWindows(file)
    if kind == "TIFF":
        windows = TiffWindows(file)
        if windows.by_windows:
            return windows
    return _Whole(file)
