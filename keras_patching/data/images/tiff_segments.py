"""The strips and tiles of a TIFF, put together to the values of a page.

`tiff_compressions` decompresses them; tifffile then makes numbers of the
bytes: byte order, packed bits, predictors.
"""

import copy

import numpy as np

from keras_patching.data.images.tiff_compressions import (
    COMPRESSIONS,
    SegmentShape,
)

_NONE = 1
_BITS_TURNED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


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
        # Some writers give no length, or one beyond the end of the file.
        count = count or shape.rows * shape.row_bytes
    elif offset + count > len(data):
        raise ValueError("a strip or tile ends behind the file")
    if not (offset and count):
        raise ValueError(f"a strip or tile of {count} bytes at byte {offset}")
    return data[offset : offset + count]
