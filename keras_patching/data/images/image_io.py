"""The front of the formats: image files to arrays and back, exactly or not.

Read and written here by first bytes and by suffix: `pillow_formats`,
`tiff_format` and `npy_format` decode, after `headers` has told what there is.
Masks and density maps are read by `label_images`, parts of large images by
`windows`; `listing` finds files.

imageio writes PNG and JPEG. It does not read, since it hides what is needed: a
header without a decode, EXIF orientation, indices of palettes. And what it
would change silently (16 bits cut to 8, half a file filled with grey) is an
error here that names the file.
"""

import io
import os
import pathlib
from collections.abc import Sequence
from typing import Any, Literal

import imageio.v3 as iio
import numpy as np

from keras_patching._faults import ImageFileError, fault_of
from keras_patching._types import ArrayLike, Color, NDArray
from keras_patching._whole_files import whole_file
from keras_patching.data.images import (
    npy_format,
    pillow_formats,
    tiff_format,
    zarr_windows,
)
from keras_patching.data.images.channels import with_channels
from keras_patching.data.images.contents import read_content
from keras_patching.data.images.headers import ImageHeader, format_of
from keras_patching.data.images.tiff_writing import encode_tiff

# Raise it with every change after which a file gives other values than before:
# patches that were cut from what was read until then are not used any more.
READER_VERSION = 4

_PNG_HOLDS = {("uint8", 1), ("uint8", 3), ("uint8", 4), ("uint16", 1)}
_JPEG_HOLDS = {("uint8", 1), ("uint8", 3)}


def read_header(path) -> ImageHeader:
    """Read size, channels and dtype of an image without decoding it.

    Args:
        path: Path of an image file.

    Returns:
        An `ImageHeader`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: Empty, not an image, several images, more pixels than the
            declared limit, or a depth that cannot be read exactly.
    """
    if os.path.isdir(path):
        return zarr_windows.zarr_header(path)
    with open(path, "rb") as stream:
        return _read_header(stream, path)


def read_headers(images, read=read_header):
    """Read the headers of images, and list what is wrong with others.

    Args:
        images: Iterable of paths.
        read: Function from a path to its `ImageHeader`.

    Returns:
        Dict from the path of each readable image to `ImageHeader`, and a list
        of faults, a line each.
    """
    faults, headers = [], {}
    for image in images:
        try:
            headers[image] = read(image)
        except (ValueError, OSError) as error:
            faults.append(fault_of(error))
    return headers, faults


def decode_header(data, path) -> ImageHeader:
    """Read the header in the bytes of an image file. See `read_header`."""
    return _read_header(io.BytesIO(data), path)


def _read_header(stream, path):
    kind = format_of(stream, path)
    if kind == "npy":
        return npy_format.npy_header(stream, path)
    if kind == "TIFF":
        return tiff_format.tiff_header(stream, path)
    if kind == "OME-Zarr":
        return zarr_windows.zarr_header(path)
    return pillow_formats.pillow_header(stream, kind, path)


def decode_image(data, path, channels=None):
    """Decode the bytes of an image file, keeping its dtype and values.

    EXIF orientation is applied. 1-bit images become 0 and 255, palettes and
    CMYK become RGB.

    Args:
        data: Bytes of the whole file.
        path: Path that error messages name.
        channels: Wanted number of channels; `None` keeps those of the file.
            Grey is repeated to 3, an alpha channel is dropped, nothing else
            is converted but by "grayscale": that makes one channel, of colour
            0.299 red + 0.587 green + 0.114 blue (ITU-R BT.601), as
            `convert("L")` of Pillow.

    Returns:
        Array `(height, width, channels)`, which may be read-only.

    Raises:
        ValueError: As for `read_header`, and for truncated data and for
            channels that cannot be converted.
    """
    array, alpha = decode_seen(data, path)
    return with_channels(array, alpha, channels, path)


def decode_stored(data, path, noun):
    """Decode what a label stores, not what is seen, if that is exact.

    Args:
        data: Bytes of the whole file.
        path: Path that error messages name.
        noun: What the image is, for messages: "mask".

    Returns:
        Array `(height, width, channels)`, and whether the last is alpha.

    Raises:
        ValueError: As for `decode_image`, and for lossy files.
    """
    kind = format_of(io.BytesIO(data), path)
    if pillow_formats.is_lossy(data, kind):
        raise ImageFileError(
            f"{path}: a {noun} in a lossy format ({kind}), whose values are "
            f"not exact. Save the original {noun} as PNG or TIFF; converting "
            "this file does not mend it."
        )
    return _decode(data, path, raw=True)


def decode_seen(data, path):
    """Decode all channels of an image, and tell whether the last is alpha."""
    return _decode(data, path, raw=False)


