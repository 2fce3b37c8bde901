"""The compressions of TIFF that are read: one table, `COMPRESSIONS`.

A new one is a line of the table and its function; what is not in it is
refused. Nothing is inflated further than its pixels go, and nothing that is
too short is filled up.
"""

import dataclasses
import io
import lzma
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import ImageFile, TiffImagePlugin

from keras_patching.data.images import jpeg_format
from keras_patching.data.images.pillow_globals import no_half_images

INSTALL = '`pip install "keras-patching[tiff]"` (imagecodecs)'
_NONE, _JPEG = 1, 7
_YCBCR = 6
_XZ_MEMORY = 2**28


@dataclasses.dataclass(frozen=True)
class Compression:
    """How the segments of a TIFF are decompressed.

    Attributes:
        name: What people call it.
        decompress: Function from a page, a list of segments, their
            `SegmentShape`, and whether the last may be shorter, to the bytes
            of each.
        lossy: Whether it changes values.
        bytewise: Whether it is of bytes, whose bits may be stored in reverse.
        predictors: Whether differences of neighbours may be stored with it.
        bits: Bits per sample that it is read with; `None` for any.
        samples: Samples per pixel that it is read with; `None` for any.
        by_imagecodecs: Whether imagecodecs is needed.
    """

    name: str
    decompress: Callable
    lossy: bool = False
    bytewise: bool = True
    predictors: bool = False
    bits: tuple[int, ...] | None = None
    samples: tuple[int, ...] | None = None
    by_imagecodecs: bool = False


@dataclasses.dataclass(frozen=True)
class SegmentShape:
    """Layout of a strip or tile before compression.

    Attributes:
        width: Pixels in a row.
        samples: Samples of a pixel.
        row_bytes: Bytes of a row.
        rows: Rows of a whole segment.
        last_rows: Rows of the last segment, at least.
    """

    width: int
    samples: int
    row_bytes: int
    rows: int
    last_rows: int


def left_to_imagecodecs(page):
    """Name what of a page neither this module nor tifffile alone decodes.

    Returns:
        Text such as "12 bits", empty if all is decoded without imagecodecs.
    """
    how = COMPRESSIONS[int(page.compression)]
    if how.by_imagecodecs:
        return f"the compression {how.name}"
    if page.bitspersample not in (1, 8, 16, 32, 64):
        return f"{page.bitspersample} bits"
    stored = np.dtype(page.parent.byteorder + page.dtype.char)
    if page.predictor == 3 or (
        page.predictor == 2 and stored.kind == "f" and not stored.isnative
    ):
        return f"differences of floats (predictor {int(page.predictor)})"
    return ""


def _as_stored(page, segments, shape, ends_short):
    return segments


def _inflated(page, segments, shape, ends_short):
    return [
        _bounded(zlib.decompressobj(), segment, shape) for segment in segments
    ]


def _lzma(page, segments, shape, ends_short):
    return [
        _bounded(lzma.LZMADecompressor(memlimit=_XZ_MEMORY), segment, shape)
        for segment in segments
    ]


def _bounded(decompressor, segment, shape):
    """Inflate a segment to its end, where its checksum is."""
    most = shape.rows * shape.row_bytes
    content = decompressor.decompress(segment, max_length=most)
    rest = getattr(decompressor, "unconsumed_tail", b"")
    if not decompressor.eof:
        more = decompressor.decompress(rest, max_length=1)
        if more:
            raise ValueError(f"a strip or tile of more than {most} bytes")
        if not decompressor.eof:
            raise ValueError("a strip or tile that has no end")
    return content


def _zstd(page, segments, shape, ends_short):
    import imagecodecs

    most = shape.rows * shape.row_bytes
    return [
        bytes(imagecodecs.zstd_decode(segment, out=most))
        for segment in segments
    ]


