"""Windows of image files, without the memory of the whole where that goes.

TIFFs, npy files and OME-Zarr folders are read by windows. What cannot be, as
PNG and JPEG, is decoded once, whole, and held.
"""

import contextlib
import os

from keras_patching._faults import ImageFileError
from keras_patching.data.images.georeference import pixel_size_of
from keras_patching.data.images.headers import format_of
from keras_patching.data.images.image_io import decode_seen, read_header
from keras_patching.data.images.npy_format import NpyWindows, is_in_rows
from keras_patching.data.images.ome_zarr import is_ome_zarr, is_zarr
from keras_patching.data.images.open_file import OpenFile, identity_of
from keras_patching.data.images.pyramids import (
    PLAIN,
    Pyramid,
    choose_level,
    choose_plane,
    choose_series,
)
from keras_patching.data.images.tiff_levels import TiffImages
from keras_patching.data.images.tiff_windows import TiffWindows
from keras_patching.data.images.zarr_windows import open_zarr


def open_windows(path, choice=PLAIN):
    """Open windows of an image file, or of an image of an OME-Zarr folder.

    Args:
        path: Its path.
        choice: `Choice` of which image is meant, and of which level.

    Returns:
        `FileWindows` or `ZarrWindows`.

    Raises:
        FileNotFoundError: There is no such file.
        ImportError: It is an OME-Zarr, and zarr is not installed.
        ValueError: There is none such, or it cannot be read exactly.
    """
    return open_choice(path, choice)[2]


def open_choice(path, choice):
    """As `open_windows`; gives `Pyramid` and number of the level too."""
    if os.path.isdir(path):
        if is_ome_zarr(path):
            return open_zarr(path, choice)
        kind = "a zarr without images of OME" if is_zarr(path) else "a folder"
        raise ImageFileError(
            f"{path}: is {kind}. Pass the paths of its images, and of a zarr "
            "array what `zarr.open` gives."
        )
    windows = FileWindows(path, choice)
    return windows.pyramid, windows.level, windows


class FileWindows:
    """Windows of an image file, as `read_image` gives them.

    Args:
        path: Path of an image file.
        choice: `Choice` of which image of it is meant, and of which level.

    Attributes:
        level: Number of the level.
        pixel_size: `PixelSize`, or `None` where it is not known.
        shape: `(height, width, channels)`.
        dtype: NumPy dtype.
        alpha: Whether the last channel is alpha; `None` as long as it is not
            known.
        nodata: Text of the value that a TIFF declares to be no data.
        identity: Dict of path, size and times.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It cannot be read exactly, or has more pixels than the
            declared limit, and has to be decoded as a whole.
    """

    def __init__(self, path, choice=PLAIN):
        self._file, self._choice = OpenFile(path), choice
        try:
            self._pyramid, self.level, self._pixels = _open(self._file, choice)
            self.pixel_size = getattr(self._pixels, "pixel_size", None)
            is_map = choice.series is None and not self.level
            if self.pixel_size is None and is_map:
                self.pixel_size = pixel_size_of(path)
        except BaseException:
            self._file.close()
            raise
        self.shape, self.dtype = self._pixels.shape, self._pixels.dtype
        self.nodata = self._pixels.nodata
        self.identity = identity_of(path, self._file.stat)

    @property
    def alpha(self):
        return self._pixels.alpha

    @property
    def downsample(self):
        """`(y, x)`: pixels of the largest level along one of this."""
        return self.pyramid.downsample(self.level) if self.level else (1.0, 1.0)

    @property
    def pyramid(self):
        """`Pyramid` of the image that is meant."""
        if self._pyramid is None:
            self._pyramid = self._levels()
        return self._pyramid

    @property
    def is_first(self):
        """Whether it is the first image of its file."""
        return self._pyramid is None or self._pyramid.is_first

    def _levels(self):
        """Look for the levels of a TIFF whose largest is read."""
        with contextlib.suppress(ImageFileError):
            images = TiffImages(self._file).pyramids
            pyramid = images[choose_series(images, None, self._file.path)]
            if pyramid.sizes[0] == self.shape[:2]:
                return pyramid
        return _plain(self._pixels)

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

    @property
    def lacks_data(self):
        """Whether the file says that some pixels may have no data."""
        return getattr(self._pixels, "lacks_data", False)

    def known(self, y, height, x, width):
        """Tell which pixels of a window have data; as `TiffWindows` does."""
        if not self.lacks_data:
            return None
        known = self._pixels.known(y, height, x, width)
        self._file.check_unchanged()
        return known

    def again(self):
        """Open the same windows once more."""
        return FileWindows(self._file.path, self._choice)

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
            image.flags.writeable = False  # It is read from again.
            self._image = image
        return self._image[y : y + height, x : x + width]


def _open(file, choice):
    """Give the `Pyramid` that is meant, the number of the level, windows.

    The `Pyramid` is `None` where the file is a TIFF that was not asked yet.
    """
    kind = format_of(file.stream, file.path)
    file.stream.seek(0)
    if kind == "TIFF":
        _refuse_mask_beside(file.path)
    if kind == "TIFF" and not choice.is_plain:
        return TiffImages(file).windows(choice)
    pixels = _open_pixels(file, kind)
    if kind == "TIFF":
        return None, 0, pixels
    pyramid = _plain(pixels)
    choose_series([pyramid], choice.series, file.path)
    choose_plane(pyramid, choice, file.path)
    return pyramid, choose_level(pyramid, choice, file.path), pixels


def _refuse_mask_beside(path):
    """Refuse a TIFF whose mask GDAL has put into a file of its own."""
    beside = f"{path}.msk"
    if os.path.exists(beside):
        raise ImageFileError(
            f"{path}: {beside} says where it has no data, and only masks in "
            "the file are read. Save both in one (with GDAL: gdal_translate "
            "--config GDAL_TIFF_INTERNAL_MASK YES), or remove the mask."
        )


def _plain(pixels):
    """Make the `Pyramid` of an image of one level."""
    size = getattr(pixels, "pixel_size", None)
    return Pyramid("", (tuple(pixels.shape[:2]),), {}, (size,))


def _open_pixels(file, kind):
    if kind == "npy" and is_in_rows(file.stream, file.path):
        return NpyWindows(file)
    if kind == "TIFF":
        windows = TiffWindows(file)
        if windows.by_windows:
            return windows
        whole = _Whole(file)
        whole.pixel_size, whole.nodata = windows.pixel_size, windows.nodata
        return whole
    return _Whole(file)
