"""What a JPEG says of itself, and whether all of it is there.

libjpeg fills what is missing with grey, and Pillow does not tell. A JPEG has
no checksum, so a bit that flipped goes unseen, but what was cut off does not:
scans, restart intervals, and the end of the last scan.
"""

import contextlib
import dataclasses
import io
import struct

import numpy as np
from PIL import JpegImagePlugin

_SOI, _EOI, _SOS, _DRI = 0xD8, 0xD9, 0xDA, 0xDD
_SEQUENTIAL, _PROGRESSIVE = (0xC0, 0xC1), 0xC2
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_AT_ONCE = 2**18
_APPLICATION = range(0xE0, 0xF0)
_RESTARTS = range(0xD0, 0xD8)
_ALONE = {0x01, *_RESTARTS}
# libjpeg reads up to 57 bits beyond the last pixel. These are ones only, which
# is no code, and too few to make pixels of.
_READ_AHEAD = b"\xff\0" * 8
# Put behind the last scan: one that lacks pixels reads them as pixels, a whole
# one skips them.
_MADE_UP = bytes(np.random.default_rng(0).integers(0, 255, 4096, "uint8"))


class Picture(JpegImagePlugin.JpegImageFile):
    """A JPEG without its resolution, for which Pillow reads all of EXIF."""

    def _read_dpi_from_exif(self):
        pass


