"""Dot images give a point for each dot, of the kind that is said."""

import numpy as np
import pytest
from PIL import Image

from keras_patching.data.images.image_io import write_image
from keras_patching.data.labels.dots import read_dots

PIXELS = [(0, 0), (3, 7), (5, 2), (5, 11)]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images/a.png").touch()
    (tmp_path / "dots").mkdir()
    return tmp_path


def image_of(pixels, dtype="uint8", value=255):
    array = np.zeros((8, 12), dtype)
    for y, x in pixels:
        array[y, x] = value
    return array


def read(folder, dots):
    labels = read_dots(folder / "images", folder / "dots", dots)
    (label,) = labels.values()
    return label.points.tolist()


def error_of(folder, dots):
    with pytest.raises(ValueError, match="Dot images that cannot") as error:
        read(folder, dots)
    return str(error.value)


@pytest.mark.parametrize("dots", ["pixels", "blobs"])
@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("a.png", image_of(PIXELS)),
        ("a.tif", image_of(PIXELS, "uint16", 1)),
        ("a.npy", image_of(PIXELS, "float32", 1)),
        # Red dots, as counting benchmarks have them.
        ("a.png", image_of(PIXELS)[..., None] * np.uint8([1, 0, 0])),
    ],
)
def test_a_pixel_is_an_object_at_its_center(folder, name, array, dots):
    write_image(folder / "dots" / name, array)
    assert read(folder, dots) == [[y + 0.5, x + 0.5] for y, x in PIXELS]


def test_palette_dots_and_dots_on_nothing_are_read(folder):
    drawn = Image.fromarray(image_of(PIXELS))
    for image in (drawn.convert("P"), Image.merge("LA", (drawn, drawn))):
        image.save(folder / "dots/a.png")
        assert len(read(folder, "pixels")) == 4


def test_a_blob_is_an_object_at_the_mean_of_its_pixels(folder):
    disk = [(1, 1), (1, 2), (2, 1), (2, 2)]
    corner = [(5, 6), (6, 7)]
    write_image(folder / "dots/a.png", image_of([*disk, *corner]))
    assert read(folder, "blobs") == [[2, 2], [6, 7]]


def test_no_dots_are_no_objects(folder):
    write_image(folder / "dots/a.png", image_of([]))
    assert read(folder, "pixels") == read(folder, "blobs") == []


def test_dots_of_the_other_kind_are_an_error_that_says_so(folder):
    disk = [(1, 1), (1, 2), (2, 1), (2, 2)]
    write_image(folder / "dots/a.png", image_of(disk))
    message = error_of(folder, "pixels")
    assert "a.png: 4 of 4 pixels touch another" in message
    assert 'Pass dots="blobs" to count 1 regions' in message
    write_image(folder / "dots/a.png", image_of([*PIXELS, (3, 8)]))
    message = error_of(folder, "blobs")
    assert "a.png: 3 of 4 regions are a pixel" in message
    assert 'Pass dots="pixels" to count 5 pixels' in message
    assert len(read(folder, "pixels")) == 5


def test_a_white_ground_is_an_error(folder):
    write_image(folder / "dots/a.png", 255 - image_of(PIXELS))
    assert "96% of the pixels are not black" in error_of(folder, "blobs")


def test_a_jpeg_is_an_error_since_its_black_is_not_black(folder):
    Image.fromarray(image_of(PIXELS)).save(folder / "dots/a.jpg")
    assert "a.jpg: a dot image in a lossy format" in error_of(folder, "blobs")


def test_alpha_that_shows_other_dots_is_an_error(folder):
    black = Image.fromarray(image_of([]))
    alpha = Image.fromarray(image_of(PIXELS))
    Image.merge("LA", (black, alpha)).save(folder / "dots/a.png")
    assert "colour or alpha may be the dots" in error_of(folder, "pixels")


@pytest.mark.parametrize("value", [-1, np.nan])
def test_values_below_0_are_an_error(folder, value):
    array = image_of(PIXELS, "float32", value)
    write_image(folder / "dots/a.npy", array)
    assert "a.npy: a dot image must hold numbers" in error_of(folder, "pixels")


def test_images_without_dot_images_are_an_error(folder):
    write_image(folder / "dots/b.png", image_of(PIXELS))
    with pytest.raises(ValueError, match=r"a\.png: has no dot image in"):
        read(folder, "pixels")


def test_a_kind_of_dots_must_be_known(folder):
    with pytest.raises(ValueError, match="Received: dots='disks'"):
        read(folder, "disks")
