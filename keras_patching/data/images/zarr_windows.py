"""Windows of the images of OME-Zarr folders: only chunks they touch."""

import hashlib
import os
import pathlib
import warnings

import numpy as np

from keras_patching._faults import ImageFileError
from keras_patching.data.images.decoding_memory import room_for
from keras_patching.data.images.headers import make_header, naming
from keras_patching.data.images.ome_zarr import METADATA, list_multiscales
from keras_patching.data.images.open_file import check_unchanged
from keras_patching.data.images.pyramids import (
    PLAIN,
    Pyramid,
    choose_level,
    choose_plane,
    choose_series,
)

# What is kept of chunks that the next window may touch too.
_MOST_KEPT = 2**28
# Each is a chunk to look for, whether or not it is there.
_MOST_CHANNELS = 2**14


def import_zarr(path):
    """Import zarr, or say how to install it for what is read or written."""
    try:
        import zarr
    except ImportError as error:
        raise ImportError(
            f"{path}: zarr arrays are read and written with zarr. Install it: "
            'pip install "keras-patching[zarr]"; or write .npy.'
        ) from error
    return zarr


def open_zarr(path, choice):
    """Open what a `Choice` means of an OME-Zarr folder.

    Returns:
        Its `Pyramid`, the number of the level, and its `ZarrWindows`.

    Raises:
        ImportError: zarr is not installed.
        ValueError: There is none such, or it cannot be read.
    """
    zarr, path = import_zarr(path), pathlib.Path(path)
    images = list_multiscales(path)
    names = [Pyramid(image.name, ()) for image in images]
    index = choose_series(names, choice.series, path)
    image = images[index]
    with naming(path), warnings.catch_warnings():
        # What is wrong is an error, and what zarr mends does not matter.
        warnings.simplefilter("ignore")
        arrays = [
            zarr.open_array(store=str(image.folder), path=each, mode="r")
            for each in image.paths
        ]
        pyramid = _pyramid(image, arrays)
    level = choose_level(pyramid, choice, path)
    plane = choose_plane(pyramid, choice, path)
    _check_planes(image, level, arrays)
    windows = ZarrWindows(path, image, level, arrays[level], plane)
    return pyramid, level, windows


def _pyramid(image, arrays):
    axes = image.axes
    for array in arrays:
        if len(array.shape) != len(axes):
            raise ImageFileError(
                f"{image.folder}: has an array of shape {array.shape}, "
                f"expected the axes {axes}."
            )
        channels = dict(zip(axes, array.shape, strict=True)).get("c", 1)
        if channels > _MOST_CHANNELS:
            raise ImageFileError(
                f"{image.folder}: has {channels} channels, expected at most "
                f"{_MOST_CHANNELS}. Correct the axes {axes} of the shape "
                f"{array.shape}, or save fewer channels."
            )
    lengths = dict(zip(axes, arrays[0].shape, strict=True))
    y, x = axes.index("y"), axes.index("x")
    return Pyramid(
        image.name,
        tuple((array.shape[y], array.shape[x]) for array in arrays),
        {axis: lengths[axis] for axis in "zt" if axis in lengths},
        tuple(image.pixel_size(level) for level in range(len(arrays))),
        image.channel_names,
    )


def _check_planes(image, level, arrays):
    """Refuse a level of fewer planes: they are numbered as those of all."""
    for axis, *lengths in zip(
        image.axes, arrays[0].shape, arrays[level].shape, strict=True
    ):
        if axis in ("z", "t") and lengths[0] != lengths[1]:
            raise ImageFileError(
                f"{image.folder}: has {lengths[1]} along {axis} at level "
                f"{level} and {lengths[0]} at level 0, so that it is open "
                f"which `{axis}` is meant. Open level 0, or read what is meant "
                f"of the array {image.paths[level]!r} with zarr."
            )


def zarr_header(path):
    """Read the `ImageHeader` of the largest level of the one image."""
    _, _, windows = open_zarr(path, PLAIN)
    return windows.header


def zarr_pixels(path):
    """Read the largest level of the one image, `(height, width, channels)`."""
    _, _, windows = open_zarr(path, PLAIN)
    height, width, channels = windows.shape
    # All of it is held, and so has a limit.
    header = make_header((height, width), channels, windows.dtype, 1, path)
    with room_for(header, path):
        return windows.read(0, height, 0, width)


