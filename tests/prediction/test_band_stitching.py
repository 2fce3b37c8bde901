"""Bands stitched patch by patch are those of all patches at once."""

import tracemalloc

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from keras_patching.geometry import PatchGrid
from keras_patching.ops.compiling import compiled_on_jax
from keras_patching.ops.patches import stitch_patches
from keras_patching.prediction.band_stitching import BandStitcher

# Each of its operations would be compiled alone.
stitch_patches = compiled_on_jax("grid", "scale", "blend")(stitch_patches)


def draw_patches(grid, scale, dtype="float32", channels=(2,)):
    """Patches of a grid at a scale, with values of their own everywhere."""
    numerator, denominator = scale
    size = (each * numerator // denominator for each in grid.patch_size)
    shape = grid.rows, grid.cols, *size, *channels
    values = np.random.default_rng(0).random(shape, "float32")
    return (values * 200).astype(dtype)


def stitched(patches, grid, scale, blend):
    stitcher = BandStitcher(grid, scale, blend)
    return [
        band for row in patches for patch in row for band in stitcher.add(patch)
    ]


def expected(patches, grid, scale, blend):
    whole = stitch_patches(patches[None], grid=grid, scale=scale, blend=blend)
    return ops.convert_to_numpy(whole)[0]


@st.composite
def axes(draw, even):
    """Length, patch, overlap and multiple of it along an axis."""
    multiple = draw(st.integers(1, 3)) * (2 if even else 1)
    patch = draw(st.none() | st.integers(1, 4).map(lambda n: n * multiple))
    most = 0 if patch is None else patch - multiple
    return draw(st.integers(1, 30)), patch, draw(st.integers(0, most)), multiple


@st.composite
def grids_and_scales(draw):
    scale = draw(st.sampled_from([(1, 1), (2, 1), (1, 2)]))
    rows, columns = (draw(axes(scale == (1, 2))) for _ in range(2))
    if rows[1] is None:
        rows = 1 + rows[0] % 9, *rows[1:]
    options = zip(rows, columns, strict=True)
    return PatchGrid(*options, shrink=draw(st.booleans())), scale


@settings(max_examples=24, deadline=None)
@given(grids_and_scales(), st.sampled_from(["crop", "mean", "gaussian"]))
def test_bands_are_what_all_patches_give(grid_and_scale, blend):
    grid, scale = grid_and_scale
    patches = draw_patches(grid, scale)
    bands = np.concatenate(stitched(patches, grid, scale, blend))
    whole = expected(patches, grid, scale, blend)
    if blend == "crop":
        np.testing.assert_array_equal(bands, whole, strict=True)
    else:
        np.testing.assert_allclose(bands, whole, rtol=1e-6, strict=True)


GRID = PatchGrid((13, 11), (6, 4), overlap=(3, 2))


@pytest.mark.parametrize("blend", ["mean", "gaussian"])
@pytest.mark.parametrize("dtype", ["float16", jnp.dtype("bfloat16")])
def test_narrow_floats_are_added_up_in_float32(dtype, blend):
    patches = draw_patches(GRID, (1, 1), dtype)
    bands = np.concatenate(stitched(patches, GRID, (1, 1), blend))
    assert bands.dtype == dtype
    # What differs is how the last bit is rounded.
    np.testing.assert_allclose(
        bands.astype("float32"),
        np.asarray(expected(patches, GRID, (1, 1), blend), "float32"),
        rtol=float(jnp.finfo(dtype).eps),
    )


@pytest.mark.parametrize("channels", [(), (1,), (2, 3)])
@pytest.mark.parametrize("dtype", ["uint8", "bool", "int64"])
def test_crop_takes_values_of_any_kind_and_shape(channels, dtype):
    patches = draw_patches(GRID, (1, 1), dtype, channels)
    bands = np.concatenate(stitched(patches, GRID, (1, 1), "crop"))
    flat = patches.reshape(*patches.shape[:4], -1).astype("int32")
    whole = expected(flat, GRID, (1, 1), "crop").astype(dtype)
    np.testing.assert_array_equal(
        bands, whole.reshape(bands.shape), strict=True
    )


def test_masks_without_channels_are_blended():
    patches = draw_patches(GRID, (1, 1), channels=())
    np.testing.assert_array_equal(
        np.concatenate(stitched(patches, GRID, (1, 1), "mean")),
        np.concatenate(stitched(patches[..., None], GRID, (1, 1), "mean"))[
            ..., 0
        ],
    )


@pytest.mark.parametrize(
    ("blend", "heights"), [("crop", [4, 3, 2, 4]), ("mean", [3, 3, 1, 6])]
)
def test_rows_are_given_once_no_later_patch_reaches_them(blend, heights):
    # Rows of patches begin at 0, 3, 6 and 7.
    patches = draw_patches(GRID, (1, 1))
    bands = stitched(patches, GRID, (1, 1), blend)
    assert [len(band) for band in bands] == heights
    assert len(stitched(patches[:2], GRID, (1, 1), blend)) == 2


@pytest.mark.parametrize("blend", ["crop", "mean"])
def test_memory_is_that_of_rows_of_patches(blend):
    grid = PatchGrid((4000, 1000), (20, 500), overlap=(8, 8))
    patch = np.ones((20, 500, 1), "float32")
    stitcher = BandStitcher(grid, (1, 1), blend)
    stitcher.add(patch)
    tracemalloc.start()
    for _ in range(grid.num_patches - 1):
        stitcher.add(patch)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 4 * 20 * 1000 * 4


def test_integers_are_not_averaged():
    stitcher = BandStitcher(GRID, (1, 1), "mean")
    with pytest.raises(ValueError, match="which integers do not allow"):
        stitcher.add(np.zeros((6, 4, 1), "uint8"))


def test_origins_between_two_pixels_are_refused():
    stitcher = BandStitcher(GRID, (1, 2), "crop")
    with pytest.raises(ValueError, match="pass multiple_of=2"):
        stitcher.add(np.zeros((3, 2, 1), "uint8"))
