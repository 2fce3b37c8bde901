"""Counts survive tiling: mass is neither lost nor counted twice."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from keras_patching.data.labels.density_maps import density_map
from keras_patching.data.patches.tiling import cut_patches
from keras_patching.geometry import PatchGrid

lengths = st.integers(1, 90)


@st.composite
def points_in_images(draw):
    size = draw(lengths), draw(lengths)
    axes = [
        st.one_of(
            st.sampled_from([0.0, length - 0.5, length / 2]),
            st.floats(0, length, exclude_max=True),
        )
        for length in size
    ]
    points = draw(st.lists(st.tuples(*axes), max_size=30))
    repeated = draw(st.integers(0, len(points)))
    return size, np.array(points + points[:repeated]).reshape(-1, 2)


def drawn_by_definition(points, size, sigma):
    """A Gaussian per point over all pixels of the image, made to sum to 1."""
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    total = np.zeros(size)
    for point_y, point_x in points:
        exponent = -((y - point_y) ** 2 + (x - point_x) ** 2) / (2 * sigma**2)
        gaussian = np.exp(exponent - exponent.max())
        total += gaussian / gaussian.sum()
    return total


@given(points_in_images(), st.floats(0.5, 30), lengths, lengths)
def test_patches_hold_every_object_once(data, sigma, height, width):
    size, points = data
    grid = PatchGrid(size, (height, width))
    whole = density_map(points, size, sigma)
    patches = cut_patches(whole, grid.origins, grid.patch_size, 0)
    total = patches.sum(dtype="float64")
    np.testing.assert_allclose(total, len(points), rtol=1e-4, atol=1e-12)
    stitched = np.block(
        [list(row) for row in patches.reshape(grid.rows, grid.cols, height, -1)]
    )
    np.testing.assert_array_equal(stitched[: size[0], : size[1]], whole)


@given(points_in_images(), st.floats(0.5, 30))
def test_it_is_the_gaussian_of_the_definition(data, sigma):
    size, points = data
    expected = drawn_by_definition(points, size, sigma)
    found = density_map(points, size, sigma)
    highest = 1e-3 * max(expected.max(), 1e-9)  # of what lies beyond 4 sigma
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=highest)


def test_two_points_on_one_pixel_add_up():
    one = density_map(np.array([[5, 7]]), (20, 20), 2)
    two = density_map(np.array([[5, 7], [5, 7]]), (20, 20), 2)
    np.testing.assert_allclose(two, 2 * one)


def test_a_sigma_far_below_a_pixel_marks_the_pixel():
    density = density_map(np.array([[3.5, 4.9]]), (9, 9), 1e-3)
    assert density[3, 4] == 1
    assert density.sum() == 1


def test_no_points_give_an_empty_map():
    assert not density_map(np.zeros((0, 2)), (5, 6), 3).any()
