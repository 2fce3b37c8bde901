"""PNG, JPEG, BMP and WebP: what is stored, seen and turned."""

import numpy as np
import pytest
from image_files import noise, png, save, write_bytes
from PIL import Image, ImageOps

from keras_patching.data.images import image_io


def test_a_jpeg_is_read_as_pillow_reads_it(tmp_path):
    path = tmp_path / "a.jpg"
    image_io.write_image(path, noise(32, 48, 3))
    with Image.open(path) as image:
        expected = np.asarray(image)
    np.testing.assert_array_equal(image_io.read_image(path, 3), expected)
    assert image_io.read_header(path).size == (32, 48)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_many_rows_are_read_as_few(tmp_path, channels):
    """An image of which Pillow is asked for some rows at a time."""
    array = noise(700, 1203, channels)
    image = Image.fromarray(array[..., 0] if channels == 1 else array)
    path = save(tmp_path / "a.png", image)
    np.testing.assert_array_equal(image_io.read_image(path), array)


@pytest.mark.parametrize("suffix", [".bmp", ".webp"])
def test_bmp_and_lossless_webp_are_read(tmp_path, suffix):
    array = noise(9, 11, 3)
    path = save(tmp_path / f"a{suffix}", Image.fromarray(array), lossless=True)
    np.testing.assert_array_equal(image_io.read_image(path, 3), array)
    assert image_io.read_header(path).size == (9, 11)


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


@pytest.mark.parametrize(("color_type", "channels"), [(2, 3), (6, 4), (4, 2)])
@pytest.mark.parametrize("read", [image_io.read_header, image_io.read_image])
def test_a_png_of_16_bits_in_colour_is_refused(
    tmp_path, read, color_type, channels
):
    rows = (b"\0" + b"\xd6\xd8" * 4 * channels) * 4
    path = write_bytes(tmp_path / "a.png", png(4, 4, 16, color_type, rows))
    with pytest.raises(ValueError, match=r"a\.png: .*16 bits.*TIFF"):
        read(path)


@pytest.mark.parametrize("suffix", [".png", ".webp"])
@pytest.mark.parametrize("read", [image_io.read_header, image_io.read_image])
def test_an_animation_is_refused(tmp_path, read, suffix):
    frames = [Image.fromarray(noise(8, 8, 3)) for _ in range(3)]
    path = tmp_path / f"a{suffix}"
    save(path, frames[0], save_all=True, append_images=frames[1:])
    with pytest.raises(ValueError, match="animation of 3 frames"):
        read(path)
