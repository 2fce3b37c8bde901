"""`resize=`, and where places of a file are in an image that is resized."""

import numpy as np
import pytest

from keras_patching.data.images.pixel_size import PixelSize
from keras_patching.data.images.resizing import (
    ReadScale,
    ResizedWindows,
    as_resize,
    describe_distortion,
    resize_image,
    resized_size,
)
from keras_patching.prediction.held_images import ArrayWindows

HALF = ReadScale((10, 30), (5, 20))


@pytest.mark.parametrize(
    "resize", [0, -1, 512, "half", (0, 5), (5,), (5, 5, 3), (0.5, 0.5), True]
)
def test_what_is_no_resize_is_refused(resize):
    with pytest.raises(ValueError, match=r"`resize` must be|`resize`.*least 1"):
        as_resize(resize)


def test_a_factor_or_a_size():
    assert resized_size((11, 20), as_resize(None)) == (11, 20)
    assert resized_size((11, 20), as_resize(2)) == (22, 40)
    assert resized_size((11, 1), as_resize(0.25)) == (3, 1)
    assert resized_size((11, 20), as_resize([7, 9])) == (7, 9)


def test_windows_of_a_resized_image_are_those_of_the_whole():
    image = np.random.default_rng(0).integers(0, 256, (33, 27, 3), "uint8")
    windows = ResizedWindows(ArrayWindows(image, "image"), (16, 40))
    whole = resize_image(image, (16, 40))
    assert windows.shape == whole.shape == (16, 40, 3)
    np.testing.assert_array_equal(windows.read(0, 16), whole)
    np.testing.assert_array_equal(windows.read(3, 5, 7, 9), whole[3:8, 7:16])
    assert windows.identity is None


def test_the_size_of_a_pixel_follows():
    windows = ArrayWindows(np.zeros((10, 20, 1)), "image")
    windows.pixel_size = PixelSize(1, 2, "m")
    resized = ResizedWindows(windows, (5, 20))
    assert resized.pixel_size == PixelSize(2, 2, "m")


def test_places_are_moved_and_come_back():
    points = np.array([[0.0, 0], [9.5, 15]])
    moved = HALF.points(points)
    np.testing.assert_allclose(moved, [[0, 0], [4.75, 10]])
    np.testing.assert_allclose(HALF.to_file.points(moved), points)
    boxes = np.array([[15.0, 2, 30, 10]])
    moved = HALF.boxes(boxes)
    np.testing.assert_allclose(moved, [[10, 1, 20, 5]])
    np.testing.assert_allclose(HALF.to_file.boxes(moved), boxes)


def test_places_in_whole_numbers_are_not_rounded():
    assert HALF.points(np.array([[9, 4]])).tolist() == [[4.5, 4 * 20 / 30]]
    assert HALF.to_file.boxes([[1, 2, 3, 3]]).tolist() == [[1.5, 4, 4.5, 6]]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_points_inside_stay_inside(dtype):
    last = np.nextafter(np.array([[10, 30]], dtype), np.array(0, dtype))
    for size in [(3, 7), (7, 90), (10, 31)]:
        moved = ReadScale((10, 30), size).points(last)
        assert (moved < size).all()
        assert moved.dtype == dtype


def test_images_that_are_distorted_are_told():
    same = ReadScale((10, 20), (5, 10))
    wide = ReadScale((10, 20), (10, 10))
    assert describe_distortion({"a.png": same}) == ""
    tiny = ReadScale.of_file((5, 7), 0.5)  # (2, 4), which no factor mends
    assert describe_distortion({"a.png": tiny}) == ""
    text = describe_distortion({"a.png": same, "b.png": wide})
    assert "distorts 1 of 2 images: b.png of (height, width) (10, 20)" in text
