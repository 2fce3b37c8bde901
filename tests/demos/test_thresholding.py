"""Thresholding finds what is green, in one piece."""

import numpy as np

from keras_patching.demos.thresholding import (
    otsu_threshold,
    threshold_boxes,
    threshold_mask,
    threshold_points,
)


def test_thresholding_separates_a_green_square_from_brown():
    image = np.full((20, 30, 3), (120, 90, 60), "uint8")
    image[5:10, 5:20] = (60, 140, 50)
    mask = threshold_mask(image)
    assert mask.dtype == np.uint8
    np.testing.assert_array_equal(mask, image[..., 1] == 140)


def test_otsu_splits_two_groups_between_them():
    values = np.r_[np.linspace(0, 1, 50), np.linspace(5, 6, 200)]
    assert 1 <= otsu_threshold(values) <= 5


def test_components_are_located_at_their_centers_and_specks_are_not():
    image = np.full((60, 90, 3), (120, 90, 60), "uint8")
    for y, x in ((10, 20), (40, 70)):
        image[y - 5 : y + 6, x - 5 : x + 6] = (60, 140, 50)
    image[50, 10:20] = (60, 140, 50)
    points = threshold_points(image, min_area=100)
    np.testing.assert_allclose(points, [(10.5, 20.5), (40.5, 70.5)])
    boxes = threshold_boxes(image, min_area=100)
    np.testing.assert_allclose(boxes, [(15, 5, 26, 16), (65, 35, 76, 46)])
    assert threshold_points(image[:1, :1]).shape == (0, 2)
    assert threshold_boxes(image[:1, :1]).shape == (0, 4)
