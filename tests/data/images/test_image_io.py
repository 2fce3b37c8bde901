"""Images are read and written exactly, or refused by name."""

import io

import numpy as np
import pytest
from image_files import noise, save
from PIL import Image

from keras_patching.data.images import image_io


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


@pytest.mark.parametrize("read", [image_io.read_header, image_io.read_image])
def test_a_missing_file_is_named(tmp_path, read):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read(tmp_path / "nowhere.png")


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


@pytest.mark.parametrize("wrong", [None, 3, noise(6, 8, 3)])
def test_what_is_no_path_is_refused_with_what_is_read(wrong):
    with pytest.raises(TypeError, match="must be the path of an image file"):
        image_io.read_image(wrong)
