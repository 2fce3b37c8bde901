"""Images of slides and microscopes: one level of one image, opened."""

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_patching._types import NDArray
from keras_patching.data.images.contents import read_content
from keras_patching.data.images.headers import make_header
from keras_patching.data.images.image_io import decode_seen, nodata_of
from keras_patching.data.images.joined_windows import JoinedWindows
from keras_patching.data.images.ome_zarr import stem_of
from keras_patching.data.images.pixel_size import PixelSize
from keras_patching.data.images.pyramids import Choice, Pyramid
from keras_patching.data.images.windows import open_choice


def open_image(
    path: str | os.PathLike | Sequence[str | os.PathLike],
    level: int | None = None,
    *,
    pixel_size: float | None = None,
    series: int | str | None = None,
    z: int | None = None,
    t: int | None = None,
) -> "OpenedImage":
    """Open one level of an image of which parts are read, and never the whole.

    Of OME-TIFF, OME-Zarr (0.1 to 0.5), Aperio SVS and other TIFFs with
    overviews any level of any image is opened; of other image files the one
    that they hold. Predict it as you would a path:
    `model.predict_images([image])`. Results are then in pixels of that level.

    Args:
        path: Path of an image file, or of the folder of an OME-Zarr or of an
            image in it (`"scan.ome.zarr/A/1/0"`, `"scan.ome.zarr/labels/a"`).
            A list of paths is one image, whose channels are those of the
            files, in their order.
        level: Number of the level, 0 for the largest, which `None` is too.
        pixel_size: Or how long a pixel may be, in µm (of maps, in m): the
            coarsest level is taken whose pixels are not longer, within 1%.
            Images are not resized to it.
        series: Number or name of the image, where the file holds several.
        z, t: Number of the plane and of the time, where there are several.

    Returns:
        An `OpenedImage`, to be closed, or used in a `with` block.

    Raises:
        FileNotFoundError: There is no such file.
        ImportError: It is an OME-Zarr, and zarr is not installed.
        ValueError: There is no such image or level, it is open which is meant,
            or it cannot be read exactly.

    Example:

    >>> image = keras_patching.data.open_image("field/images/field_0.jpg")
    >>> image.shape, image.levels, image.pixel_size
    ((130, 140, 3), ((130, 140),), None)
    >>> image[:20, :30].shape
    (20, 30, 3)
    >>> image.close()
    """
    choice = Choice(level, pixel_size, series, z, t)
    if isinstance(path, (str, os.PathLike)):
        return OpenedImage(str(path), *open_choice(path, choice))
    paths, opened = list(path), []
    if not paths:
        raise ValueError("Pass the paths of the files. Received: path=[]")
    try:
        for each in paths:
            opened.append(open_choice(each, choice))
        windows = JoinedWindows([found[2] for found in opened], paths)
    except BaseException:
        for _, _, part in opened:
            part.close()
        raise
    pyramid, level, _ = opened[0]
    names = [name for found in opened for name in found[0].channel_names]
    if len(names) != windows.shape[2]:
        names = []
    pyramid = dataclasses.replace(pyramid, channel_names=tuple(names))
    return OpenedImage(str(paths[0]), pyramid, level, windows)


