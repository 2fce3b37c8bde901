"""Patches cover the image, stay inside it, and share what was asked."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_patching.geometry import PatchAxis, PatchGrid, pixel_for


@st.composite
def axes(draw):
    multiple = draw(st.sampled_from([1, 2, 3, 4, 8]))
    patch = multiple * draw(st.integers(1, 16))
    overlap = draw(st.integers(0, patch - multiple))
    return PatchAxis(draw(st.integers(1, 400)), patch, overlap, multiple)


def reference_origins(axis):
    """Walk along the axis, the slow and obvious way."""
    if axis.overlap == 0:
        return list(range(0, axis.length, axis.patch))
    padded = -(-axis.length // axis.multiple_of) * axis.multiple_of
    padded = max(padded, axis.patch)
    origins = [0]
    while origins[-1] + axis.patch < padded:
        step = (axis.patch - axis.overlap) // axis.multiple_of
        origins.append(
            min(origins[-1] + step * axis.multiple_of, padded - axis.patch)
        )
    return origins


@given(axes())
def test_origins_are_those_of_a_walk_along_the_axis(axis):
    origins = [axis.origin(index) for index in range(axis.count)]
    assert origins == reference_origins(axis)


@given(axes())
def test_patches_cover_the_padded_axis_and_nothing_else(axis):
    covered = np.zeros(axis.padded_length, int)
    for index in range(axis.count):
        patch = covered[axis.origin(index) : axis.origin(index) + axis.patch]
        assert len(patch) == axis.patch
        patch += 1
    assert covered.min() == 1 or axis.overlap
    assert covered.min() >= 1
    assert axis.padded_length >= axis.length


@given(axes())
def test_every_pixel_has_one_owner_that_holds_it(axis):
    borders = [axis.border(index) for index in range(axis.count)]
    ends = [*borders[1:], axis.padded_length]
    assert borders[0] == 0
    for index, (start, end) in enumerate(zip(borders, ends, strict=True)):
        assert axis.origin(index) <= start < end
        assert end <= axis.origin(index) + axis.patch


@given(axes())
def test_origins_and_borders_are_multiples(axis):
    for index in range(axis.count):
        assert axis.origin(index) % axis.multiple_of == 0
        assert axis.border(index) % axis.multiple_of == 0
    assert axis.padded_length % axis.multiple_of == 0


def test_border_is_the_middle_of_the_shared_zone():
    axis = PatchAxis(100, patch=60, overlap=20)
    assert [axis.origin(0), axis.origin(1)] == [0, 40]
    assert axis.border(1) == 50


@pytest.mark.parametrize(
    ("size", "patch", "overlap", "shape", "padded"),
    [
        ((128, 128), 128, 0, (1, 1), (128, 128)),
        ((129, 128), 128, 0, (2, 1), (256, 128)),
        ((5, 300), (128, 64), 0, (1, 5), (128, 320)),
        ((5, 300), (128, 64), (0, 16), (1, 6), (128, 300)),
        ((1, 1), 7, 3, (1, 1), (7, 7)),
    ],
)
def test_grid_shapes(size, patch, overlap, shape, padded):
    grid = PatchGrid(size, patch, overlap)
    assert (grid.rows, grid.cols) == shape
    assert grid.num_patches == shape[0] * shape[1] == len(grid.origins)
    assert grid.padded_size == padded


@given(axes())
def test_shrunk_patches_are_the_smallest_that_cover_the_image(axis):
    def grid(patch, shrink):
        return PatchGrid(
            (axis.length, axis.length),
            patch,
            axis.overlap,
            axis.multiple_of,
            shrink=shrink,
        )

    shrunk = grid(axis.patch, shrink=True).y_axis
    assert shrunk.patch <= axis.patch
    assert shrunk.patch % axis.multiple_of == 0
    assert shrunk.padded_length >= axis.length
    origins = [shrunk.origin(index) for index in range(shrunk.count)]
    shared = [
        before + shrunk.patch - after
        for before, after in itertools.pairwise(origins)
    ]
    assert min(shared, default=axis.overlap) >= axis.overlap
    assert shrunk.count == axis.count
    smaller = shrunk.patch - axis.multiple_of
    if smaller >= axis.overlap + axis.multiple_of:
        assert grid(smaller, shrink=False).rows > shrunk.count


def test_none_is_the_length_of_the_image():
    grid = PatchGrid((100, 77), (32, None), overlap=8, multiple_of=4)
    assert grid.patch_size == (32, 80)
    assert (grid.rows, grid.cols) == (4, 1)
    assert grid.padded_size == (100, 80)


def test_origins_are_row_major_y_x():
    assert PatchGrid((4, 6), (2, 3)).origins == [(0, 0), (0, 3), (2, 0), (2, 3)]


@pytest.mark.parametrize(
    "arguments",
    [
        {"image_size": (0, 5)},
        {"image_size": (5,)},
        {"patch_size": 0},
        {"patch_size": (4, 4, 4)},
        {"patch_size": 4.0},
        {"patch_size": (None, 0)},
        {"patch_size": (None, 4.0)},
        {"overlap": 8},
        {"overlap": -1},
        {"multiple_of": 3},
        {"multiple_of": 0},
        {"overlap": 5, "multiple_of": 4},
    ],
)
def test_what_no_grid_can_be_made_of_is_refused(arguments):
    arguments = {"image_size": (9, 9), "patch_size": 8, **arguments}
    with pytest.raises(ValueError, match=r"Received: .*="):
        PatchGrid(**arguments)


@pytest.mark.parametrize(
    "image_size",
    [
        *((300.0, 300), (np.float32(300), 300), (0, 5), (5, -1), (True, 5)),
        *(("300", 300), (None, 300), (float("nan"), 5), (5,), "55", 55, None),
    ],
)
def test_lengths_of_images_are_positive_integers(image_size):
    with pytest.raises(ValueError, match="`image_size` must be a pair"):
        PatchGrid(image_size, 10)


def test_integers_of_numpy_are_integers():
    grid = PatchGrid((np.int64(300), np.uint16(30)), np.int32(20))
    assert (grid.rows, grid.cols, grid.image_size) == (15, 2, (300, 30))


@pytest.mark.parametrize("name", ["patch_size", "overlap", "multiple_of"])
@pytest.mark.parametrize(
    "value", [2.0, "2", True, float("nan"), (2, 2, 2), -1, (2, np.True_)]
)
def test_lengths_of_patches_are_integers(name, value):
    with pytest.raises(ValueError, match=f"`{name}`"):
        PatchGrid((30, 30), **{"patch_size": 10, name: value})


@pytest.mark.parametrize("pad_mode", ["reflect", "edge"])
@pytest.mark.parametrize("length", [1, 2, 3, 7])
def test_pixels_beyond_an_image_are_those_of_numpy(pad_mode, length):
    found = [pixel_for(index, length, pad_mode) for index in range(20)]
    assert (
        found == np.pad(np.arange(length), (0, 20 - length), pad_mode).tolist()
    )