@dataclasses.dataclass(frozen=True)
class _Frame:
    """What is encoded: size, and per component its sampling factors."""

    kind: int
    height: int
    width: int
    factors: dict[int, tuple[int, int]]

    def blocks(self, component):
        """Blocks of 8 x 8 of a component, in rows and columns."""
        tallest = max(v for _, v in self.factors.values())
        widest = max(h for h, _ in self.factors.values())
        h, v = self.factors[component]
        rows = -(-self.height * v // (8 * tallest))
        return rows, -(-self.width * h // (8 * widest))

    def units(self, components):
        """Units that a scan of these components is made of."""
        if len(components) == 1:
            rows, columns = self.blocks(components[0])
            return rows * columns
        tallest = max(v for _, v in self.factors.values())
        widest = max(h for h, _ in self.factors.values())
        rows = -(-self.height // (8 * tallest))
        return rows * -(-self.width // (8 * widest))


@dataclasses.dataclass(frozen=True)
class _Scan:
    """One pass over the pixels, and the bytes it takes.

    Attributes:
        components: Which it is of.
        band: First and last coefficient.
        bit: Lowest bit that is sent of them.
        interval: Units between two restarts; 0 without.
        start, end: Its bytes in the file.
        restarts: Its restart marks, in order, and their places.
    """

    components: tuple[int, ...]
    band: tuple[int, int]
    bit: int
    interval: int
    start: int
    end: int
    restarts: tuple[tuple[int, int], ...]


def load(data):
    """Decode a JPEG of which nothing is missing.

    Args:
        data: Bytes of the file.

    Returns:
        The loaded `PIL` image.

    Raises:
        ValueError, OSError: It is damaged, or a part of it is missing.
    """
    frame, scans = _parse(data)
    _check_scans(frame, scans)
    last = scans[-1]
    if frame.kind in _SEQUENTIAL and len(scans) == 1:
        # Without the end marker Pillow raises where pixels are missing, instead
        # of filling them with grey.
        image = _open(data[: last.end] + _READ_AHEAD)
        image.load()
        return image
    image, other = (
        _open(data),
        _open(data[: last.end] + _MADE_UP + data[last.end :]),
    )
    image.load()
    other.load()
    if image.tobytes() != other.tobytes():
        raise ValueError("the last scan ends before its last pixel")
    return image


def _open(data):
    image = Picture(io.BytesIO(data))
    # In one go: after each part Pillow waits for its turn among the threads.
    image.decodermaxblock = len(data)
    return image


def size_and_channels(data):
    """Tell `(height, width, channels)` without decoding."""
    frame, _ = _parse(data)
    return frame.height, frame.width, len(frame.factors)


def joined(tables, segment, ycbcr):
    """Make a JPEG of a strip or tile of a TIFF.

    Args:
        tables: Tables that all segments share, or `None`.
        segment: Bytes of one of them.
        ycbcr: Whether its colours are YCbCr; else they are as stored.

    Returns:
        Bytes of a JPEG that says so itself.
    """
    adobe = b"Adobe" + struct.pack(">HHHB", 100, 0, 0, int(ycbcr))
    parts = [b"\xff\xd8\xff\xee", struct.pack(">H", len(adobe) + 2), adobe]
    for content in (tables, segment):
        if content is None:
            continue
        end = 2
        for marker, start, stop in _markers(content):
            if marker in (_SOS, _EOI):
                break
            if marker not in _APPLICATION:
                parts.append(content[start:stop])
            end = stop
    parts.append(segment[end:])
    return b"".join(parts)


def _parse(data):
    """Read frame and scans of the first picture in a file."""
    frame, scans, interval = None, [], 0
    with contextlib.suppress(StopIteration):
        for marker, start, end in _markers(data):
            body = data[start + 4 : end]
            if marker in _FRAMES:
                frame = _frame(marker, body)
            elif marker == _DRI:
                (interval,) = struct.unpack(">H", body)
            elif marker == _SOS:
                scans.append(_scan(data, body, interval, end))
    if frame is None or not scans:
        raise ValueError("no pixels")
    return frame, scans


def _markers(data):
    """Give marker, start and end of each segment; scans are stepped over."""
    position = 2
    while True:
        start = data.find(b"\xff", position)
        position = start
        while data[position : position + 1] == b"\xff":
            position += 1
        if start < 0 or position >= len(data):
            raise ValueError("no end marker")
        marker = data[position]
        position += 1
        if marker == _EOI:
            yield marker, start, position
            return
        if marker == 0 or marker in _ALONE or marker == _SOI:
            continue
        length = int.from_bytes(data[position : position + 2])
        position += length
        if length < 2 or position > len(data):
            raise ValueError("a segment ends behind the file")
        yield marker, position - length - 2, position
        if marker == _SOS:
            position, _ = _end_of_scan(data, position)


def _end_of_scan(data, start):
    """Find where a scan ends, and the restarts in it."""
    restarts = []
    for place, marker in _scan_markers(data, start):
        if marker not in _RESTARTS:
            return place, tuple(restarts)
        restarts.append((place, marker & 7))
    raise ValueError("no end marker")


def _scan_markers(data, start):
    for first in range(start, len(data), _AT_ONCE):
        # A marker has two bytes, and may lie across two parts.
        part = np.frombuffer(data[first : first + _AT_ONCE + 1], "uint8")
        places = np.flatnonzero(part[:-1] == 0xFF)
        codes = part[places + 1]
        marks = (codes != 0) & (codes != 0xFF)
        yield from zip(
            (first + places[marks]).tolist(), codes[marks].tolist(), strict=True
        )


def _frame(kind, body):
    if kind not in (*_SEQUENTIAL, _PROGRESSIVE):
        raise ValueError(
            f"a JPEG of the kind SOF{kind - 0xC0}, expected baseline or "
            "progressive with Huffman codes"
        )
    _, height, width, count = struct.unpack_from(">BHHB", body)
    parts = struct.iter_unpack(">BBB", body[6 : 6 + 3 * count])
    factors = {name: (both >> 4, both & 15) for name, both, _ in parts}
    if not (height and width and factors and len(factors) == count):
        raise ValueError("a frame without size or components")
    if not all(h and v for h, v in factors.values()):
        raise ValueError("a component without samples")
    return _Frame(kind, height, width, factors)


def _scan(data, body, interval, start):
    count = body[0]
    components = tuple(body[1 : 1 + 2 * count : 2])
    first, last, approximation = body[1 + 2 * count : 4 + 2 * count]
    return _Scan(
        components,
        (first, last),
        approximation & 15,
        interval,
        start,
        *_end_of_scan(data, start),
    )


def _check_scans(frame, scans):
    """Refuse a file in which scans or restart intervals are missing."""
    progressive = frame.kind == _PROGRESSIVE
    left = {(name, k) for name in frame.factors for k in range(64)}
    for scan in scans:
        if not set(scan.components) <= set(frame.factors):
            raise ValueError("a scan of a component that is not there")
        _check_length(frame, scan, progressive)
        _check_restarts(frame, scan)
        if scan.bit == 0:
            first, last = scan.band if progressive else (0, 63)
            left -= {
                (name, k)
                for name in scan.components
                for k in range(first, last + 1)
            }
    if left:
        raise ValueError("scans are missing")


def _check_length(frame, scan, progressive):
    """Each block takes a bit in the first scan, two where it is the only."""
    if scan.band[0]:
        return
    blocks = sum(
        rows * columns for rows, columns in map(frame.blocks, scan.components)
    )
    least = blocks * (1 if progressive else 2) // 8
    if scan.end - scan.start < least:
        raise ValueError(
            f"a scan of {scan.end - scan.start} bytes, and its pixels take "
            f"{least} at least"
        )


def _check_restarts(frame, scan):
    units = frame.units(scan.components)
    expected = -(-units // scan.interval) - 1 if scan.interval else 0
    found = len(scan.restarts)
    # Some cameras end the scan with a restart mark.
    if found == expected + 1 and scan.restarts[-1][0] + 2 == scan.end:
        expected = found
    numbers = [number for _, number in scan.restarts]
    if numbers != [number % 8 for number in range(expected)]:
        raise ValueError(
            f"{found} restart marks {numbers[:9]}, expected {expected} in order"
        )
