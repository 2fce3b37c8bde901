"""Windows of a TIFF: only the strips or tiles that they touch are decoded."""

import io

import numpy as np

from keras_patching.data.images.decoding_memory import room_for
from keras_patching.data.images.headers import (
    make_header,
    naming,
    plain_dtype,
)
from keras_patching.data.images.microscopes import pixel_size_of
from keras_patching.data.images.nodata import has_data
from keras_patching.data.images.open_file import OpenFile
from keras_patching.data.images.tiff_format import (
    MAGIC,
    as_seen,
    channels_last,
    find_image,
    has_alpha,
    header_of,
    mask_page,
    nodata_of,
    orientation,
    require_imagecodecs,
)
from keras_patching.data.images.tiff_segments import Segments


class TiffWindows:
    """Windows of the image of a TIFF, as `read_image` gives them.

    Strips and tiles in the rows of the last window are kept decoded, since
    the next window often touches them too.

    Args:
        file: `OpenFile` of the image.
        found: `Found` that tells which of its images; `None` for the one.
        raw: Whether to give what is stored, such as class ids, and not the
            colours of a palette.

    Attributes:
        by_windows: Whether windows can be decoded alone. Not those of turned
            images, nor of channels that lie behind each other without a page.
        shape, dtype: Of the image, as `read_image` gives it.
        alpha: Whether the last channel is alpha.
        nodata: Text of the value that is no data, or `None`.
        pixel_size: `PixelSize`, or `None` where the file does not tell it.
        lacks_data: Whether a value, a mask or alpha says that pixels may have
            no data.

    Raises:
        ValueError: It cannot be read exactly, or a row of strips or tiles is
            beyond the declared limit of pixels.
    """

    def __init__(self, file, found=None, raw=False):
        path, self._raw = file.path, raw
        self._path = path
        file.stream.seek(0)
        with naming(path):
            if found is None:
                found = find_image(file.stream, path)
            self._found, page = found, found.page
            upright = orientation(page) not in range(2, 9)
            self.pixel_size = pixel_size_of(page.parent) if upright else None
            self.nodata = nodata_of(page.parent)
            self.by_windows = upright and found.series is None
            if not self.by_windows:
                return
            header = header_of(found, path, limited=False)
            require_imagecodecs(page, path)
            self._pages = [
                Segments(file, page, each, divided=True) for each in found.pages
            ]
            height, width = header.size
            self.shape = height, width, header.channels
            self.dtype, self.alpha = header.dtype, has_alpha(page)
            self.lacks_data = header.lacks_data
            if raw and page.colormap is not None:
                self.shape = height, width, 1
                self.dtype = plain_dtype(page.dtype)
            rows = min(self._pages[0].shape.rows, height)
            self._least = make_header(
                (rows, width), header.channels, header.dtype, 1, path
            )
            mask = mask_page(page)
            self._mask = mask and Segments(file, mask, mask, divided=True)
        self._kept = [{} for _ in self._pages]
        self._kept_mask = {}

    def read(self, y, height, x, width):
        """Read `(height, width, channels)`, from row y and column x."""
        window = y, height, x, width
        with naming(self._path), room_for(self._least, self._path):
            array = as_seen(self._stored(window), self._found.page, self._raw)
            return array.astype(self.dtype, copy=False)

    def known(self, y, height, x, width):
        """Tell which pixels have data.

        Those of a value for no data have none in integers without a sign where
        all channels are it, which may be a colour, else where one is it.

        Returns:
            Booleans `(height, width)`; `None` where all are said to have some.
        """
        if not self.lacks_data:
            return None
        window = y, height, x, width
        with naming(self._path), room_for(self._least, self._path):
            known = np.ones((height, width), bool)
            if self._mask:
                mask = self._read_page(self._mask, self._kept_mask, window)
                known &= mask.reshape(height, width) != 0
            if self.alpha or self.nodata is not None:
                stored = self._stored(window)
                known &= has_data(stored, self.alpha, self.nodata)
            return known

    def _stored(self, window):
        _, height, _, width = window
        found = self._found
        planes = [
            self._read_page(segments, kept, window)
            for segments, kept in zip(self._pages, self._kept, strict=True)
        ]
        lengths = {"Y": height, "X": width}
        shape = [
            lengths.get(axis, length)
            for axis, length in zip(found.axes, found.shape, strict=True)
        ]
        return channels_last(np.stack(planes).reshape(shape), found.axes)

    def _read_page(self, segments, kept, window):
        y, height, _, _ = window
        for index, each in list(kept.items()):
            if not y - len(each.values) < each.y < y + height:
                del kept[index]
        array = segments.empty(window)
        for indices in segments.touched(window):
            missing = [index for index in indices if index not in kept]
            kept.update(segments.decoded(missing))
            for index in indices:
                if index in kept:
                    kept[index].paste(array, window)
        return array


class _BytesFile:
    """The bytes of a file, read as an `OpenFile` is."""

    def __init__(self, data, path):
        self._data, self.path = data, path
        self.stream = io.BytesIO(data)

    def __len__(self):
        return len(self._data)

    def __getitem__(self, places):
        return self._data[places]


def known_of(data, path):
    """Tell which pixels of a TIFF have data.

    Args:
        data: Bytes of a file of any format.
        path: File that messages name.

    Returns:
        Booleans `(height, width)`; `None` where all are said to have some.
    """
    if not data.startswith(MAGIC):
        return None
    windows = TiffWindows(_BytesFile(data, path))
    if not windows.by_windows:
        return None
    height, width, _ = windows.shape
    return windows.known(0, height, 0, width)


class StoredPixels:
    """What a TIFF stores, such as class ids, sliced like an array.

    Args:
        path: Path of a TIFF that is read by windows.

    Attributes:
        shape: `(height, width, channels)`.
        dtype: NumPy dtype.
    """

    def __init__(self, path):
        self._file = OpenFile(path)
        try:
            self._windows = TiffWindows(self._file, raw=True)
        except BaseException:
            self._file.close()
            raise
        self.shape, self.dtype = self._windows.shape, self._windows.dtype

    def __getitem__(self, places):
        (y, stop, _), (x, end, _) = (
            place.indices(length)
            for place, length in zip(places, self.shape[:2], strict=True)
        )
        return self._windows.read(y, stop - y, x, end - x)

    def close(self):
        """Close the file."""
        self._file.close()
