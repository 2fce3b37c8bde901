"""Reads what was written of an image, as large as it is shown, or whole."""

import contextlib
import math

from keras_patching.data.images.label_images import read_mask
from keras_patching.data.images.tiff_windows import StoredPixels
from keras_patching.inference.pictures import Picture
from keras_patching.prediction.sources import open_source
from keras_patching.prediction.zarr_folder import import_zarr
from keras_patching.visualization.pages.page import MOST_SIDE

_ROWS = 512  # that are read at once


class WrittenFiles:
    """The files of one image.

    Args:
        directory: `pathlib.Path` of the folder of results.
        entry: `Entry` of the image.

    Attributes:
        tables: As of the entry.
    """

    def __init__(self, directory, entry):
        self.tables = entry.tables
        self._paths = {
            name.partition("/")[0]: directory / name for name in entry.outputs
        }

    def __contains__(self, key):
        return key in self._paths

    def shown(self, key):
        """Read the file of a folder, or every so many rows and columns of it.

        Returns:
            Array `(height, width, channels)`.
        """
        return self._read(key, read_shown)

    def whole(self, key):
        """Read all of the file of a folder; as `shown`."""
        return self._read(key, lambda source: read_shown(source, 1))

    def _read(self, key, read):
        path = self._paths[key]
        if path.suffix == ".png":  # A mask, whose palette is for viewers.
            return read_mask(path)[..., None]
        if path.suffix == ".tif":
            with contextlib.closing(StoredPixels(path)) as stored:
                return read(stored)
        if path.suffix == ".zarr":
            stored = import_zarr("`format`").open(path, mode="r")
            # An OME-Zarr is a group, whose largest level is written first.
            return read(stored if hasattr(stored, "dtype") else stored["0"])
        return read(path)


def read_shown(source, step=None, **how):
    """Read an image, or every so many rows and columns of it.

    Args:
        source: As for `open_source`.
        step: Of how many rows and columns one is read; `None` is what a large
            picture of a page needs.
        **how: Arguments of `open_source`.

    Returns:
        Array `(height, width, channels)`.
    """
    opened = open_source(source, 0, **how)
    try:
        size = opened.shape[:2]
        if step is None:
            step = max(1, math.ceil(max(size) / (2 * MOST_SIDE)))
        picture = Picture(size, step)
        for y in range(0, size[0], _ROWS):
            picture.add(opened.read(y, min(_ROWS, size[0] - y)), y)
    finally:
        opened.close()
    return picture.pixels
