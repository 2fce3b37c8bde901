import io
import re
import struct
import threading
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageFile, ImageOps

from keras_patching.data.images import image_io

RNG = np.random.default_rng(0)


def noise(*shape, dtype="uint8"):
    return RNG.integers(0, 256, shape).astype(dtype)


def write_bytes(path, content):
    path.write_bytes(content)
    return path


def save(path, image, **options):
    image.save(path, **options)
    return path


def png(height, width, bits, color_type, rows):
    """A PNG of a kind that Pillow cannot write."""
    header = struct.pack(">IIBBBBB", width, height, bits, color_type, 0, 0, 0)
    chunks = {b"IHDR": header, b"IDAT": zlib.compress(rows), b"IEND": b""}
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body))
        + name
        + body
        + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks.items()
    )


def decode_or_refuse(data, path):
    """The image, or None if it was refused with an error that names it."""
    try:
        return image_io.decode_image(data, path)
    except ValueError as error:
        if path.name not in str(error):
            raise


# Listing


def test_images_are_listed_by_stem_in_order_of_name(tmp_path):
    for name in ("b.PNG", "a 1.jpg", "c.v2.tiff", ".hidden.png", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    assert image_io.list_images(str(tmp_path)) == {
        "a 1": tmp_path / "a 1.jpg",
        "b": tmp_path / "b.PNG",
        "c.v2": tmp_path / "c.v2.tiff",
    }
    assert list(image_io.list_images(tmp_path)) == ["a 1", "b", "c.v2"]


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere: no such folder"):
        image_io.list_images(tmp_path / "nowhere")


def test_a_folder_without_images_is_an_error(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ValueError, match=r"no images found.*\.png \.jpg"):
        image_io.list_images(tmp_path)


def test_one_stem_twice_is_an_error_that_lists_the_files(tmp_path):
    for name in ("a.png", "a.jpg", "b.png"):
        (tmp_path / name).touch()
    with pytest.raises(ValueError, match=r"a\.jpg, a\.png") as error:
        image_io.list_images(tmp_path)
    assert "b.png" not in str(error.value)


# What is read exactly


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("grey.png", noise(5, 7)),
        ("rgb.png", noise(5, 7, 3)),
        ("rgba.png", noise(5, 7, 4)),
        ("deep.png", noise(5, 7, dtype="uint16") * 257),
        ("grey.tif", noise(5, 7)),
        ("rgb.tif", noise(5, 7, 3)),
        ("deep.tif", noise(5, 7, 3, dtype="uint16") * 257),
        ("four.tif", noise(5, 7, 4)),
        ("five.tif", noise(5, 7, 5, dtype="uint16") * 257),
        ("two.tif", noise(5, 7, 2)),
        ("signed.tif", noise(5, 7, 3, dtype="int16") - 100),
        ("float.tif", noise(5, 7, 3, dtype="float32") / 7),
        ("float64.tiff", noise(5, 7, dtype="float64") / 7),
        ("one_row.tif", noise(1, 7, 3)),
        ("one_pixel.tif", noise(1, 1)),
        ("five.npy", noise(5, 7, 5, dtype="float32") / 7),
        ("big_endian.npy", noise(5, 7).astype(">u2") * 257),
        ("fortran.npy", np.asfortranarray(noise(5, 7, 3))),
    ],
)
def test_what_is_written_is_read_back_exactly(tmp_path, name, array):
    path = tmp_path / name
    image_io.write_image(path, array)
    read = image_io.read_image(path)
    expected = array if array.ndim == 3 else array[..., None]
    np.testing.assert_array_equal(read, expected)
    assert read.dtype == array.dtype.newbyteorder("=")
    header = image_io.read_header(path)
    assert header.size == read.shape[:2]
    assert header.channels == read.shape[2]
    assert header.dtype == read.dtype
    assert header.dtype.isnative
    assert not header.rotated


def test_a_jpeg_is_read_as_pillow_reads_it(tmp_path):
    path = tmp_path / "a.jpg"
    image_io.write_image(path, noise(32, 48, 3))
    with Image.open(path) as image:
        expected = np.asarray(image)
    np.testing.assert_array_equal(image_io.read_image(path, 3), expected)
    assert image_io.read_header(path).size == (32, 48)


