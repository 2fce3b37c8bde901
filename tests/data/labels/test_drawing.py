"""Shapes are drawn so that a pixel is of what its center is in."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_patching.data.images.resampling import resampled
from keras_patching.data.images.resizing import ReadScale
from keras_patching.data.labels.drawing import (
    DrawnShape,
    draw_shapes,
    fill_polygon,
)
from keras_patching.data.labels.shapes import Shape

SIZE = (12, 17)


def filled(corners, size=SIZE):
    mask = np.zeros(size, bool)
    y, x, inside = fill_polygon(np.array(corners, float), size)
    mask[y : y + inside.shape[0], x : x + inside.shape[1]] = inside
    return mask


def drawn(kind, points, value=1, **options):
    shape = Shape(
        kind=kind,
        points=np.array(points, float),
        label="a",
        place="",
        instance=0,
        **options,
    )
    return DrawnShape.of(shape, value)


def mask_of(*shapes, size=SIZE):
    return draw_shapes(shapes, size, np.uint8)


coordinates = st.floats(-4, 20, allow_nan=False).map(lambda n: round(n, 2))
polygons = st.lists(st.tuples(coordinates, coordinates), min_size=3, max_size=8)


@given(polygons)
def test_pixels_are_those_whose_center_the_polygon_winds_around(corners):
    y, x = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    found = filled(corners)
    for row, column in zip(
        *np.nonzero(found != even_odd(corners, y, x)), strict=True
    ):
        # On an edge rounding decides.
        center = np.array([row + 0.5, column + 0.5])
        assert distance(corners, center) < 1e-9


def even_odd(corners, y, x):
    """Count crossings of a ray from each center to the right."""
    inside = np.zeros(y.shape, bool)
    for (y1, x1), (y2, x2) in zip(
        corners, corners[1:] + corners[:1], strict=True
    ):
        if y1 != y2:
            crosses = (y1 <= y) != (y2 <= y)
            inside ^= crosses & (x < x1 + (y - y1) / (y2 - y1) * (x2 - x1))
    return inside


def distance(corners, point):
    corners = np.array(corners)
    ends = np.roll(corners, -1, axis=0)
    along = ends - corners
    length = np.maximum((along**2).sum(axis=1), 1e-30)
    share = (((point - corners) * along).sum(axis=1) / length).clip(0, 1)
    nearest = corners + share[:, None] * along
    return np.hypot(*(nearest - point).T).min()


def test_polygons_that_share_an_edge_share_no_pixel():
    corners = [(0, 0), (0, 17), (12, 17), (12, 0)]
    middle = (6.5, 8.5)  # The center of a pixel.
    fans = [
        filled([corners[i], corners[(i + 1) % 4], middle]) for i in range(4)
    ]
    assert (np.sum(fans, axis=0) == 1).all()


def test_later_shapes_are_drawn_over_earlier_ones():
    box, other = [(1, 1), (5, 5)], [(3, 3), (7, 7)]
    mask = mask_of(drawn("box", box), drawn("box", other, value=2))
    assert mask[1, 1] == 1
    assert mask[4, 4] == mask[6, 6] == 2
    assert (mask == 1).sum() == 16 - 4
    assert (mask == 2).sum() == 16


def test_a_box_of_whole_numbers_is_its_pixels_and_may_reach_beyond():
    expected = np.zeros(SIZE, bool)
    expected[2:12, 4:17] = True
    mask = mask_of(drawn("box", [(2, 4), (12.4, 17.4)]))
    np.testing.assert_array_equal(mask, expected)


def test_an_ellipse_has_its_area():
    mask = mask_of(
        drawn("ellipse", [(100, 100), (100, 150), (130, 100)]), size=(200, 200)
    )
    assert mask.sum() == pytest.approx(math.pi * 50 * 30, rel=1e-3)


def test_a_mask_lies_where_its_points_say_and_may_reach_beyond():
    pixels = np.eye(3, dtype=bool)
    mask = mask_of(
        drawn("mask", [(10, 2), (13, 5)], pixels=lambda: pixels),
        drawn("mask", [(-1, 14), (2, 17)], pixels=lambda: pixels),
    )
    places = [(0, 15), (1, 16), (10, 2), (11, 3)]
    assert np.argwhere(mask).tolist() == [list(place) for place in places]


@given(
    st.tuples(st.integers(1, 30), st.integers(1, 40)),
    st.tuples(st.integers(-4, 13), st.integers(-4, 18)),
)
def test_masks_follow_an_image_that_is_resized_by_the_nearest_pixel(new, place):
    pixels = np.random.default_rng(0).random((5, 7)) < 0.6
    shape = drawn(
        "mask", [place, np.add(place, pixels.shape)], pixels=lambda: pixels
    )
    moved = shape.moved(ReadScale(SIZE, new))
    expected = resampled(mask_of(shape), new, "nearest")
    np.testing.assert_array_equal(mask_of(moved, size=new), expected)


@given(polygons, st.integers(1, 3), st.integers(1, 3))
def test_polygons_follow_an_image_that_is_resized(corners, down, across):
    shape = drawn("polygon", corners)
    size = SIZE[0] * down, SIZE[1] * across
    moved = mask_of(shape.moved(ReadScale(SIZE, size)), size=size)
    expected = filled(np.array(corners) * [down, across], size)
    np.testing.assert_array_equal(moved.astype(bool), expected)


def test_polygons_are_those_of_pycocotools_but_for_their_edge():
    from pycocotools import mask as coco

    rng = np.random.default_rng(0)
    for _ in range(5):
        angles = np.sort(rng.uniform(0, 2 * np.pi, 9))
        radii = rng.uniform(10, 28, 9)
        x, y = 32 + radii * np.cos(angles), 30 + radii * np.sin(angles)
        numbers = np.stack([x, y], axis=1).ravel().tolist()
        (packed,) = coco.frPyObjects([numbers], 60, 64)
        expected = coco.decode(packed).astype(bool)
        corners = np.stack([y, x], axis=1)
        for place in np.argwhere(filled(corners, (60, 64)) != expected):
            assert distance(corners, place + 0.5) < 0.8
