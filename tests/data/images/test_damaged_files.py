"""Whatever bytes a file holds: an image, or an error that names it, in time."""

import io
import re
import struct
import time

import numpy as np
import pytest
import tifffile
from image_files import RNG, noise, save
from PIL import Image, ImageFile

from keras_patching.data.images.image_io import decode_image
from keras_patching.data.images.label_images import decode_mask

SECONDS = 5  # Of the largest image there may be, on a busy machine.
IMAGE = np.random.default_rng(0).integers(0, 256, (24, 40, 3)).astype("uint8")


def pillow(kind, **options):
    stream = io.BytesIO()
    Image.fromarray(IMAGE).save(stream, kind, **options)
    return stream.getvalue()


def tiff(**options):
    stream = io.BytesIO()
    options = {"photometric": "rgb", "metadata": None, **options}
    tifffile.imwrite(stream, IMAGE, **options)
    return stream.getvalue()


def npy():
    stream = io.BytesIO()
    np.save(stream, IMAGE)
    return stream.getvalue()


FILES = {
    "png": pillow("PNG"),
    "interlaced.png": pillow("PNG", interlace=1),
    "jpg": pillow("JPEG"),
    "progressive.jpg": pillow("JPEG", progressive=True),
    "restarts.jpg": pillow("JPEG", restart_marker_blocks=2),
    "bmp": pillow("BMP"),
    "webp": pillow("WebP"),
    "lossless.webp": pillow("WebP", lossless=True),
    "npy": npy(),
    "tif": tiff(),
    "big.tif": tiff(bigtiff=True, byteorder=">"),
    "deflate.tif": tiff(compression="zlib", predictor=True, tile=(16, 16)),
    "lzw.tif": pillow("TIFF", compression="tiff_lzw"),
    "jpeg.tif": pillow("TIFF", compression="jpeg"),
    "packbits.tif": pillow("TIFF", compression="packbits"),
    "lzma.tif": pillow("TIFF", compression="lzma"),
    "ome.tif": tiff(ome=True, metadata={"axes": "YXS"}),
}


def damaged(data, rng):
    """Flip bits, cut, write numbers that mean something, or repeat a part."""
    data = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        place = int(rng.integers(len(data)))
        match rng.integers(6):
            case 0 | 1:
                data[place] ^= 1 << int(rng.integers(8))
            case 2:
                value = rng.choice([0, 1, 0x7F, 0x80, 0xFF])
                data[place : place + 4] = bytes([value]) * 4
            case 3:
                number = int(rng.choice([0, 1, 2**16, 2**31 - 1, 2**32 - 1]))
                order = rng.choice(["<", ">"])
                data[place : place + 4] = struct.pack(f"{order}I", number)
            case 4:
                data = data[: place + 1]
            case 5:
                data[place:place] = data[place : place + 30]
    return bytes(data)


@pytest.mark.parametrize("name", FILES)
def test_damaged_files_give_an_image_or_an_error_that_names_them(name):
    rng = np.random.default_rng(len(name))
    for _ in range(150):
        data = damaged(FILES[name], rng)
        decode = decode_mask if rng.integers(3) == 0 else decode_image
        read_or_refuse(decode, data, f"folder/{name}")


def read_or_refuse(decode, data, path):
    """Read an image, or refuse it with an error that names it, in time."""
    started = time.process_time()
    try:
        decode(data, path)
    except ValueError as error:
        if not str(error).startswith(f"{path}: "):
            raise
    assert time.process_time() - started < SECONDS


def tags(data):
    """Places of the entries of the first directory, little-endian."""
    (first,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, first)
    return range(first + 2, first + 2 + 12 * count, 12)


@pytest.mark.parametrize("name", ["tif", "deflate.tif", "lzw.tif", "jpeg.tif"])
def test_any_value_of_a_tag_gives_an_image_or_an_error(name):
    for place in tags(FILES[name]):
        for value in (0, 1, 2, 3, 8, 777, 2**15, 2**31 - 1, 2**32 - 1):
            for at in (2, 4, 8):  # its type, number of values, value
                data = bytearray(FILES[name])
                size = "<H" if at == 2 else "<I"
                value = value % 2**16 if at == 2 else value
                struct.pack_into(size, data, place + at, value)
                read_or_refuse(decode_image, bytes(data), name)


def decode_or_refuse(data, path):
    """The image, or None if it was refused with an error that names it."""
    try:
        return decode_image(data, path)
    except ValueError as error:
        if path.name not in str(error):
            raise


@pytest.mark.parametrize("user_allows_truncation", [False, True])
@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        (".png", {}),
        (".jpg", {}),
        (".jpg", {"progressive": True}),
        (".bmp", {}),
        (".webp", {}),
        (".tif", {}),
        (".tif", {"compression": "tiff_lzw"}),
        (".tif", {"compression": "tiff_adobe_deflate"}),
        (".npy", {}),
    ],
)
def test_a_truncated_file_is_never_half_an_image(
    tmp_path, monkeypatch, suffix, options, user_allows_truncation
):
    monkeypatch.setattr(
        ImageFile, "LOAD_TRUNCATED_IMAGES", user_allows_truncation
    )
    array = noise(64, 80, 3)
    path = tmp_path / f"a{suffix}"
    if suffix == ".npy":
        np.save(path, array)
    else:
        save(path, Image.fromarray(array), **options)
    data = path.read_bytes()
    whole = decode_image(data, path)
    for part in (0.05, 0.3, 0.5, 0.7, 0.9, 0.98):
        with pytest.raises(ValueError, match=re.escape(path.name)):
            decode_image(data[: int(len(data) * part)], path)
    for missing in range(1, 200):
        image = decode_or_refuse(data[:-missing], path)
        if image is not None:  # only what follows the pixels was cut off
            np.testing.assert_array_equal(image, whole)
    assert user_allows_truncation == ImageFile.LOAD_TRUNCATED_IMAGES


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".webp", ".tif"])
def test_damaged_bytes_give_an_image_or_an_error_that_names_the_file(
    tmp_path, suffix
):
    path = save(tmp_path / f"a{suffix}", Image.fromarray(noise(20, 30, 3)))
    data = bytearray(path.read_bytes())
    for _ in range(200):
        damaged = data.copy()
        damaged[RNG.integers(8, len(data))] ^= 1 << int(RNG.integers(8))
        decode_or_refuse(bytes(damaged), path)
