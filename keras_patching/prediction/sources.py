"""What images are read from, a window at a time: files, arrays, data sets.

`open_source` tells the kinds apart by what they can do, so no package of theirs
is imported. A window comes out as `read_image` gives the whole image, with the
channels and in the range of values that a model takes.
"""

import math
import os
import pathlib

import keras
import numpy as np

from keras_patching.data.images.channels import number_of
from keras_patching.data.images.converted_windows import ConvertedWindows
from keras_patching.data.images.ome_zarr import stem_of
from keras_patching.data.images.opened_image import OpenedImage
from keras_patching.data.images.preparation import Preparation
from keras_patching.data.images.prepared_arrays import (
    PreparedCheck,
    check_prepared_dtype,
)
from keras_patching.data.images.pyramids import PLAIN
from keras_patching.data.images.value_range import (
    check_for_model,
    doubt_black,
    holds_any_of,
    refuse_array,
)
from keras_patching.data.images.windows import open_windows
from keras_patching.prediction.held_images import (
    ArrayWindows,
    OpenedWindows,
    RasterWindows,
)

_TAKEN = (
    "Pass paths of image files, arrays (height, width, channels), or objects "
    "with `shape`, `dtype` and slicing, as memory maps, zarr arrays, h5py data "
    "sets, rasterio data sets"
)


class ImageSource:
    """An image of which windows are read.

    Args:
        windows: What reads them, with `shape`, `dtype`, `alpha`, `nodata`,
            `identity`, `read`, `close`, and `pixel_size` where it is known.
        name, stem: As the attributes.
        preparation: `Preparation` that a model asks for.
        is_array: Whether its channels and values are the caller's own, and so
            are not converted.
        is_prepared: Whether it is to be normalized already.

    Attributes:
        name: What messages call it: its path, or "image 3".
        stem: What files of its results are called: its path without folder
            and suffix, or "image_3".
        shape: `(height, width, channels)` of what is read.
        dtype: NumPy dtype of what is read.
        stored_dtype: That of the image before it is normalized.
        identity: JSON-able dict that tells it from other images; `None` of
            arrays in memory.
        pixel_size: `PixelSize` of what is read, `None` where it is unknown.
        downsample: `(y, x)`, how many pixels of the largest level of a slide
            or a map lie along one that is read.
        original: What `open_source` was given, where it is a path or a
            rasterio data set: `read_georeference` takes it; else `None`.

    Raises:
        ValueError: The channels cannot be converted, or it is not prepared.
    """

    def __init__(
        self, windows, name, stem, preparation, is_array, is_prepared=False
    ):
        self._is_array = is_array
        self.name, self.stem = name, stem
        self.original = None
        self.downsample = getattr(windows, "downsample", (1.0, 1.0))
        found = windows.shape[2]
        expected = number_of(preparation.channels)
        if is_array and expected not in (None, found):
            raise ValueError(
                f"{name}: has {found} channels, expected {expected}: (height, "
                f"width, {expected}). Received: shape={windows.shape}"
            )
        stored = ConvertedWindows(windows, preparation.channels, name)
        self._stored = self._windows = stored
        self._prepared = None
        if is_prepared and preparation.normalize is not None:
            taker = f"{name}: the model"
            check_prepared_dtype(stored.dtype, taker, preparation)
            self._prepared = PreparedCheck(preparation.value_range, taker)
        else:
            self._windows = preparation.wrap(stored)
        self.identity, self.dtype = windows.identity, self._windows.dtype
        self.stored_dtype = stored.dtype
        self.shape = self._windows.shape
        self.pixel_size = self._windows.pixel_size
        value_range = preparation.value_range
        checked = value_range is not None and preparation.normalize is None
        if checked and holds_any_of(self.dtype, value_range):
            checked = False
        self._value_range = tuple(value_range) if checked else None
        self._lowest, self._highest = math.inf, -math.inf

    def watch(self, seen):
        """Have a function called with what is read, before it is prepared.

        Args:
            seen: Takes a window `(height, width, channels)` of the image as it
                is stored, with converted channels, its first row and its first
                column. A window may come again.
        """
        self._stored.seen = seen

    def read(self, y, height, x=0, width=None):
        """Read a window.

        Args:
            y: Its first row.
            height: Its number of rows; all lie inside of the image.
            x: Its first column.
            width: Its number of columns; `None` reads to the right edge.

        Returns:
            Array `(height, width, channels)`, not to be written to: it may be
            a view of the caller's.

        Raises:
            ValueError: It is not inside of the image, cannot be read, has
                changed since it was opened, or holds values outside of the
                range.
            Warning: When the last row is read, floats of at most 1, where
                white is far above.
        """
        width = self.shape[1] - x if width is None else width
        self._check_window(y, height, x, width)
        pixels = self._windows.read(y, height, x, width)
        is_last = y + height == self.shape[0]
        if self._prepared is not None:
            self._prepared.add(pixels, is_last)
        if self._value_range is not None:
            self._check_values(pixels, is_last)
        return pixels

    def open_known(self):
        """Open it once more, for what may be without data.

        Returns:
            Windows of what is stored, with `known`, to be closed; `None` where
            all pixels are said to have data.
        """
        if not self._stored.lacks_data:
            return None
        return self._stored.again()

    def close(self):
        """Forget what is held of it, and close what was opened for it."""
        self._windows.close()

    def _check_window(self, y, height, x, width):
        rows, columns, _ = self.shape
        inside = 0 <= y < y + height <= rows and 0 <= x < x + width <= columns
        if not inside:
            raise ValueError(
                f"{self.name}: a window must lie inside of its {rows} x "
                f"{columns} pixels. Received: y={y}, height={height}, x={x}, "
                f"width={width}"
            )

    def _check_values(self, pixels, is_last):
        taker = f"{self.name}: the model"
        if self._is_array:
            lowest, highest = refuse_array(pixels, self._value_range, taker)
        else:
            lowest, highest = check_for_model(
                pixels,
                self.name,
                self._value_range,
                lambda: self._stored.nodata,
            )
        self._lowest = min(self._lowest, lowest)
        self._highest = max(self._highest, highest)
        if is_last:
            extremes = self._lowest, self._highest
            doubt_black(*extremes, self.dtype, self._value_range, taker)


