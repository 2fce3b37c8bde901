"""Strips and tiles of a TIFF: decompressed, as large as they must be.

What is read is said by one table, `COMPRESSIONS`; whatever is not in it is
refused. Nothing is inflated further than its pixels go, and nothing that is
too short is filled up. tifffile then makes numbers of the bytes: byte order,
packed bits, predictors.
"""

import copy
import dataclasses
import io
import lzma
import struct
import zlib
from collections.abc import Callable

import numpy as np
from PIL import ImageFile, TiffImagePlugin

from keras_patching.data.images import image_formats, jpeg_format

INSTALL = '`pip install "keras-patching[tiff]"` (imagecodecs)'
_NONE, _JPEG = 1, 7
_YCBCR = 6
_XZ_MEMORY = 2**28
_BITS_TURNED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


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


def read_segments(data, layout, page):
    """Read the stored values of one page.

    Args:
        data: Bytes of the whole file.
        layout: The `tifffile.TiffPage` that says how it is stored; its
            compression is in the table.
        page: The page, which says where its segments are.

    Returns:
        Array of the layout's `shape` and dtype. Segments that are left out,
        at byte 0 and of 0 bytes, as GDAL does where nothing is, hold the
        nodata value, or 0.

    Raises:
        ValueError: A segment is damaged, too short or missing.
    """
    shape = segment_shape(layout)
    planes = layout.samplesperpixel // shape.samples
    across = -(-layout.imagewidth // shape.width)
    each = across * -(-layout.imagelength // shape.rows)
    offsets, counts = page.dataoffsets, page.databytecounts
    if not len(offsets) == len(counts) == planes * each:
        raise ValueError(
            f"{len(offsets)} strips or tiles, expected {planes * each}"
        )
    places = list(zip(offsets, counts, strict=True))
    array = np.zeros(layout.shaped, layout.dtype)
    if not all(map(any, places)):
        array[...] = _nodata(layout)
    decode = _decoder_of_plain(layout)
    for first in range(0, planes * each, each):
        indices = [i for i in range(first, first + each) if any(places[i])]
        segments = [_cut(data, *places[i], layout, shape) for i in indices]
        ends_short = not layout.is_tiled and first + each - 1 in indices
        whole = _decompressed(layout, segments, shape, ends_short)
        for index, content in zip(indices, whole, strict=True):
            values, (plane, _, y, x, _), _ = decode(content, index)
            target = array[plane, 0, y:, x:]
            rows = min(len(target), values.shape[1])
            columns = min(target.shape[1], values.shape[2])
            target[:rows, :columns] = values[0, :rows, :columns]
    return array.reshape(layout.shape)


def _decompressed(layout, segments, shape, ends_short):
    how = COMPRESSIONS[int(layout.compression)]
    if layout.fillorder == 2 and how.bytewise:
        segments = [segment.translate(_BITS_TURNED) for segment in segments]
    contents = how.decompress(layout, segments, shape, ends_short)
    for index, content in enumerate(contents):
        last = ends_short and index == len(segments) - 1
        rows = shape.last_rows if last else shape.rows
        expected = rows * shape.row_bytes
        if len(content) < expected:
            raise ValueError(
                f"a strip or tile of {len(content)} bytes, expected {expected}"
            )
        yield content[:expected]


def _nodata(layout):
    """The nodata value where the dtype holds it, else 0."""
    value = layout.nodata
    return value if np.can_cast(np.min_scalar_type(value), layout.dtype) else 0


def _decoder_of_plain(layout):
    """Let tifffile make numbers of bytes that are decompressed already."""
    layout = copy.copy(layout)
    layout.compression, layout.fillorder = _NONE, 1
    layout.subsampling = 1, 1  # what a JPEG made of it
    return layout.decode


def segment_shape(page):
    """Tell the `SegmentShape` of a page."""
    samples = 1 if page.planarconfig == 2 else page.samplesperpixel
    if page.is_tiled:
        width, rows = page.tilewidth, page.tilelength
        last_rows = rows
    else:
        width = page.imagewidth
        rows = min(page.rowsperstrip, page.imagelength)
        last_rows = page.imagelength - (page.imagelength - 1) // rows * rows
    row_bytes = (width * samples * page.bitspersample + 7) // 8
    return SegmentShape(width, samples, row_bytes, rows, last_rows)


def _cut(data, offset, count, layout, shape):
    if layout.compression == _NONE:
        # Writers that tell no length, or one beyond the file, are known.
        count = count or shape.rows * shape.row_bytes
    elif offset + count > len(data):
        raise ValueError("a strip or tile ends behind the file")
    if not (offset and count):
        raise ValueError(f"a strip or tile of {count} bytes at byte {offset}")
    return data[offset : offset + count]


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
        # Without Pillow's limit of pixels, which a byte is not.
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
    with image_formats.no_half_images:
        return jpeg_format.load(segment).tobytes()


_OF_BITS = (2, 3, 4)
_FAX = {"bits": (1,), "samples": (1,), "bytewise": False}
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
