"""Masks are read to the numbers that they store, or refused."""

import numpy as np
import pytest
import tifffile
from image_files import noise, png, save, write_bytes
from PIL import Image

from keras_patching.data.images import image_io
from keras_patching.data.images.label_images import read_mask


def test_exif_orientation_is_applied_to_masks(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    mask = noise(6, 8) % 3
    path = save(tmp_path / "a.png", Image.fromarray(mask), exif=exif)
    np.testing.assert_array_equal(read_mask(path), np.rot90(mask, -1))


def test_a_palette_mask_is_read_as_indices(tmp_path):
    mask = noise(6, 8) % 4
    image = Image.fromarray(mask)
    image.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255])
    for suffix in (".png", ".tif"):
        path = save(tmp_path / f"a{suffix}", image)
        np.testing.assert_array_equal(read_mask(path), mask)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp"])
def test_a_mask_of_one_bit_is_0_and_1(tmp_path, suffix):
    bits = noise(6, 11) > 128
    path = save(tmp_path / f"a{suffix}", Image.fromarray(bits))
    mask = read_mask(path)
    assert mask.dtype == np.uint8
    np.testing.assert_array_equal(mask, bits)


def test_a_mask_of_two_bits_keeps_its_class_ids(tmp_path):
    rows = b"\0\x1b" * 2  # the bits of 0, 1, 2, 3, twice
    path = write_bytes(tmp_path / "a.png", png(2, 4, 2, 0, rows))
    np.testing.assert_array_equal(read_mask(path), [[0, 1, 2, 3]] * 2)


@pytest.mark.parametrize("channels", [3, 4])
def test_a_colour_mask_with_equal_channels_is_grey(tmp_path, channels):
    mask = noise(6, 8)
    array = np.stack([mask] * 3 + [np.full_like(mask, 255)], -1)
    path = save(tmp_path / "a.png", Image.fromarray(array[..., :channels]))
    np.testing.assert_array_equal(read_mask(path), mask)


@pytest.mark.parametrize("colours", [1, 3])
def test_a_mask_in_the_alpha_channel_is_an_error(tmp_path, colours):
    drawn = np.where(noise(6, 8) > 128, 255, 0).astype("uint8")
    black = [np.zeros_like(drawn)] * colours
    path = tmp_path / "a.png"
    save(path, Image.fromarray(np.stack([*black, drawn], -1)))
    with pytest.raises(ValueError, match=r"a\.png: a mask with an alpha"):
        read_mask(path)
    save(path, Image.fromarray(drawn))
    np.testing.assert_array_equal(read_mask(path), drawn)


def test_a_mask_that_is_drawn_on_nothing_has_its_colours(tmp_path):
    drawn = np.where(noise(6, 8) > 128, 200, 0).astype("uint8")
    alpha = np.where(drawn > 0, 255, 0).astype("uint8")
    path = save(
        tmp_path / "a.png", Image.fromarray(np.stack([drawn, alpha], -1))
    )
    np.testing.assert_array_equal(read_mask(path), drawn)


def test_a_coloured_mask_is_an_error(tmp_path):
    image_io.write_image(tmp_path / "a.png", noise(6, 8, 3))
    with pytest.raises(ValueError, match=r"a\.png: .*3 channels that differ"):
        read_mask(tmp_path / "a.png")


def test_a_one_hot_mask_is_an_error_whose_mend_works(tmp_path):
    classes = noise(6, 8) % 3
    one_hot = np.eye(3, dtype="float32")[classes]
    image_io.write_image(tmp_path / "a.npy", one_hot)
    mend = r"one-hot: save np\.argmax\(mask, axis=-1\)\.astype\('uint8'\)"
    with pytest.raises(ValueError, match=mend):
        read_mask(tmp_path / "a.npy")
    mask = np.argmax(one_hot, axis=-1).astype("uint8")
    image_io.write_image(tmp_path / "a.npy", mask)
    found = read_mask(tmp_path / "a.npy")
    np.testing.assert_array_equal(found, classes)


def test_a_mask_of_16_bits_keeps_its_values(tmp_path):
    mask = noise(6, 8, dtype="uint16") * 257
    image_io.write_image(tmp_path / "a.png", mask)
    read = read_mask(tmp_path / "a.png")
    np.testing.assert_array_equal(read, mask)
    assert read.dtype == np.uint16


def test_a_float_mask_of_whole_numbers_is_accepted(tmp_path):
    mask = noise(6, 8) % 5
    image_io.write_image(tmp_path / "a.tif", mask.astype("float32"))
    read = read_mask(tmp_path / "a.tif")
    np.testing.assert_array_equal(read, mask)
    assert read.dtype.kind == "i"


@pytest.mark.parametrize("value", [0.5, np.nan, np.inf, 1e12])
def test_a_float_mask_with_other_values_is_an_error(tmp_path, value):
    path = tmp_path / "a.tif"
    image_io.write_image(path, np.full((6, 8), value, "float32"))
    with pytest.raises(ValueError, match=r"a\.tif: .*whole numbers"):
        read_mask(path)


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
        read_mask(path)


def test_a_lossless_webp_mask_is_read(tmp_path):
    mask = noise(6, 8) % 3
    path = save(
        tmp_path / "a.webp", Image.fromarray(mask).convert("RGB"), lossless=True
    )
    np.testing.assert_array_equal(read_mask(path), mask)


def test_a_mask_with_white_as_zero_is_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", noise(6, 8), photometric="miniswhite")
    with pytest.raises(ValueError, match=r"a\.tif: .*0 is shown white"):
        read_mask(tmp_path / "a.tif")
