"""A JPEG of which a part is missing is refused, not filled with grey."""

import io
import itertools
import struct

import numpy as np
import pytest
from PIL import Image

from keras_patching.data.images.image_io import decode_image

KINDS = [
    {},
    {"progressive": True},
    {"subsampling": 0},
    {"subsampling": 1},
    {"optimize": True},
    {"restart_marker_rows": 1},
    {"restart_marker_blocks": 3},
    {"progressive": True, "restart_marker_rows": 1},
]
SIZES = [(1, 1), (8, 8), (16, 16), (17, 33), (100, 75), (250, 300)]


def jpeg(height, width, mode="RGB", noise=20, **options):
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width]
    field = np.stack([x, y, x + y], -1) + rng.integers(0, noise, 3)
    field = field + rng.integers(0, noise, field.shape)
    image = Image.fromarray((field % 256).astype("uint8")).convert(mode)
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=85, **options)
    return stream.getvalue()


@pytest.mark.parametrize("options", KINDS)
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_whole_jpegs_of_all_kinds_are_read_as_pillow_reads_them(mode, options):
    for height, width in SIZES:
        for noise in (1, 200):
            data = jpeg(height, width, mode, noise, **options)
            with Image.open(io.BytesIO(data)) as image:
                seen = image.convert("RGB") if mode == "CMYK" else image
                expected = np.asarray(seen)
            read = decode_image(data, "a.jpg")
            np.testing.assert_array_equal(read.squeeze(), expected.squeeze())


@pytest.mark.parametrize("options", KINDS)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_jpeg_that_ends_early_in_its_marker_is_refused(mode, options):
    data = jpeg(100, 140, mode, **options)
    start = data.index(b"\xff\xda") + 14
    for part in (0.0, 0.2, 0.5, 0.8, 0.95):
        end = start + int((len(data) - start) * part)
        with pytest.raises(ValueError, match=r"a\.jpg: truncated"):
            decode_image(data[:end] + b"\xff\xd9", "a.jpg")


@pytest.mark.parametrize("number", [0, 3, 5])
def test_a_lost_restart_interval_is_noticed(number):
    data = jpeg(100, 140, restart_marker_rows=1)
    marks = [
        place
        for place in range(data.index(b"\xff\xda"), len(data) - 1)
        if data[place] == 0xFF and data[place + 1] in range(0xD0, 0xD8)
    ]
    first, second = [*marks, len(data) - 2][number : number + 2]
    with pytest.raises(ValueError, match="restart marks"):
        decode_image(data[:first] + data[second:], "a.jpg")


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
def test_a_small_file_of_a_huge_size_is_refused_before_decoding(options):
    data = bytearray(jpeg(64, 64, **options))
    frame = max(data.find(b"\xff\xc0"), data.find(b"\xff\xc2"))
    # Not so huge that there might be no memory for it, which is told first.
    struct.pack_into(">HH", data, frame + 5, 9082, 9038)
    with pytest.raises(ValueError, match=r"its pixels take \d+ at least"):
        decode_image(bytes(data), "a.jpg")


def test_what_follows_the_picture_does_not_matter():
    data = jpeg(40, 50)
    expected = decode_image(data, "a.jpg")
    for rest in (b"\0" * 9, data, b"\xff\xd9", b"\xff"):
        np.testing.assert_array_equal(
            decode_image(data + rest, "a.jpg"), expected
        )


def test_fill_bytes_before_markers_are_skipped():
    data = jpeg(40, 50)
    for marker in (b"\xff\xc4", b"\xff\xda", b"\xff\xd9"):
        place = data.rindex(marker)
        filled = data[:place] + b"\xff\xff" + data[place:]
        np.testing.assert_array_equal(
            decode_image(filled, "a.jpg"), decode_image(data, "a.jpg")
        )


def test_scans_that_a_progressive_file_lacks_are_noticed():
    data = jpeg(40, 50, progressive=True)
    places = [
        place
        for place, pair in enumerate(itertools.pairwise(data))
        if pair == (0xFF, 0xDA)
    ]
    for place in places[1:]:
        with pytest.raises(ValueError, match="scans are missing"):
            decode_image(data[:place] + b"\xff\xd9", "a.jpg")
