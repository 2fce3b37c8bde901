"""A PNG is read as it was written, or not at all."""

import io
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image

from keras_patching.data.images.image_io import decode_image
from keras_patching.data.images.label_images import decode_mask

RNG = np.random.default_rng(0)


def png(array, **options):
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, "PNG", **options)
    return stream.getvalue()


def of_rows(rows, height, width, kind=0, bits=8, interlaced=0):
    """A PNG whose stream holds these bytes, whatever its header says."""
    header = struct.pack(
        ">IIBBBBB", width, height, bits, kind, 0, 0, interlaced
    )
    palette = [(b"PLTE", bytes(range(256)) * 3)] * (kind == 3)
    chunks = [
        (b"IHDR", header),
        *palette,
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body))
        + name
        + body
        + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )


def blobs(height=64, width=64):
    y, x = np.mgrid[:height, :width]
    return ((y - 20) ** 2 + (x - 30) ** 2 < 150).astype("uint8")


def test_one_flipped_bit_is_always_noticed():
    mask = blobs()
    data = png(mask)
    for position in range(8, len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 1 << int(RNG.integers(8))
        with pytest.raises(ValueError, match=r"m\.png"):
            decode_mask(bytes(damaged), "m.png")


@pytest.mark.parametrize("rows", [0, 1, 32, 63])
@pytest.mark.parametrize("decode", [decode_mask, decode_image])
@pytest.mark.parametrize("kind", [0, 3])
def test_rows_that_are_missing_are_not_black(rows, decode, kind):
    stored = b"".join(b"\0" + bytes(row) for row in blobs()[:rows])
    data = of_rows(stored, 64, 64, kind)
    with pytest.raises(ValueError, match=r"m\.png: truncated"):
        decode(data, "m.png")


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("width", [1, 3, 7, 8, 9])
def test_black_images_of_all_depths_are_whole(bits, width):
    rows = bytes(5 * (1 + (width * bits + 7) // 8))
    data = of_rows(rows, 5, width, bits=bits)
    assert decode_image(data, "m.png").shape == (5, width, 1)
    with pytest.raises(ValueError, match=r"m\.png: truncated"):
        decode_image(of_rows(rows[:-1], 5, width, bits=bits), "m.png")


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 3), (8, 8), (9, 5)])
def test_interlaced_images_are_whole_or_refused(height, width):
    starts = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)]
    starts += [(0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    rows = b""
    for x, y, across, down in starts:
        columns = len(range(x, width, across))
        rows += b"".join(
            b"\0" + bytes([9]) * columns
            for _ in range(y, height, down)
            if columns
        )
    data = of_rows(rows, height, width, interlaced=1)
    assert (decode_image(data, "m.png") == 9).all()
    with pytest.raises(ValueError, match=r"m\.png"):
        decode_image(of_rows(rows[:-2], height, width, interlaced=1), "m.png")


def test_an_image_without_its_end_is_refused():
    data = png(blobs())
    with pytest.raises(ValueError, match="it has no end"):
        decode_image(data[:-12], "m.png")
    assert decode_image(data + b"what follows", "m.png").any()


def test_a_stream_of_more_than_its_pixels_takes_no_memory():
    data = of_rows(bytes(2**26), 8, 8)
    tracemalloc.start()
    try:
        decode_image(data, "m.png")
        assert tracemalloc.get_traced_memory()[1] < 2**23
    finally:
        tracemalloc.stop()