@pytest.mark.parametrize("suffix", [".bmp", ".webp"])
def test_bmp_and_lossless_webp_are_read(tmp_path, suffix):
    array = noise(9, 11, 3)
    path = save(tmp_path / f"a{suffix}", Image.fromarray(array), lossless=True)
    np.testing.assert_array_equal(image_io.read_image(path, 3), array)
    assert image_io.read_header(path).size == (9, 11)


def test_the_content_tells_the_format_not_the_suffix(tmp_path):
    array = noise(4, 5, 3)
    image_io.write_image(tmp_path / "a.png", array)
    path = write_bytes(tmp_path / "b.jpg", (tmp_path / "a.png").read_bytes())
    np.testing.assert_array_equal(image_io.read_image(path), array)


@pytest.mark.parametrize("photometric", ["minisblack", "rgb"])
def test_planar_tiff_comes_out_with_channels_last(tmp_path, photometric):
    planes = noise(3, 20, 30, dtype="uint16")
    path = tmp_path / "planar.tif"
    tifffile.imwrite(
        path, planes, photometric=photometric, planarconfig="separate"
    )
    np.testing.assert_array_equal(
        image_io.read_image(path), np.moveaxis(planes, 0, -1)
    )
    assert image_io.read_header(path).channels == 3
    assert image_io.read_header(path).size == (20, 30)


@pytest.mark.parametrize("kind", ["imagej", "ome"])
def test_microscopes_channels_are_channels(tmp_path, kind):
    planes = noise(4, 20, 30, dtype="uint16")
    path = tmp_path / "cells.tif"
    tifffile.imwrite(path, planes, metadata={"axes": "CYX"}, **{kind: True})
    np.testing.assert_array_equal(
        image_io.read_image(path), np.moveaxis(planes, 0, -1)
    )


@pytest.mark.parametrize(
    ("mode", "compression"),
    [
        ("RGB", "tiff_lzw"),
        ("L", "tiff_lzw"),
        ("I;16", "tiff_lzw"),
        ("F", "tiff_lzw"),
        ("RGBA", "tiff_lzw"),
        ("RGB", "packbits"),
        ("RGB", "tiff_adobe_deflate"),
    ],
)
def test_compressed_tiff_is_read_exactly(tmp_path, mode, compression):
    array = noise(20, 30, len(mode) if mode.startswith("RGB") else 1)
    array = array.astype({"I;16": "uint16", "F": "float32"}.get(mode, "uint8"))
    path = tmp_path / "a.tif"
    save(path, Image.fromarray(array.squeeze()), compression=compression)
    np.testing.assert_array_equal(image_io.read_image(path), array)
    assert image_io.read_header(path).dtype == array.dtype


# Channels


@pytest.mark.parametrize("mode", ["L", "LA", "1"])
def test_grey_is_repeated(tmp_path, mode):
    grey = np.where(noise(6, 8) > 128, 255, 0).astype("uint8")
    path = save(tmp_path / "a.png", Image.fromarray(grey).convert(mode))
    image = image_io.read_image(path, channels=3)
    np.testing.assert_array_equal(image, np.stack([grey] * 3, -1))
    np.testing.assert_array_equal(
        image_io.read_image(path, channels=1), grey[..., None]
    )


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_alpha_is_dropped(tmp_path, suffix):
    array = noise(6, 8, 4)
    path = save(tmp_path / f"a{suffix}", Image.fromarray(array))
    np.testing.assert_array_equal(
        image_io.read_image(path, channels=3), array[..., :3]
    )
    np.testing.assert_array_equal(image_io.read_image(path), array)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp"])
def test_a_palette_image_becomes_rgb(tmp_path, suffix):
    image = Image.fromarray(noise(6, 8, 3)).convert("P")
    path = save(tmp_path / f"a{suffix}", image)
    expected = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(image_io.read_image(path), expected)
    assert image_io.read_header(path).channels == 3


