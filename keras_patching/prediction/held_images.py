"""Windows of images that the caller holds: arrays, and what looks like them."""

import contextlib
import mmap
import os
import threading

import keras
import numpy as np

from keras_patching.data.images.georeference import pixel_size_of
from keras_patching.data.images.open_file import check_unchanged, identity_of


class ArrayWindows:
    """Windows of an array, a tensor, or anything that is sliced like one.

    Args:
        array: Of shape `(height, width, channels)` or `(height, width)`.
        name: What messages call it.

    Attributes:
        shape: `(height, width, channels)`.
        dtype: NumPy dtype.
        alpha, nodata: False and `None`: nothing is said of them.
        identity: Of a memory map a dict of its file; of others `None`: they
            may hold anything the next time.

    Raises:
        ValueError: It does not hold numbers.
    """

    alpha, nodata = False, None

    def __init__(self, array, name):
        self._array = array
        self.shape = (*map(int, array.shape), 1)[:3]
        stored = _dtype_of(array)
        # The narrow floats of jax are of another kind to numpy.
        if stored.kind not in "biuf" and "float" not in stored.name:
            raise ValueError(
                f"{name}: expected an image of numbers. Received: "
                f"dtype={array.dtype}"
            )
        self.dtype = stored.newbyteorder("=")
        self.identity = None
        self._map = getattr(array, "_mmap", None)
        if isinstance(array, np.memmap) and array.filename is not None:
            self.identity = self._identity_of_map(array)

    def _identity_of_map(self, array):
        begin = np.frombuffer(self._map, "uint8").__array_interface__["data"][0]
        here = array.__array_interface__
        return {
            **identity_of(array.filename, os.stat(array.filename)),
            "offset": here["data"][0] - begin,
            "strides": list(array.strides),
            "shape": list(self.shape),
            "dtype": self.dtype.name,
        }

    def read(self, y, height, x, width):
        """Read `(height, width, channels)`, from row y and column x."""
        window = _as_numpy(self._array[y : y + height, x : x + width])
        window = window.reshape(height, width, self.shape[2])
        if self._map is None:
            return window.astype(self.dtype, copy=False)
        window = window.astype(self.dtype)
        self._let_pages_go()
        return window

    def _let_pages_go(self):
        """Let the system forget what is mapped: it is in the file."""
        is_shared = getattr(self._array, "mode", "c") != "c"
        if is_shared and hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)

    def close(self):
        self._array = None


class RasterWindows:
    """Windows of an open rasterio data set, which is left open.

    Args:
        data_set: Of bands of one dtype. A palette becomes its colours.

    Attributes:
        shape: `(height, width, channels)`.
        dtype: NumPy dtype.
        alpha: Whether the last band is alpha.
        nodata: Text of the value that is no data, or `None`.
        identity: Dict of name, shape, dtype, and, of a file, size and times.
        pixel_size: `PixelSize` of a map in metres, else `None`.
        lacks_data: Whether a value, a mask or alpha says that pixels may have
            no data.

    Raises:
        ValueError: Its bands are of several dtypes. At a read, that its file
            has changed.
    """

    @staticmethod
    def takes(source):
        """Tell whether something reads as a rasterio data set does."""
        parts = ("count", "height", "width", "dtypes", "read")
        return all(hasattr(source, part) for part in parts)

    def __init__(self, data_set):
        self._data_set = data_set
        name = str(getattr(data_set, "name", ""))
        if len(set(data_set.dtypes)) != 1:
            raise ValueError(
                f"{name}: has bands of several dtypes, expected one. "
                f"Received: dtypes={data_set.dtypes}"
            )
        meanings = [each.name for each in getattr(data_set, "colorinterp", ())]
        self.alpha = "alpha" in meanings[-1:]
        self.dtype, channels = np.dtype(data_set.dtypes[0]), data_set.count
        self._colours = None
        if meanings == ["palette"]:
            self._colours = _colours(data_set.colormap(1), self.dtype)
            self.dtype, channels = np.dtype("uint8"), 3
        self.shape = data_set.height, data_set.width, channels
        nodata = getattr(data_set, "nodata", None)
        self.nodata = None if nodata is None else str(nodata)
        self.identity = {
            "path": name,
            "shape": list(self.shape),
            "dtype": self.dtype.name,
        }
        flags = getattr(data_set, "mask_flag_enums", ())
        self.lacks_data = any(
            each.name != "all_valid" for band in flags for each in band
        )
        self.pixel_size = None
        if hasattr(data_set, "gcps"):
            self.pixel_size = pixel_size_of(data_set)
        self._name, self._stat = name, None
        with contextlib.suppress(OSError, ValueError):  # it is no file
            self._stat = os.stat(name)
            self.identity.update(identity_of(name, self._stat))

    def read(self, y, height, x, width):
        """Read `(height, width, channels)`, from row y and column x."""
        window = (y, y + height), (x, x + width)
        with _reading:
            bands = self._data_set.read(window=window)
        if self._stat is not None:
            check_unchanged(self._name, self._stat)
        if self._colours is not None:
            return self._colours[bands[0]]
        return np.ascontiguousarray(np.moveaxis(bands, 0, -1))

    def known(self, y, height, x, width):
        """Tell which pixels have data; as `TiffWindows` does."""
        if not self.lacks_data:
            return None
        window = (y, y + height), (x, x + width)
        with _reading:
            masks = self._data_set.read_masks(window=window) != 0
        if self.alpha:
            masks = masks[:-1]  # That of alpha itself is whole.
        is_unsigned = np.dtype(self._data_set.dtypes[0]).kind == "u"
        return masks.any(axis=0) if is_unsigned else masks.all(axis=0)

    def again(self):
        """Give the same windows once more, of the same data set."""
        return RasterWindows(self._data_set)

    def close(self):
        self._data_set = None


class OpenedWindows:
    """Windows of an `OpenedImage`, which is left open.

    Args:
        image: `OpenedImage`.

    Attributes:
        shape, dtype, nodata, pixel_size, identity, downsample, is_first: Its
            own.
    """

    def __init__(self, image):
        self._image = image
        self.shape, self.dtype = image.shape, image.dtype
        self.nodata, self.pixel_size = image.nodata, image.pixel_size
        self.identity, self.downsample = image.identity, image.downsample
        self.is_first = image.is_first

    def __getattr__(self, name):
        """Give what the windows of its file tell besides, as where data is."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._image.windows, name)

    @property
    def alpha(self):
        """Whether the last channel is alpha; `None` while it is unknown."""
        return self._image.alpha

    def read(self, y, height, x, width):
        """Read `(height, width, channels)`, from row y and column x."""
        return self._image.read(y, height, x, width)

    def close(self):
        self._image = None


# A data set must not be read by two threads at once.
_reading = threading.Lock()


def _colours(palette, dtype):
    """Make the table of RGB from a dict of index to RGBA."""
    table = np.zeros((np.iinfo(dtype).max + 1, 3), "uint8")
    for index, colour in palette.items():
        table[index] = colour[:3]
    return table


def _dtype_of(array):
    try:
        return np.dtype(array.dtype)
    except TypeError:  # of a tensor
        return _as_numpy(array[:1, :1]).dtype


def _as_numpy(array):
    if keras.ops.is_tensor(array):
        return np.asarray(keras.ops.convert_to_numpy(array))
    return np.asarray(array)