def open_source(
    source,
    number,
    *,
    channels=None,
    value_range=None,
    normalize=None,
    choice=PLAIN,
):
    """Open what an image is read from.

    Args:
        source: Path of an image file or of an OME-Zarr; what `open_image`
            gives; array or tensor `(height, width, channels)` or `(height,
            width)`; anything with `shape`, `dtype` and
            slicing, such as a zarr array; or a rasterio data set.
        number: Its place among the images, for messages.
        channels: Wanted channels. Those of files are converted as
            `read_image` does; arrays must have them. `None` takes any.
        value_range: `(black, white)` that values must lie in; `None` checks
            nothing.
        normalize: As for `Preparation`. What is in memory must be prepared.
        choice: `Choice` of which image of a file is meant, and which level.

    Returns:
        An `ImageSource`, to be closed.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is nothing that can be read, or has other channels.
    """
    name, stem = f"image {number}", f"image_{number}"
    is_array = False
    if isinstance(source, (str, os.PathLike)):
        windows = _open_file(source, choice)
        name, stem = str(source), stem_of(source)
    elif isinstance(source, OpenedImage):
        windows = OpenedWindows(source)
        name, stem = source.path, source.stem
    elif RasterWindows.takes(source):
        windows = RasterWindows(source)
        if isinstance(getattr(source, "name", None), str) and source.name:
            name, stem = source.name, pathlib.Path(source.name).stem
    else:
        _check_array(source, name)
        windows, is_array = ArrayWindows(source, name), True
    try:
        preparation = Preparation(channels, value_range, normalize)
        is_prepared = is_in_memory(source)
        opened = ImageSource(
            windows, name, stem, preparation, is_array, is_prepared
        )
        opened.original = _original(source, is_array, windows)
        return opened
    except BaseException:
        windows.close()
        raise


def is_in_memory(source):
    """Tell whether an image is an array or a tensor, of the caller's making.

    All else is read from somewhere, and made for the model as it is read.
    """
    is_mapped = isinstance(source, np.memmap)
    is_array = isinstance(source, np.ndarray) and not is_mapped
    return is_array or keras.ops.is_tensor(source)


def _original(source, is_array, windows):
    """Give what the place of the pixels on the earth can be read from."""
    if is_array or not getattr(windows, "is_first", True):
        return None
    return source.path if isinstance(source, OpenedImage) else source


def _open_file(path, choice):
    if not os.path.exists(path):
        raise FileNotFoundError(f"{path}: no such file. {_TAKEN}.")
    return open_windows(path, choice)


def _check_array(source, name):
    """Refuse what is no array of one image."""
    kind = type(source).__name__
    if not all(hasattr(source, a) for a in ("shape", "dtype", "__getitem__")):
        raise ValueError(
            f"{name}: cannot be read. {_TAKEN}. Received: a {kind}"
        )
    shape = tuple(source.shape)
    if len(shape) == 4:
        raise ValueError(
            f"{name}: a batch of images, expected one (height, width, "
            "channels). Pass each image, `list(images)`, or the first, "
            f"`images[0]`. Received: a {kind} of shape={shape}"
        )
    if len(shape) not in (2, 3) or 0 in shape:
        raise ValueError(
            f"{name}: expected one image (height, width, channels) or "
            f"(height, width), not empty. Received: a {kind} of shape={shape}"
        )
