"""What every format shares: the header of an image, limits, first bytes.

A format reads an `ImageHeader` before it decodes: sizes are known, and refused
where they are beyond the limit, before memory is taken. Formats are told by
their first bytes, since suffixes lie. Errors name the file.
"""

import contextlib
import dataclasses
import os

import numpy as np

from keras_patching._faults import ImageFileError
from keras_patching.data.images.contents import FOLDER

# A pixel of more than four bytes counts as several.
MAX_PIXELS = 2**30
BYTES_OF_A_PIXEL = 4
MAX_PIXELS_VARIABLE = "KERAS_PATCHING_MAX_IMAGE_PIXELS"

_MAGIC = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
    b"\x93NUMPY": "npy",
    FOLDER[:16]: "OME-Zarr",
}
_POINTER = b"version https://git-lfs"
_TURNS = {
    2: lambda array: array[:, ::-1],
    3: lambda array: array[::-1, ::-1],
    4: lambda array: array[::-1],
    5: lambda array: array.swapaxes(0, 1),
    6: lambda array: np.rot90(array, -1),
    7: lambda array: array[::-1, ::-1].swapaxes(0, 1),
    8: lambda array: np.rot90(array),
}


@dataclasses.dataclass(frozen=True)
class ImageHeader:
    """What a file says of its image, before its pixels are decoded.

    Attributes:
        size: `(height, width)` in pixels, EXIF orientation applied.
        channels: Channels that `decode_image` gives, 1 for grey.
        dtype: NumPy dtype that `decode_image` gives.
        rotated: Whether the EXIF orientation swaps height and width.
        lacks_data: Whether a value, a mask or alpha says that pixels may have
            no data.
    """

    size: tuple[int, int]
    channels: int
    dtype: np.dtype
    rotated: bool = False
    lacks_data: bool = False


@contextlib.contextmanager
def naming(path):
    """Turn whatever a decoder raises into an error that names the file."""
    try:
        yield
    except (MemoryError, ImageFileError):
        raise
    except Exception as error:
        raise ImageFileError(
            f"{path}: truncated or damaged, cannot be decoded "
            f"({type(error).__name__}: {error}). Replace or remove it."
        ) from error


def format_of(stream, path):
    """Tell the format by the first bytes, since suffixes lie."""
    head = stream.read(16)
    stream.seek(0)
    for magic, name in _MAGIC.items():
        if head.startswith(magic):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    if not head:
        raise ImageFileError(
            f"{path}: is empty (0 bytes). Replace or remove it."
        )
    if stream.read(len(_POINTER)) == _POINTER:
        raise ImageFileError(
            f"{path}: a pointer of Git LFS to an image that is not here. Fetch "
            "it with `git lfs pull`."
        )
    raise ImageFileError(
        f"{path}: not an image that can be read. Found a file that starts "
        f"with {head[:8]!r}, expected PNG, JPEG, TIFF, BMP, WebP or npy. "
        "Convert, replace or remove it."
    )


def make_header(size, channels, dtype, orientation, path, limited=True):
    """Make an `ImageHeader` of the stored size, if the limit allows it.

    An image that is never decoded as a whole may be larger: `limited=False`.
    """
    height, width = size
    dtype = plain_dtype(dtype)
    if height * width == 0:
        raise ImageFileError(f"{path}: has no pixels, {height} x {width}.")
    if limited:
        _check_pixels(height, width, channels * dtype.itemsize, path)
    rotated = orientation in (5, 6, 7, 8)
    size = (width, height) if rotated else (height, width)
    return ImageHeader(size, channels, dtype, rotated)


def _check_pixels(height, width, pixel_bytes, path):
    text = os.environ.get(MAX_PIXELS_VARIABLE) or str(MAX_PIXELS)
    if not text.isdecimal():
        raise ImageFileError(
            f"The environment variable {MAX_PIXELS_VARIABLE} must be a whole "
            f"number of pixels. Received: {text!r}"
        )
    pixels = height * width * max(1, -(-pixel_bytes // BYTES_OF_A_PIXEL))
    if pixels > int(text):
        counted = f" of {pixel_bytes} bytes, which count as {pixels}"
        raise ImageFileError(
            f"{path}: has {height} x {width} = {height * width} pixels"
            f"{counted if pixels > height * width else ''}, more than the "
            f"limit of {int(text)}. If the file is meant to be that large, "
            f"set the environment variable {MAX_PIXELS_VARIABLE}={pixels}."
        )


def plain_dtype(dtype):
    """Native byte order; bits count as bytes."""
    dtype = np.dtype(dtype)
    return np.dtype("uint8") if dtype.kind == "b" else dtype.newbyteorder("=")


def upright(array, orientation):
    """Turn `(h, w, c)` as its EXIF orientation says."""
    turn = _TURNS.get(orientation)
    return array if turn is None else np.ascontiguousarray(turn(array))