def test_a_transparent_palette_is_read_without_a_warning(tmp_path):
    image = Image.fromarray(noise(6, 8, 3)).convert("P")
    path = save(tmp_path / "a.png", image, transparency=bytes(range(256)))
    expected = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(image_io.read_image(path, 3), expected)
    assert image_io.read_header(path).channels == 4
    assert image_io.read_image(path).shape == (6, 8, 4)


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
def test_cmyk_becomes_rgb(tmp_path, suffix):
    image = Image.new("RGB", (8, 6), (10, 200, 30)).convert("CMYK")
    path = save(tmp_path / f"a{suffix}", image)
    read = image_io.read_image(path)
    assert image_io.read_header(path).channels == 3
    np.testing.assert_allclose(read[0, 0], (10, 200, 30), atol=4)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".npy"])
def test_one_bit_becomes_0_and_255(tmp_path, suffix):
    bits = noise(6, 11) > 128
    path = tmp_path / f"a{suffix}"
    if suffix == ".npy":
        image_io.write_image(path, bits)
    else:
        save(path, Image.fromarray(bits))
    np.testing.assert_array_equal(
        image_io.read_image(path, 1)[..., 0], np.where(bits, 255, 0)
    )
    assert image_io.read_header(path).dtype == np.uint8


def test_white_is_zero_is_read_as_it_looks(tmp_path):
    array = noise(6, 8, dtype="uint16")
    tifffile.imwrite(tmp_path / "a.tif", array, photometric="miniswhite")
    np.testing.assert_array_equal(
        image_io.read_image(tmp_path / "a.tif")[..., 0], 65535 - array
    )


@pytest.mark.parametrize(
    ("found", "wanted"), [(3, 1), (4, 3), (5, 3), (2, 1), (1, 4), (3, 4)]
)
def test_other_channels_are_an_error_with_both_numbers(tmp_path, found, wanted):
    path = tmp_path / "a.npy"
    image_io.write_image(path, noise(4, 4, found))
    with pytest.raises(
        ValueError, match=rf"a\.npy: has {found} channels, expected {wanted}"
    ):
        image_io.read_image(path, channels=wanted)


# EXIF


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path, orientation, suffix):
    exif = Image.Exif()
    exif[274] = orientation
    path = tmp_path / f"a{suffix}"
    save(path, Image.fromarray(noise(16, 24, 3)), exif=exif)
    with Image.open(path) as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    np.testing.assert_array_equal(image_io.read_image(path), expected)
    header = image_io.read_header(path)
    assert header.rotated == (orientation >= 5)
    assert header.size == expected.shape[:2]


def test_exif_orientation_is_applied_to_masks(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    mask = noise(6, 8) % 3
    path = save(tmp_path / "a.png", Image.fromarray(mask), exif=exif)
    np.testing.assert_array_equal(image_io.read_mask(path), np.rot90(mask, -1))


@pytest.mark.parametrize("cut", [7, 9, 15, 25, 40])
def test_damaged_exif_neither_warns_nor_turns(tmp_path, cut):
    exif = Image.Exif()
    exif[305] = "some software"
    exif[282] = 300.0
    exif[274] = 6
    whole = exif.tobytes()
    path = tmp_path / "a.jpg"
    save(path, Image.fromarray(noise(8, 16, 3)), exif=whole[:cut])
    assert image_io.read_image(path).shape in ((8, 16, 3), (16, 8, 3))
    size = image_io.read_header(path).size
    assert size == image_io.read_image(path).shape[:2]


# Masks


def test_a_palette_mask_is_read_as_indices(tmp_path):
    mask = noise(6, 8) % 4
    image = Image.fromarray(mask)
    image.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255])
    for suffix in (".png", ".tif"):
        path = save(tmp_path / f"a{suffix}", image)
        np.testing.assert_array_equal(image_io.read_mask(path), mask)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp"])
def test_a_mask_of_one_bit_is_0_and_1(tmp_path, suffix):
    bits = noise(6, 11) > 128
    path = save(tmp_path / f"a{suffix}", Image.fromarray(bits))
    mask = image_io.read_mask(path)
    assert mask.dtype == np.uint8
    np.testing.assert_array_equal(mask, bits)


def test_a_mask_of_two_bits_keeps_its_class_ids(tmp_path):
    rows = b"\0\x1b" * 2  # the bits of 0, 1, 2, 3, twice
    path = write_bytes(tmp_path / "a.png", png(2, 4, 2, 0, rows))
    np.testing.assert_array_equal(image_io.read_mask(path), [[0, 1, 2, 3]] * 2)


