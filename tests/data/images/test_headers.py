"""Formats are told by content, and sizes refused before memory is taken."""

import re

import numpy as np
import pytest
from image_files import noise, png, save, write_bytes
from PIL import Image

from keras_patching.data.images import image_io


def test_the_content_tells_the_format_not_the_suffix(tmp_path):
    array = noise(4, 5, 3)
    image_io.write_image(tmp_path / "a.png", array)
    path = write_bytes(tmp_path / "b.jpg", (tmp_path / "a.png").read_bytes())
    np.testing.assert_array_equal(image_io.read_image(path), array)


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


def test_a_declared_terapixel_is_refused_before_decoding(tmp_path):
    data = png(2**20, 2**20, 8, 0, b"")
    path = write_bytes(tmp_path / "bomb.png", data)
    for read in (image_io.read_header, image_io.read_image):
        with pytest.raises(ValueError, match=r"bomb\.png: has 1048576 x"):
            read(path)
