"""Which pixels of image files have data, for training."""

import contextlib
import hashlib
import os

import numpy as np

from keras_patching.data.images.opened_image import OpenedImage
from keras_patching.data.images.tiff_format import MAGIC
from keras_patching.data.images.windows import FileWindows

_ROWS = 512


@contextlib.contextmanager
def open_known(path):
    """Open what tells which pixels of a file have data.

    Args:
        path: Path of an image file, or `OpenedImage`; of anything else nothing
            is told.

    Yields:
        Windows of it, with `known`; `None` where all pixels are said to have
        data.
    """
    if isinstance(path, OpenedImage):
        has_some = getattr(path.windows, "lacks_data", False)
        yield path.windows if has_some else None
        return
    windows = FileWindows(path) if _is_tiff(path) else None
    try:
        yield windows if windows is not None and windows.lacks_data else None
    finally:
        if windows is not None:
            windows.close()


def _is_tiff(path):
    if not isinstance(path, (str, os.PathLike)) or not os.path.isfile(path):
        return False
    with open(path, "rb") as stream:
        return stream.read(4) in MAGIC


def known_bands(windows):
    """Yield the first row of some, and booleans `(rows, width)` of data."""
    height, width = windows.shape[:2]
    for y in range(0, height, _ROWS):
        rows = min(_ROWS, height - y)
        known = windows.known(y, rows, 0, width)
        yield y, np.ones((rows, width), bool) if known is None else known


def known_digest(path):
    """Give a hash of which pixels have data, `None` where all have some.

    It is read by windows, of files that say that pixels may have none.
    """
    with open_known(path) as windows:
        if windows is None:
            return None
        digest, is_whole = hashlib.sha256(), True
        for _, known in known_bands(windows):
            is_whole = is_whole and bool(known.all())
            digest.update(np.packbits(known).tobytes())
    return None if is_whole else digest.hexdigest()


def read_known(path):
    """Read which pixels have data, booleans `(height, width)`.

    It is `None` where all are said to have some.
    """
    with open_known(path) as windows:
        if windows is None:
            return None
        return np.concatenate([known for _, known in known_bands(windows)])


def without_data(path, points):
    """Tell which places lie on pixels without data.

    Args:
        path: Path of an image file.
        points: Array `(n, 2)` of (y, x) in pixels; those outside of the image
            are not told.

    Returns:
        Booleans `(n,)`.
    """
    found = np.zeros(len(points), bool)
    if not len(points):
        return found
    with open_known(path) as windows:
        if windows is None:
            return found
        pixels = np.floor(points).astype(int)
        size = windows.shape[:2]
        inside = ((pixels >= 0) & (pixels < size)).all(axis=1)
        for y, known in known_bands(windows):
            row = pixels[:, 0] - y
            here = inside & (row >= 0) & (row < len(known))
            found[here] = ~known[row[here], pixels[here, 1]]
    return found