@pytest.mark.parametrize("channels", [3, 4])
def test_a_colour_mask_with_equal_channels_is_grey(tmp_path, channels):
    mask = noise(6, 8)
    array = np.stack([mask] * 3 + [np.full_like(mask, 255)], -1)
    path = save(tmp_path / "a.png", Image.fromarray(array[..., :channels]))
    np.testing.assert_array_equal(image_io.read_mask(path), mask)


@pytest.mark.parametrize("colours", [1, 3])
def test_a_mask_in_the_alpha_channel_is_an_error(tmp_path, colours):
    drawn = np.where(noise(6, 8) > 128, 255, 0).astype("uint8")
    black = [np.zeros_like(drawn)] * colours
    path = tmp_path / "a.png"
    save(path, Image.fromarray(np.stack([*black, drawn], -1)))
    with pytest.raises(ValueError, match=r"a\.png: a mask with an alpha"):
        image_io.read_mask(path)
    save(path, Image.fromarray(drawn))
    np.testing.assert_array_equal(image_io.read_mask(path), drawn)


def test_a_mask_that_is_drawn_on_nothing_has_its_colours(tmp_path):
    drawn = np.where(noise(6, 8) > 128, 200, 0).astype("uint8")
    alpha = np.where(drawn > 0, 255, 0).astype("uint8")
    path = save(
        tmp_path / "a.png", Image.fromarray(np.stack([drawn, alpha], -1))
    )
    np.testing.assert_array_equal(image_io.read_mask(path), drawn)


def test_a_coloured_mask_is_an_error(tmp_path):
    image_io.write_image(tmp_path / "a.png", noise(6, 8, 3))
    with pytest.raises(ValueError, match=r"a\.png: .*3 channels that differ"):
        image_io.read_mask(tmp_path / "a.png")


def test_a_one_hot_mask_is_an_error_whose_mend_works(tmp_path):
    classes = noise(6, 8) % 3
    one_hot = np.eye(3, dtype="float32")[classes]
    image_io.write_image(tmp_path / "a.npy", one_hot)
    mend = r"one-hot: save np\.argmax\(mask, axis=-1\)\.astype\('uint8'\)"
    with pytest.raises(ValueError, match=mend):
        image_io.read_mask(tmp_path / "a.npy")
    mask = np.argmax(one_hot, axis=-1).astype("uint8")
    image_io.write_image(tmp_path / "a.npy", mask)
    found = image_io.read_mask(tmp_path / "a.npy")
    np.testing.assert_array_equal(found, classes)


def test_a_mask_of_16_bits_keeps_its_values(tmp_path):
    mask = noise(6, 8, dtype="uint16") * 257
    image_io.write_image(tmp_path / "a.png", mask)
    read = image_io.read_mask(tmp_path / "a.png")
    np.testing.assert_array_equal(read, mask)
    assert read.dtype == np.uint16


def test_a_float_mask_of_whole_numbers_is_accepted(tmp_path):
    mask = noise(6, 8) % 5
    image_io.write_image(tmp_path / "a.tif", mask.astype("float32"))
    read = image_io.read_mask(tmp_path / "a.tif")
    np.testing.assert_array_equal(read, mask)
    assert read.dtype.kind == "i"


@pytest.mark.parametrize("value", [0.5, np.nan, np.inf, 1e12])
def test_a_float_mask_with_other_values_is_an_error(tmp_path, value):
    path = tmp_path / "a.tif"
    image_io.write_image(path, np.full((6, 8), value, "float32"))
    with pytest.raises(ValueError, match=r"a\.tif: .*whole numbers"):
        image_io.read_mask(path)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.jpg", {}),
        ("a.webp", {}),
        ("turned.webp", {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0"}),
        ("a.tif", {"compression": "jpeg"}),
    ],
)
def test_a_lossy_mask_is_refused(tmp_path, name, options):
    path = save(tmp_path / name, Image.new("RGB", (32, 16)), **options)
    with pytest.raises(ValueError, match=r"lossy.*PNG"):
        image_io.read_mask(path)


def test_a_lossless_webp_mask_is_read(tmp_path):
    mask = noise(6, 8) % 3
    path = save(
        tmp_path / "a.webp", Image.fromarray(mask).convert("RGB"), lossless=True
    )
    np.testing.assert_array_equal(image_io.read_mask(path), mask)


