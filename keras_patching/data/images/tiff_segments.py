"""The strips and tiles of a TIFF, put together to the values of a page.

`tiff_compressions` decompresses them; tifffile then makes numbers of the
bytes: byte order, packed bits, predictors.
"""

import copy
import dataclasses
import math

import numpy as np

from keras_patching.data.images.tiff_compressions import (
    COMPRESSIONS,
    SegmentShape,
)

_NONE = 1
# Of a strip that is not compressed, what is read at once.
_PIECE_BYTES = 2**18
_BITS_TURNED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))

# What the shape of strips and tiles is told by.
_LENGTHS = ("imagewidth", "imagelength", "samplesperpixel", "bitspersample")
_LENGTHS += ("rowsperstrip", "tilewidth", "tilelength")


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
    segments = Segments(data, layout, page)
    whole = 0, layout.imagelength, 0, layout.imagewidth
    array = segments.empty(whole)
    for indices in segments.touched(whole):
        for _, segment in segments.decoded(indices):
            segment.paste(array, whole)
    return array.reshape(layout.shape)


@dataclasses.dataclass(frozen=True)
class Segment:
    """What a strip or tile holds.

    Attributes:
        values: Array `(rows, columns, samples)`; tiles reach beyond the page.
        plane, y, x: Where on the page it begins.
    """

    values: np.ndarray
    plane: int
    y: int
    x: int

    def paste(self, array, window):
        """Copy what lies in a window `(y, height, x, width)` of the page.

        Args:
            array: Array `(planes, height, width, samples)` of the window.
        """
        top, height, left, width = window
        rows, columns = self.values.shape[:2]
        y0, y1 = max(top, self.y), min(top + height, self.y + rows)
        x0, x1 = max(left, self.x), min(left + width, self.x + columns)
        array[self.plane, y0 - top : y1 - top, x0 - left : x1 - left] = (
            self.values[y0 - self.y : y1 - self.y, x0 - self.x : x1 - self.x]
        )


class Segments:
    """The strips or tiles of one page.

    Args:
        data, layout, page: As for `read_segments`; `data` may be an `OpenFile`.
        divided: Whether strips that are not compressed, often one for all, are
            taken for several of a few rows.

    Raises:
        ValueError: Some are missing.
    """

    def __init__(self, data, layout, page, divided=False):
        offsets, counts = page.dataoffsets, page.databytecounts
        self._places = list(zip(offsets, counts, strict=False))
        shape = segment_shape(layout)
        planes = layout.samplesperpixel // shape.samples
        expected = planes * _segments_of_a_plane(layout, shape)
        if not len(offsets) == len(counts) == expected:
            raise ValueError(
                f"{len(offsets)} strips or tiles, expected {expected}"
            )
        if divided:
            layout, self._places = _divided(layout, self._places)
        self.layout, self.shape = layout, segment_shape(layout)
        self._data, self._planes = data, planes
        self._in_a_plane = _segments_of_a_plane(layout, self.shape)
        self._decode = _decoder_of_plain(layout)
        is_whole = all(map(any, self._places))
        self._background = 0 if is_whole else _nodata(layout)

    def empty(self, window):
        """Make the array of a window in which nothing is: zeros, or nodata."""
        _, height, _, width = window
        shape = self._planes, height, width, self.shape.samples
        array = np.zeros(shape, self.layout.dtype)
        if self._background:
            array[...] = self._background
        return array

    def touched(self, window):
        """List the indices that a window touches, a list for each plane.

        Args:
            window: `(y, height, x, width)`, inside of the page.
        """
        y, height, x, width = window
        across = -(-self.layout.imagewidth // self.shape.width)
        rows, columns = self.shape.rows, self.shape.width
        first = [
            row * across + column
            for row in range(y // rows, -(-(y + height) // rows))
            for column in range(x // columns, -(-(x + width) // columns))
        ]
        return [
            [plane * self._in_a_plane + index for index in first]
            for plane in range(self._planes)
        ]

    def decoded(self, indices):
        """Yield index and `Segment` of those that are there.

        Args:
            indices: Ascending list of indices in one plane.
        """
        layout, shape = self.layout, self.shape
        indices = [index for index in indices if any(self._places[index])]
        segments = [
            _cut(self._data, *self._places[index], layout, shape)
            for index in indices
        ]
        ends_short = bool(
            indices
            and not layout.is_tiled
            and (indices[-1] + 1) % self._in_a_plane == 0
        )
        whole = _decompressed(layout, segments, shape, ends_short)
        for index, content in zip(indices, whole, strict=True):
            values, (plane, _, y, x, _), _ = self._decode(content, index)
            yield index, Segment(values[0], plane, y, x)


def _segments_of_a_plane(layout, shape):
    across = -(-layout.imagewidth // shape.width)
    return across * -(-layout.imagelength // shape.rows)


def _divided(layout, places):
    """Divide strips that are not compressed, where all are as long as said."""
    shape = segment_shape(layout)
    most = max(1, _PIECE_BYTES // shape.row_bytes)
    if layout.compression != _NONE or layout.is_tiled or most >= shape.rows:
        return layout, places
    is_one = shape.rows == layout.imagelength
    rows = most if is_one else math.gcd(most, shape.rows)
    pieces = []
    strips = -(-layout.imagelength // shape.rows)
    for index, (offset, count) in enumerate(places):
        is_last = (index + 1) % strips == 0
        left = shape.last_rows if is_last else shape.rows
        if count and count < left * shape.row_bytes:
            return layout, places
        for start in range(0, left, rows):
            size = min(rows, left - start) * shape.row_bytes
            place = offset + start * shape.row_bytes, size
            pieces.append(place if offset or count else (0, 0))
    layout = copy.copy(layout)
    layout.rowsperstrip = rows
    return layout, pieces


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
    # tifffile keeps the decoder that it has made.
    for name in ("hash", "decode"):
        vars(layout).pop(name, None)
    layout.compression, layout.fillorder = _NONE, 1
    layout.subsampling = 1, 1  # what a JPEG made of it
    return layout.decode


def segment_shape(page):
    """Tell the `SegmentShape` of a page.

    Raises:
        ValueError: A tag that it is told by is not one whole number.
    """
    for name in _LENGTHS:
        if not isinstance(getattr(page, name), int):
            raise ValueError(f"{name} is {getattr(page, name)!r}"[:100])
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
