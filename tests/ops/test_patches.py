"""Cutting and stitching agree with a numpy reference, on every backend."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_patching.geometry import PatchGrid
from keras_patching.ops.compiling import compiled_on_jax
from keras_patching.ops.patches import (
    extract_patches,
    graph_grid,
    pad_to_grid,
    slice_patches,
    spatial_scale,
    stitch_patches,
)

# Each of their operations would be compiled alone.
slice_patches = compiled_on_jax("grid")(slice_patches)
stitch_patches = compiled_on_jax("grid", "scale", "blend")(stitch_patches)


def reference_patches(images, grid, pad_value=0):
    """Cut patches one by one."""
    (height, width), (bottom, right) = grid.image_size, grid.padded_size
    padding = ((0, 0), (0, bottom - height), (0, right - width), (0, 0))
    images = np.pad(images, padding, constant_values=pad_value)
    h, w = grid.patch_size
    patches = [images[:, y : y + h, x : x + w] for y, x in grid.origins]
    shape = (len(images), grid.rows, grid.cols, h, w, images.shape[-1])
    return np.stack(patches, axis=1).reshape(shape)


def reference_mean(patches, grid):
    """Add up every patch in its place, and divide by how many there were."""
    h, w = grid.patch_size
    total = np.zeros((len(patches), *grid.padded_size, patches.shape[-1]))
    count = np.zeros((*grid.padded_size, 1))
    for index, (y, x) in enumerate(grid.origins):
        patch = patches[:, index // grid.cols, index % grid.cols]
        total[:, y : y + h, x : x + w] += patch
        count[y : y + h, x : x + w] += 1
    height, width = grid.image_size
    return (total / count)[:, :height, :width]


GRIDS = [
    PatchGrid((7, 9), 4),
    PatchGrid((8, 8), (4, 2)),
    PatchGrid((3, 2), 5),
    PatchGrid((11, 13), (6, 5), overlap=(2, 0)),
    PatchGrid((11, 13), 6, overlap=4),
    PatchGrid((10, 14), 8, overlap=4, multiple_of=2),
    PatchGrid((3, 20), 8, overlap=3),
]


@pytest.fixture(params=GRIDS, ids=repr)
def grid(request):
    return request.param


def draw(shape, dtype="float32"):
    values = np.random.default_rng(0).random(shape) * 100
    return values.astype(dtype)


def test_patches_are_cut_where_the_grid_says(grid):
    images = draw((2, *grid.image_size, 3))
    patches = ops.convert_to_numpy(
        extract_patches(pad_to_grid(images, grid, 7), grid)
    )
    np.testing.assert_array_equal(patches, reference_patches(images, grid, 7))


def test_sliced_patches_are_those_of_all_patches(grid):
    images = draw((2, *grid.image_size, 3))
    chosen = np.arange(2 * grid.num_patches, dtype="int32")[::-1]
    patches = slice_patches(
        pad_to_grid(ops.convert_to_tensor(images), grid),
        grid,
        ops.convert_to_tensor(chosen // grid.num_patches),
        ops.convert_to_tensor(chosen % grid.num_patches),
    )
    every = reference_patches(images, grid)
    every = every.reshape(-1, *every.shape[3:])
    np.testing.assert_array_equal(ops.convert_to_numpy(patches), every[chosen])


def test_each_pixel_comes_from_the_patch_that_owns_it(grid):
    """Patches filled with their number show whose pixels were taken."""
    numbers = np.arange(grid.num_patches).reshape(1, grid.rows, grid.cols)
    patches = np.broadcast_to(
        numbers[..., None, None, None],
        (1, *numbers.shape[1:], *grid.patch_size, 1),
    ).astype("int32")
    stitched = ops.convert_to_numpy(stitch_patches(patches, grid))[0, ..., 0]
    rows = _owners(grid.y_axis, grid.image_size[0])
    cols = _owners(grid.x_axis, grid.image_size[1])
    np.testing.assert_array_equal(
        stitched, rows[:, None] * grid.cols + cols[None, :]
    )


def _owners(axis, length):
    borders = [axis.border(index) for index in range(axis.count)]
    return np.searchsorted(borders, np.arange(length), side="right") - 1


def test_mean_is_the_mean_of_all_patches_that_hold_a_pixel(grid):
    patches = draw((2, grid.rows, grid.cols, *grid.patch_size, 3))
    stitched = stitch_patches(patches, grid, blend="mean")
    np.testing.assert_allclose(
        ops.convert_to_numpy(stitched),
        reference_mean(patches, grid),
        rtol=1e-5,
    )


def test_gaussian_gives_the_middle_of_a_patch_more_weight():
    grid = PatchGrid((1, 12), (1, 8), overlap=(0, 4))
    patches = np.zeros((1, 1, 2, 1, 8, 1), "float32")
    patches[:, :, 1] = 1.0
    row = ops.convert_to_numpy(stitch_patches(patches, grid, blend="gaussian"))
    row = row[0, 0, :, 0]
    assert (row[:4] == 0).all()
    assert (row[8:] == 1).all()
    assert (np.diff(row[3:9]) > 0).all()
    np.testing.assert_allclose(row[4:8] + row[7:3:-1], 1, rtol=1e-6)


@pytest.mark.parametrize("blend", ["crop", "mean", "gaussian"])
def test_stitching_undoes_extracting(grid, blend):
    images = draw((2, *grid.image_size, 3))
    patches = extract_patches(pad_to_grid(images, grid), grid)
    stitched = stitch_patches(patches, grid, blend=blend)
    np.testing.assert_allclose(
        ops.convert_to_numpy(stitched), images, rtol=1e-6
    )


@pytest.mark.parametrize("scale", [(2, 1), (1, 2)])
def test_patches_at_another_scale_are_stitched_at_that_scale(scale):
    grid = PatchGrid((11, 14), 8, overlap=4, multiple_of=2)
    numerator, denominator = scale
    size = [-(-length * numerator // denominator) for length in (11, 14)]
    image = draw((1, *size, 2))
    scaled_grid = PatchGrid(
        size,
        8 * numerator // denominator,
        overlap=4 * numerator // denominator,
        multiple_of=2 * numerator // denominator,
    )
    patches = reference_patches(image, scaled_grid)
    stitched = stitch_patches(patches, grid, scale)
    np.testing.assert_array_equal(ops.convert_to_numpy(stitched), image)


def test_origins_between_two_pixels_of_a_scale_are_refused():
    grid = PatchGrid((11, 14), 8, overlap=4)
    patches = np.zeros((1, grid.rows, grid.cols, 4, 4, 1), "float32")
    with pytest.raises(ValueError, match="pass multiple_of=2"):
        stitch_patches(patches, grid, scale=(1, 2))


def test_integers_are_not_averaged():
    grid = PatchGrid((11, 14), 8, overlap=4)
    patches = np.zeros((1, grid.rows, grid.cols, 8, 8, 1), "int32")
    with pytest.raises(ValueError, match="integers"):
        stitch_patches(patches, grid, blend="mean")


def test_narrow_floats_are_averaged_in_float32():
    grid = PatchGrid((1, 12), (1, 8), overlap=(0, 6))
    patches = ops.ones((1, 1, grid.cols, 1, 8, 1), "float16") * 1000
    mean = stitch_patches(patches, grid, blend="gaussian")
    assert keras.backend.standardize_dtype(mean.dtype) == "float16"
    np.testing.assert_array_equal(ops.convert_to_numpy(mean), 1000)


@pytest.mark.parametrize(
    ("output", "scale"),
    [
        ((None, 8, 12, 5), (1, 1)),
        ((None, 16, 24, 5), (2, 1)),
        ((None, 4, 6, 5), (1, 2)),
        ((None, 4, 12, 5), None),
        ((None, 6, 10, 5), None),
        ((None, 8, 12), None),
        ((None, 5), None),
    ],
)
def test_spatial_scale(output, scale):
    assert spatial_scale(output, (8, 12)) == scale


def test_grid_of_images_is_that_of_their_size():
    grid = graph_grid((30, 40), 16, overlap=4)
    assert grid.origins == PatchGrid((30, 40), 16, overlap=4).origins