def test_a_mask_with_white_as_zero_is_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", noise(6, 8), photometric="miniswhite")
    with pytest.raises(ValueError, match=r"a\.tif: .*0 is shown white"):
        image_io.read_mask(tmp_path / "a.tif")


# What cannot be read


@pytest.mark.parametrize("read", [image_io.read_header, image_io.read_image])
def test_a_missing_file_is_named(tmp_path, read):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read(tmp_path / "nowhere.png")


@pytest.mark.parametrize("read", [image_io.read_header, image_io.read_image])
@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.npy"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "0 bytes"),
        (b"<html>not found</html>", "not an image"),
        (b"GIF89a and more", "not an image"),
    ],
)
def test_empty_files_and_other_files_are_named(
    tmp_path, read, name, content, message
):
    path = write_bytes(tmp_path / name, content)
    with pytest.raises(ValueError, match=rf"{re.escape(name)}: .*{message}"):
        read(path)


@pytest.mark.parametrize(("color_type", "channels"), [(2, 3), (6, 4), (4, 2)])
@pytest.mark.parametrize("read", [image_io.read_header, image_io.read_image])
def test_a_png_of_16_bits_in_colour_is_refused(
    tmp_path, read, color_type, channels
):
    rows = (b"\0" + b"\xd6\xd8" * 4 * channels) * 4
    path = write_bytes(tmp_path / "a.png", png(4, 4, 16, color_type, rows))
    with pytest.raises(ValueError, match=r"a\.png: .*16 bits.*TIFF"):
        read(path)


@pytest.mark.parametrize("read", [image_io.read_header, image_io.read_image])
def test_a_stack_of_pages_is_refused(tmp_path, read):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, noise(7, 20, 30), photometric="minisblack")
    with pytest.raises(ValueError, match=r"a\.tif: a TIFF of 7 pages"):
        read(path)


def test_unrelated_pages_are_refused(tmp_path):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(noise(20, 30), photometric="minisblack")
        tiff.write(noise(10, 15), photometric="minisblack")
    with pytest.raises(ValueError, match=r"a\.tif: a TIFF of 2 pages"):
        image_io.read_image(path)


def test_the_thumbnail_in_a_tiff_does_not_count(tmp_path):
    path, array = tmp_path / "a.tif", noise(20, 30)
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(array, photometric="minisblack")
        tiff.write(array[::2, ::2], photometric="minisblack", subfiletype=1)
    np.testing.assert_array_equal(image_io.read_mask(path), array)


def test_the_thumbnail_in_a_compressed_tiff_does_not_count(tmp_path):
    path, array = tmp_path / "a.tif", noise(20, 30)
    thumbnail = Image.fromarray(array[::2, ::2])
    thumbnail.encoderinfo = {"tiffinfo": {254: 1}}
    options = {"append_images": [thumbnail], "compression": "tiff_lzw"}
    save(path, Image.fromarray(array), save_all=True, **options)
    np.testing.assert_array_equal(image_io.read_mask(path), array)


@pytest.mark.parametrize("suffix", [".png", ".webp"])
@pytest.mark.parametrize("read", [image_io.read_header, image_io.read_image])
def test_an_animation_is_refused(tmp_path, read, suffix):
    frames = [Image.fromarray(noise(8, 8, 3)) for _ in range(3)]
    path = tmp_path / f"a{suffix}"
    save(path, frames[0], save_all=True, append_images=frames[1:])
    with pytest.raises(ValueError, match="animation of 3 frames"):
        read(path)


def test_npy_of_objects_or_other_ranks_is_refused(tmp_path):
    path = tmp_path / "a.npy"
    for array in (np.array([[{}]]), np.zeros(3), np.zeros((2, 2), "complex64")):
        np.save(path, array)
        with pytest.raises(ValueError, match=r"a\.npy: expected a numeric"):
            image_io.read_image(path)
        with pytest.raises(ValueError, match=r"a\.npy: expected a numeric"):
            image_io.read_header(path)


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
    whole = image_io.decode_image(data, path)
    for part in (0.05, 0.3, 0.5, 0.7, 0.9, 0.98):
        with pytest.raises(ValueError, match=re.escape(path.name)):
            image_io.decode_image(data[: int(len(data) * part)], path)
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