class _Rows(TiffImagePlugin.TiffImageFile):
    """A TIFF that is made here, of an image whose size has been checked."""

    def load_prepare(self):
        # Pillow's own `load_prepare` checks its limit of pixels, and each byte
        # is a pixel here.
        ImageFile.ImageFile.load_prepare(self)


def _by_libtiff(page, segments, shape, ends_short):
    """Let Pillow's libtiff decompress; a file of rows of bytes is made for it.

    So no layout of samples is beyond it: it sees one grey image, or one of
    bits, whose strips are the segments.
    """
    if not segments:
        return []
    bits = page.compression in _OF_BITS
    rows = shape.rows * len(segments)
    if ends_short:
        rows -= shape.rows - shape.last_rows
    tags = {
        256: shape.width if bits else shape.row_bytes,
        257: rows,
        258: 1 if bits else 8,
        259: int(page.compression),
        262: 1,
        266: int(page.fillorder) if bits else 1,
        277: 1,
        278: shape.rows,
    }
    for tag in (292, 293):
        if bits and tag in page.tags:
            tags[tag] = int(page.tags[tag].value)
    stream = io.BytesIO(_small_tiff(tags, segments))
    content = memoryview(_Rows(stream).tobytes())
    size = shape.rows * shape.row_bytes
    return [
        content[start : start + size] for start in range(0, len(content), size)
    ]


def _small_tiff(tags, segments):
    count = len(segments)
    lists = 8 + 2 + 12 * (len(tags) + 2) + 4
    first = lists + 8 * count
    offsets, counts = [], [len(segment) for segment in segments]
    for size in counts:
        offsets.append(first)
        first += size
    entries = dict.fromkeys(sorted({*tags, 273, 279}))
    body = struct.pack("<2sHIH", b"II", 42, 8, len(entries))
    for tag in entries:
        if tag in tags:
            body += struct.pack("<HHII", tag, 4, 1, tags[tag])
            continue
        values = offsets if tag == 273 else counts
        value = values[0] if count == 1 else lists + 4 * count * (tag == 279)
        body += struct.pack("<HHII", tag, 4, count, value)
    body += struct.pack("<I", 0)
    body += struct.pack(f"<{2 * count}I", *offsets, *counts)
    return b"".join([body, *segments])


def _jpeg(page, segments, shape, ends_short):
    tables = page.jpegtables
    ycbcr = page.photometric == _YCBCR
    return [
        _jpeg_rows(jpeg_format.joined(tables, segment, ycbcr), shape)
        for segment in segments
    ]


def _jpeg_rows(segment, shape):
    height, width, samples = jpeg_format.size_and_channels(segment)
    expected = shape.rows, shape.width, shape.samples
    if height > shape.rows or (width, samples) != expected[1:]:
        raise ValueError(
            f"a JPEG of {height} x {width} pixels of {samples} channels in a "
            f"strip or tile, expected {expected}"
        )
    with no_half_images:
        return jpeg_format.load(segment).tobytes()


_OF_BITS = (2, 3, 4)
_FAX: dict[str, Any] = {"bits": (1,), "samples": (1,), "bytewise": False}
COMPRESSIONS = {
    _NONE: Compression("none", _as_stored),
    2: Compression("CCITT RLE", _by_libtiff, **_FAX),
    3: Compression("CCITT Fax 3", _by_libtiff, **_FAX),
    4: Compression("CCITT Fax 4", _by_libtiff, **_FAX),
    5: Compression("LZW", _by_libtiff, predictors=True),
    _JPEG: Compression(
        "JPEG", _jpeg, lossy=True, bytewise=False, bits=(8,), samples=(1, 3)
    ),
    8: Compression("deflate", _inflated, predictors=True),
    32773: Compression("PackBits", _by_libtiff),
    32946: Compression("deflate", _inflated, predictors=True),
    34925: Compression("LZMA", _lzma, predictors=True),
    50000: Compression("ZSTD", _zstd, predictors=True, by_imagecodecs=True),
}