def _decode(data, path, raw):
    """Decode to `(h, w, c)`, and whether the last channel is alpha."""
    stream = io.BytesIO(data)
    kind = format_of(stream, path)
    if kind == "npy":
        return npy_format.npy_pixels(stream, path, raw), False
    if kind == "TIFF":
        return tiff_format.tiff_pixels(stream, path, raw)
    if kind == "OME-Zarr":
        return zarr_windows.zarr_pixels(path), False
    return pillow_formats.pillow_pixels(stream, kind, path, raw)


def nodata_of(data):
    """Give the text of the value that a GeoTIFF declares to be no data.

    Args:
        data: Bytes of a file of any format.

    Returns:
        A string such as "-9999", or `None`.
    """
    return tiff_format.tiff_nodata(data)


def read_image(
    path: str | os.PathLike | Any,
    channels: int | Literal["grayscale"] | None = None,
) -> NDArray:
    """Read an image file. See `decode_image`.

    Args:
        path: Path of an image file, or of the folder of an OME-Zarr; or what
            `open_image` gives, which is read whole.
        channels: Wanted number of channels; `None` keeps those of the file,
            "grayscale" makes one channel of colour, as Pillow does.

    Returns:
        Array `(height, width, channels)` of the file's dtype.

    Raises:
        FileNotFoundError: There is no such file.
        TypeError: It is neither a path nor an opened image.
        ValueError: It cannot be read exactly.

    Example:

    >>> image = keras_patching.data.read_image("field/images/field_0.jpg")
    >>> image.shape, image.dtype
    ((130, 140, 3), dtype('uint8'))
    """
    if isinstance(path, (str, os.PathLike)):
        return decode_image(read_content(path), path, channels)
    if not hasattr(path, "alpha"):  # no `OpenedImage`
        raise TypeError(
            "`path` must be the path of an image file, or what `open_image` "
            f"gives. Received: {type(path).__name__}"
        )
    array = np.asarray(path)
    return with_channels(array, path.alpha, channels, path.path)


def write_image(
    path: str | os.PathLike,
    array: ArrayLike,
    palette: Sequence[Color] | None = None,
) -> None:
    """Write an array as PNG, JPEG, TIFF or npy, by the suffix of the path.

    Args:
        path: Path of the file to write.
        array: Array `(height, width)` or `(height, width, channels)`.
        palette: RGB `(n, 3)`, 0 to 255, of the values 0, 1 and so on of a PNG
            of uint8 class ids: viewers show the colours, and `read_mask`
            reads the ids. Other formats go without.

    Raises:
        ValueError: The format cannot hold the array; names one that can.

    Example:

    >>> image = np.zeros((30, 40, 3), "uint8")
    >>> keras_patching.data.write_image("black.png", image)
    """
    array = np.asarray(array)
    suffix = pathlib.Path(path).suffix.lower()
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.ndim not in (2, 3) or 0 in array.shape:
        raise ValueError(
            f"{path}: expected an array (height, width) or (height, width, "
            f"channels) with pixels. Received: shape={array.shape}"
        )
    pathlib.Path(path).write_bytes(_encode(path, suffix, array, palette))


def write_whole_image(path, array, palette=None):
    """Write an image in one step; as `write_image` does."""
    with whole_file(path) as temporary:
        try:
            write_image(temporary, array, palette)
        except ValueError as error:
            message = str(error).replace(str(temporary), str(path))
            raise ValueError(message) from error


def _encode(path, suffix, array, palette):
    channels = 1 if array.ndim == 2 else array.shape[2]
    kind = (array.dtype.name, channels)
    stream = io.BytesIO()
    if suffix == ".npy" and array.dtype.kind in "uifb":
        np.save(stream, array, allow_pickle=False)
    elif suffix in (".tif", ".tiff") and array.dtype.kind in "uif":
        stream.write(encode_tiff(array))
    elif suffix == ".png" and kind == ("uint8", 1) and palette is not None:
        stream.write(pillow_formats.encode_palette_png(array, palette))
    elif suffix == ".png" and kind in _PNG_HOLDS:
        iio.imwrite(stream, array, extension=".png", plugin="pillow")
    elif suffix in (".jpg", ".jpeg") and kind in _JPEG_HOLDS:
        iio.imwrite(
            stream, array, extension=".jpg", plugin="pillow", quality=95
        )
    else:
        raise ValueError(
            f"{path}: {suffix or 'no suffix'} cannot hold {channels} channels "
            f"of {array.dtype}. {_suffix_that_holds(array.dtype, kind)}"
        )
    return stream.getvalue()


def _suffix_that_holds(dtype, kind):
    if kind in _PNG_HOLDS:
        return "Use the suffix .png, .tif or .npy."
    if dtype.kind in "uif":
        return "Use the suffix .tif or .npy."
    if dtype.kind == "b":
        return "Use .npy, or .png after array.astype('uint8')."
    return "Convert it to integers or floats first."
