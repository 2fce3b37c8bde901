"""Writes TIFFs: a whole image, or the file that rows are written into."""

import io
import math

import numpy as np
import tifffile

# Readers take a strip at once: small ones let them read a part of an image.
_STRIP_BYTES = 2**18
# What tifffile reserves for the tags.
_MAX_CLASSIC_BYTES = 2**32 - 2**25


def encode_tiff(array):
    """Encode a TIFF with deflate.

    Args:
        array: Integers or floats `(height, width)` or `(height, width,
            channels)`. Three or four channels of unsigned integers are told
            to be RGB, the fourth of no meaning.

    Returns:
        Bytes.
    """
    stream = io.BytesIO()
    tifffile.imwrite(
        stream,
        array,
        compression="zlib",
        **_meaning(array.shape, array.dtype),
    )
    return stream.getvalue()


def write_empty_tiff(stream, shape, dtype):
    """Write a TIFF of zeros without compression, for rows to come.

    It is a BigTIFF if it has 4 GB or more.

    Args:
        stream: Binary stream of an empty file, open for reading and writing.
        shape: `(height, width)` or `(height, width, channels)`, with meanings
            as for `encode_tiff`.
        dtype: Dtype of integers or floats.

    Returns:
        Where in the file the first row begins. The others follow, each as the
        bytes of a C-contiguous array.
    """
    dtype = np.dtype(dtype)
    if len(shape) == 3 and shape[2] == 1:
        shape = shape[:2]  # tifffile would take rows for pages.
    row_bytes = math.prod(shape[1:]) * dtype.itemsize
    is_large = shape[0] * row_bytes >= _MAX_CLASSIC_BYTES
    with tifffile.TiffWriter(stream, bigtiff=is_large) as tiff:
        offset, _ = tiff.write(
            shape=shape,
            dtype=dtype,
            rowsperstrip=min(shape[0], max(1, _STRIP_BYTES // row_bytes)),
            returnoffset=True,
            **_meaning(shape, dtype),
        )
    return offset


def write_ome_tiff(path, shapes, dtype, levels, tile, metadata, pixels=None):
    """Write an OME-TIFF of several levels, in tiles with deflate.

    Args:
        path: `pathlib.Path` to write to.
        shapes: Shape of each level, `(height, width)` or `(height, width,
            channels)`, the largest first.
        dtype: Dtype of all.
        levels: Iterable of iterables of the tiles of each level, whole ones,
            those of one channel after the other.
        tile: Length of a side of a tile.
        metadata: Dict of what OME says of the image, as tifffile takes it.
        pixels: How many there are in a centimetre, `(x, y)`, or `None`.
    """
    is_large = 1.4 * math.prod(shapes[0]) * dtype.itemsize
    is_large = is_large >= _MAX_CLASSIC_BYTES
    axes = "CYX" if len(shapes[0]) == 3 else "YX"
    options = {
        "dtype": dtype,
        "tile": (tile, tile),
        "compression": "zlib",
        "photometric": "minisblack",
        "maxworkers": 1,
    }
    with tifffile.TiffWriter(path, ome=True, bigtiff=is_large) as tiff:
        for number, (shape, tiles) in enumerate(
            zip(shapes, levels, strict=True)
        ):
            height, width, *channels = shape
            how = {"subfiletype": 1}
            if number == 0:
                how = {
                    "subifds": len(shapes) - 1,
                    "metadata": {"axes": axes, **metadata},
                }
            if pixels is not None:
                how["resolution"] = tuple(each / 2**number for each in pixels)
                how["resolutionunit"] = "CENTIMETER"
            shape = (*channels, height, width)
            tiff.write(tiles, shape=shape, **options, **how)


def _meaning(shape, dtype):
    """Give the arguments of tifffile that say what the numbers are."""
    channels = 1 if len(shape) == 2 else shape[2]
    color = channels in (3, 4) and dtype.kind == "u"
    return {
        "photometric": "rgb" if color else "minisblack",
        "planarconfig": "contig" if channels > 1 else None,
        "extrasamples": ["unspecified"] if color and channels == 4 else None,
        "metadata": None,
    }