# The limit of pixels


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".npy", ".webp"])
def test_more_pixels_than_the_limit_is_an_error_with_both_numbers(
    tmp_path, monkeypatch, suffix
):
    path = tmp_path / f"a{suffix}"
    if suffix == ".npy":
        np.save(path, noise(30, 40))
    else:
        save(path, Image.fromarray(noise(30, 40)))
    monkeypatch.setenv("KERAS_PATCHING_MAX_IMAGE_PIXELS", "1200")
    assert image_io.read_image(path).shape[:2] == (30, 40)
    monkeypatch.setenv("KERAS_PATCHING_MAX_IMAGE_PIXELS", "1199")
    for read in (image_io.read_header, image_io.read_image):
        with pytest.raises(ValueError, match=r"1200 pixels.*limit of 1199"):
            read(path)


def test_a_limit_that_is_no_number_is_an_error(tmp_path, monkeypatch):
    image_io.write_image(tmp_path / "a.png", noise(3, 4))
    monkeypatch.setenv("KERAS_PATCHING_MAX_IMAGE_PIXELS", "a lot")
    with pytest.raises(ValueError, match=r"MAX_IMAGE_PIXELS.*'a lot'"):
        image_io.read_image(tmp_path / "a.png")


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_pillows_own_limit_is_not_ours_and_stays(tmp_path, monkeypatch, suffix):
    path = save(tmp_path / f"a{suffix}", Image.fromarray(noise(30, 40)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert image_io.read_image(path).shape[:2] == (30, 40)
    assert image_io.read_header(path).size == (30, 40)
    with pytest.raises(Image.DecompressionBombError):
        Image.open(path)


def test_a_declared_terapixel_is_refused_before_decoding(tmp_path):
    data = png(2**20, 2**20, 8, 0, b"")
    path = write_bytes(tmp_path / "bomb.png", data)
    for read in (image_io.read_header, image_io.read_image):
        with pytest.raises(ValueError, match=r"bomb\.png: has 1048576 x"):
            read(path)


def test_threads_decode_at_once_and_leave_pillow_as_it_was(
    tmp_path, monkeypatch
):
    array = noise(200, 300, 3)
    image_io.write_image(tmp_path / "a.png", array)
    data = (tmp_path / "a.png").read_bytes()
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    wrong = []

    def decode():
        for _ in range(10):
            if (image_io.decode_image(data, "a.png") != array).any():
                wrong.append("whole")
            try:
                image_io.decode_image(data[: len(data) // 2], "a.png")
                wrong.append("half")
            except ValueError:
                pass

    threads = [threading.Thread(target=decode) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert Image.MAX_IMAGE_PIXELS == 100
    assert ImageFile.LOAD_TRUNCATED_IMAGES is True


# Writing


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("a.png", noise(4, 4, 3, dtype="float32"), r"Use the suffix \.tif"),
        ("a.png", noise(4, 4, 5), r"5 channels of uint8. Use the suffix \.tif"),
        ("a.png", noise(4, 4, 3, dtype="uint16"), r"Use the suffix \.tif"),
        ("a.jpg", noise(4, 4, 4), r"Use the suffix \.png"),
        ("a.jpg", noise(4, 4, dtype="uint16"), r"Use the suffix \.png"),
        ("a.gif", noise(4, 4, 3), r"Use the suffix \.png"),
        ("a", noise(4, 4, 3), r"no suffix"),
        ("a.tif", noise(4, 4) > 3, r"\.npy"),
        ("a.npy", np.zeros((4, 4), "complex64"), "Convert"),
        ("a.png", noise(4), "Received: shape"),
        ("a.png", noise(0, 4), "Received: shape"),
    ],
)
def test_what_a_format_cannot_hold_is_refused(tmp_path, name, array, message):
    with pytest.raises(ValueError, match=message):
        image_io.write_image(tmp_path / name, array)
    assert not (tmp_path / name).exists()


def test_files_that_are_written_open_elsewhere(tmp_path):
    array = noise(6, 8, 3)
    for suffix in (".png", ".tif"):
        path = tmp_path / f"a{suffix}"
        image_io.write_image(path, array)
        with Image.open(io.BytesIO(path.read_bytes())) as image:
            assert image.mode == "RGB"
            np.testing.assert_array_equal(np.asarray(image), array)