class ZarrWindows:
    """Windows of one level of an image of OME-Zarr.

    Chunks in the rows of the last window are kept, since the next window
    often touches them too.

    Args:
        path: `pathlib.Path` of the folder, for messages.
        image: `Multiscale`.
        level: Number of the level.
        array: Its zarr array.
        plane: Dict from "z" and "t" to the index that is read.

    Attributes:
        header: `ImageHeader` of the level.
        shape: `(height, width, channels)`.
        dtype: NumPy dtype.
        alpha, nodata: False and `None`: nothing is said of them.
        pixel_size: `PixelSize`, or `None`.
        identity: Dict of path, sizes and times of the files of the array.

    Raises:
        ValueError: It has other axes, or does not hold numbers.
    """

    alpha, nodata = False, None

    def __init__(self, path, image, level, array, plane):
        self._opened = path, image, level, array, plane
        self._path, self._array, self._axes = path, array, image.axes
        lengths = dict(zip(image.axes, array.shape, strict=True))
        others = [
            axis
            for axis in image.axes
            if axis not in "tczyx" and lengths[axis] > 1
        ]
        if others or array.dtype.kind not in "biuf":
            raise ImageFileError(
                f"{path}: an image of axes {image.axes}, shape {array.shape} "
                f"and dtype {array.dtype}, expected numbers along t, c, z, y "
                "and x."
            )
        self._plane = plane
        size, channels = (lengths["y"], lengths["x"]), lengths.get("c", 1)
        header = make_header(size, channels, array.dtype, 1, path, False)
        self.header = header
        self.shape, self.dtype = (*header.size, channels), header.dtype
        self.pixel_size = image.pixel_size(level)
        chunks = dict(zip(image.axes, array.chunks, strict=True))
        self._chunk = chunks["y"], chunks["x"]
        least = tuple(map(min, self._chunk, size))
        self._least = make_header(least, channels, self.dtype, 1, path)
        self._kept = None
        folder = image.folder / image.paths[level]
        self._metadata = next(
            folder / name for name in METADATA if (folder / name).is_file()
        )
        self._stat = os.stat(self._metadata)
        self.identity = {
            "path": os.path.abspath(folder),
            "plane": plane,
            **_state(folder),
        }

    def read(self, y, height, x, width):
        """Read `(height, width, channels)`, from row y and column x."""
        check_unchanged(self._metadata, self._stat)
        with naming(self._path), room_for(self._least, self._path):
            rows, columns = self._chunk
            top, left = y // rows * rows, x // columns * columns
            bottom = min(-(-(y + height) // rows) * rows, self.shape[0])
            right = min(-(-(x + width) // columns) * columns, self.shape[1])
            pixel = self.shape[2] * self.dtype.itemsize
            if (bottom - top) * (right - left) * pixel > _MOST_KEPT:
                return self._read(y, y + height, x, x + width)
            block = self._block(top, bottom, left, right)
            return block[
                y - top : y - top + height, x - left : x - left + width
            ]

    def _block(self, top, bottom, left, right):
        """Read whole chunks; rows that were read before are not again."""
        head, start = [], top
        if self._kept is not None and self._kept[1:3] == (left, right):
            first, block = self._kept[0], self._kept[3]
            if first <= top < first + len(block):
                block = block[top - first : bottom - first]
                head, start = [block], top + len(block)
        if start < bottom:
            head.append(self._read(start, bottom, left, right))
        block = head[0] if len(head) == 1 else np.concatenate(head)
        block.flags.writeable = False  # It is read from again.
        self._kept = top, left, right, block
        return block

    def _read(self, top, bottom, left, right):
        lines = {"y": slice(top, bottom), "x": slice(left, right)}
        lines["c"] = slice(None)
        index = tuple(
            lines.get(axis, self._plane.get(axis, 0)) for axis in self._axes
        )
        found = np.asarray(self._array[index])
        kept = [axis for axis in self._axes if axis in lines]
        order = [kept.index(axis) for axis in "yxc" if axis in kept]
        found = found.transpose(order)
        if self.dtype == np.uint8 and found.dtype.kind == "b":
            found = found * np.uint8(255)
        return np.ascontiguousarray(
            found.reshape(*found.shape[:2], -1), self.dtype
        )

    def again(self):
        """Open the same windows once more."""
        return ZarrWindows(*self._opened)

    def close(self):
        """Forget what is held of it."""
        self._array = self._kept = None


def _state(folder):
    """Tell an array from others, and its versions, by sizes and times."""
    state = hashlib.sha256()
    for name in sorted(_files(folder)):
        stat = os.stat(os.path.join(folder, name))
        state.update(f"{name}\0{stat.st_size}\0{stat.st_mtime_ns}\0".encode())
    return {"files": state.hexdigest()}


def _files(folder):
    """Yield the path, from a folder, of each file below."""
    for here, _, names in os.walk(folder):
        for name in names:
            yield os.path.relpath(os.path.join(here, name), folder)
