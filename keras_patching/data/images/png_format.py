"""Whether all of a PNG is there, as it was written; and its palette.

Pillow compares no checksum, and fills the rows that a stream lacks with 0.
"""

import contextlib
import struct
import zlib

import numpy as np

SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Columns and rows between the pixels of the passes of an interlaced PNG, and
# where the first of them lies: x, y, step in x, step in y.
_WHOLE = ((0, 0, 1, 1),)
_PASSES = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_AT_ONCE = 2**20


def check_chunks(data):
    """Compare the checksum of each chunk.

    Args:
        data: Bytes of the file.

    Raises:
        ValueError: A checksum is wrong, or the end is missing.
    """
    for name, start, end in _chunks(data):
        (expected,) = struct.unpack_from(">I", data, end)
        if zlib.crc32(memoryview(data)[start - 4 : end]) != expected:
            raise ValueError(
                f"the checksum of its chunk {name.decode('latin-1')} is wrong"
            )


def png_palette(data):
    """Give the palette of a PNG of indices.

    Args:
        data: Bytes of a file of any format.

    Returns:
        uint8 `(n, 3)` of RGB; `None` where there is none.
    """
    if not data.startswith(SIGNATURE) or data[25:26] != b"\3":
        return None
    with contextlib.suppress(ValueError):
        for name, start, end in _chunks(data):
            if name == b"PLTE":
                return np.frombuffer(data[start:end], "uint8").reshape(-1, 3)
    return None


def check_rows(data, last_row):
    """Refuse a stream of fewer rows than the header says.

    Args:
        data: Bytes of a file that passed `check_chunks`.
        last_row: Array of what Pillow read as the last row, or `None`. Rows
            that are missing are 0 there, so where it is not, none is.

    Raises:
        ValueError: Rows are missing.
    """
    width, height, bits, kind, _, _, interlaced = struct.unpack_from(
        ">IIBBBBB", data, 16
    )
    if last_row is not None and last_row.any() and not interlaced:
        return
    pixel_bits = bits * _SAMPLES[kind]
    expected = 0
    for x, y, across, down in _PASSES if interlaced else _WHOLE:
        columns = -(-(width - x) // across)
        rows = -(-(height - y) // down)
        if columns > 0 and rows > 0:
            expected += rows * (1 + (columns * pixel_bits + 7) // 8)
    found = _inflated_length(data, expected)
    if found < expected:
        raise ValueError(
            f"its stream ends after {found} of {expected} bytes of pixels"
        )


def _inflated_length(data, most):
    decompressor, found = zlib.decompressobj(), 0
    for name, start, end in _chunks(data):
        rest = data[start:end] if name == b"IDAT" else b""
        while rest and found < most:
            found += len(decompressor.decompress(rest, _AT_ONCE))
            rest = decompressor.unconsumed_tail
    return found


def _chunks(data):
    """Give name, start and end of the content of each chunk."""
    position, name = len(SIGNATURE), None
    while name != b"IEND":
        if position + 12 > len(data):
            raise ValueError("it has no end")
        length, name = struct.unpack_from(">I4s", data, position)
        start, position = position + 8, position + 12 + length
        if position > len(data):
            raise ValueError("it has no end")
        yield name, start, start + length