class OpenedImage:
    """One level of an image of a file; `open_image` opens it.

    It is sliced like an array, `image[rows, columns]`, and reads only that.

    Args:
        path, pyramid, level, windows: What `open_image` has found.

    Attributes:
        path: Path of the file, as text; of several files, of the first.
        stem: What results are named after.
        shape: `(height, width, channels)` of the level.
        dtype: NumPy dtype.
        ndim: 3.
        level: Number of the level, 0 for the largest.
        levels: `(height, width)` of all levels.
        downsample: `(y, x)`, how many pixels of level 0 lie along one pixel.
        pixel_size: `PixelSize` of the level, or `None` where the file does
            not tell it.
        series: Name of the image in the file.
        is_first: Whether it is the first of the file, of which alone the file
            tells where on the earth it lies.
        channel_names: Names of the channels, empty where there are none.

    Example:

    >>> with keras_patching.data.open_image("field/new/new_0.jpg") as image:
    ...     rows = image[10:20]
    >>> rows.shape
    (10, 140, 3)
    """

    ndim = 3

    def __init__(
        self, path: str, pyramid: Pyramid, level: int, windows: Any
    ) -> None:
        self.path, self.stem = path, stem_of(path)
        self.level, self.levels = level, pyramid.sizes
        self.series, self.channel_names = pyramid.name, pyramid.channel_names
        self.is_first = pyramid.is_first
        self._windows = windows
        self.shape: tuple[int, int, int] = windows.shape
        self.dtype: np.dtype = windows.dtype
        self.pixel_size: PixelSize | None = windows.pixel_size
        self.identity = {**windows.identity, "level": level}
        if self.series:
            self.identity["series"] = self.series
        if len(self.levels) > 1:
            self.downsample = pyramid.downsample(level)
        else:
            self.downsample = 1.0, 1.0

    @property
    def windows(self) -> Any:
        """What reads the file."""
        return self._windows

    @property
    def alpha(self) -> bool | None:
        """Whether the last channel is alpha; `None` while it is unknown."""
        return self._windows.alpha

    @property
    def nodata(self) -> str | None:
        """Text of the value that is no data, or `None`."""
        return self._windows.nodata

    def read(self, y: int, height: int, x: int, width: int) -> NDArray:
        """Read a window.

        Args:
            y, x: Its first row and column, in pixels of the level.
            height, width: Its size, inside of the image.

        Returns:
            Array `(height, width, channels)`, which may be read-only.

        Raises:
            ValueError: It is damaged, has changed since it was opened, or is
                closed.
        """
        if self._windows is None:
            raise ValueError(f"{self.path}: is closed. Open it again.")
        return self._windows.read(y, height, x, width)

    def __getitem__(self, key: Any) -> NDArray:
        key = key if isinstance(key, tuple) else (key,)
        if Ellipsis in key:
            at = key.index(Ellipsis)
            missing = (slice(None),) * (4 - len(key))
            key = *key[:at], *missing, *key[at + 1 :]
        key = *key, *(slice(None),) * (3 - len(key))
        if len(key) != 3 or not all(map(_is_index, key)):
            raise IndexError(
                f"{self.path}: takes integers and slices of rows, columns and "
                f"channels. Received: {key}"
            )
        spans = [_span(k, n) for k, n in zip(key[:2], self.shape, strict=False)]
        (y, height), (x, width) = ((low, high - low) for low, high in spans)
        if height and width:
            window = self.read(y, height, x, width)
        else:
            window = np.empty((height, width, self.shape[2]), self.dtype)
        inner = [
            _shifted(k, low, n)
            for k, (low, _), n in zip(key[:2], spans, self.shape, strict=False)
        ]
        return window[(*inner, key[2])]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray:
        height, width, channels = self.shape
        make_header((height, width), channels, self.dtype, 1, self.path)
        pixels = self.read(0, height, 0, width)
        # numpy takes what it asked to be a copy for one.
        return np.array(pixels, dtype, copy=copy or None)

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return (
            f"<OpenedImage {self.path!r}, level {self.level} of "
            f"{len(self.levels)}, {self.shape} of {self.dtype}>"
        )

    def close(self) -> None:
        """Close the file."""
        if self._windows is not None:
            self._windows.close()
        self._windows = None

    def __enter__(self) -> "OpenedImage":
        return self

    def __exit__(self, *details: object) -> None:
        self.close()


def read_seen(image):
    """Read the whole of an image file, or of an `OpenedImage`.

    Args:
        image: Path of a file, or `OpenedImage`.

    Returns:
        Array `(height, width, channels)`, whether the last channel is alpha,
        and a function that gives the text of the value that is no data.
    """
    if isinstance(image, OpenedImage):
        array = np.asarray(image)
        return array, image.alpha, lambda: image.nodata
    data = read_content(image)
    return *decode_seen(data, image), lambda: nodata_of(data)


def _is_index(key):
    return isinstance(key, slice) or hasattr(key, "__index__")


def _span(key, length):
    """Give the first, and that after the last, that an index touches."""
    if isinstance(key, slice):
        touched = range(length)[key]
        if not touched:
            return 0, 0
        return min(touched[0], touched[-1]), max(touched[0], touched[-1]) + 1
    index = range(length)[key]
    return index, index + 1


def _shifted(key, low, length):
    """Give an index into what was read from `low` on."""
    if not isinstance(key, slice):
        return 0
    touched = range(length)[key]
    if not touched:
        return slice(0, 0)
    stop = touched[-1] - low + (1 if touched.step > 0 else -1)
    return slice(touched[0] - low, None if stop < 0 else stop, touched.step)
