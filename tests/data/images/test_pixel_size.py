"""Tests of the size of a pixel, and of where it is found."""

import numpy as np
import pytest

from keras_patching.data.images.pixel_size import PixelSize
from keras_patching.data.images.preparation import Preparation
from keras_patching.prediction.held_images import ArrayWindows
from keras_patching.prediction.sources import ImageSource, open_source


@pytest.mark.parametrize("length", [0, -1, float("nan"), float("inf")])
def test_a_pixel_without_a_length_is_refused(length):
    with pytest.raises(ValueError, match="Received: width="):
        PixelSize(1, length, "m")
    with pytest.raises(ValueError, match="Received: height="):
        PixelSize(length, 1, "m")


@pytest.mark.parametrize("unit", ["px", "degree", "", None])
def test_a_unit_that_nothing_is_measured_in_is_refused(unit):
    with pytest.raises(ValueError, match="The unit of the size"):
        PixelSize(1, 1, unit)


def test_equal_sizes_of_pixels_are_equal_whatever_numbers_they_came_from():
    assert PixelSize(1, np.float32(2), "µm") == PixelSize(1.0, 2.0, "µm")


def test_a_source_has_the_size_of_pixels_of_its_windows_where_these_know_it():
    array = np.zeros((4, 6, 3), "uint8")
    windows = ArrayWindows(array, "image 0")
    windows.pixel_size = PixelSize(0.5, 0.5, "m")
    known = ImageSource(windows, "image 0", "image_0", Preparation(), True)
    assert known.pixel_size == PixelSize(0.5, 0.5, "m")
    assert open_source(array, 0).pixel_size is None
