"""What is written patch by patch is what all patches are stitched to."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_patching.geometry import PatchGrid
from keras_patching.ops.compiling import compiled_on_jax
from keras_patching.ops.patch_writing import CarriedWriter, InPlaceWriter
from keras_patching.ops.patches import stitch_patches

GRIDS = [
    PatchGrid((7, 9), 4),
    PatchGrid((3, 2), 5),
    PatchGrid((12, 20), (8, 4), overlap=(4, 0), multiple_of=(2, 1)),
    PatchGrid((11, 14), 8, overlap=4, multiple_of=2),
    PatchGrid((3, 20), 8, overlap=5),
]
CASES = [(grid, (1, 1)) for grid in GRIDS]
CASES += [(GRIDS[3], (2, 1)), (GRIDS[3], (1, 2))]
BLENDS = ["crop", "mean", "gaussian"]
on_torch = pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="Only torch writes in place."
)


def draw(*shape):
    return np.random.default_rng(0).random(shape).astype("float32") * 100


def draw_patches(grid, scale, channels=3):
    size = [length * scale[0] // scale[1] for length in grid.patch_size]
    return draw(2, grid.num_patches, *size, channels)


def stitched_at_once(patches, grid, scale, blend):
    shape = 2, grid.rows, grid.cols, *patches.shape[2:]
    patches = ops.reshape(ops.convert_to_tensor(patches), shape)
    return ops.convert_to_numpy(stitch_patches(patches, grid, scale, blend))


@compiled_on_jax("grid", "scale", "blend")
def written(patches, grid, scale, blend):
    """Write the patches of two images in chunks, one of them once more."""
    writer = CarriedWriter(grid, scale, blend, "float32")
    patches = ops.reshape(patches, (-1, *patches.shape[2:]))
    images = writer.blank(2, patches.shape[-1])
    count = 2 * grid.num_patches
    for first in range(0, count, 3):
        numbers = np.arange(first, first + 3)
        last = np.minimum(numbers, count - 1)
        places = last // grid.num_patches, last % grid.num_patches
        places = [ops.convert_to_tensor(each, "int32") for each in places]
        are_new = ops.convert_to_tensor(numbers < count)
        images = writer.write(
            images, ops.take(patches, last, axis=0), *places, are_new
        )
    return writer.finish(images)


@pytest.mark.parametrize(("grid", "scale"), CASES)
@pytest.mark.parametrize("blend", ["crop", "gaussian"])
def test_patches_written_in_order_make_the_stitched_images(grid, scale, blend):
    patches = draw_patches(grid, scale)
    np.testing.assert_allclose(
        ops.convert_to_numpy(written(patches, grid, scale, blend)),
        stitched_at_once(patches, grid, scale, blend),
        rtol=0 if blend == "crop" else 1e-5,
    )


def written_in_place(patches, grid, scale, blend, count=3):
    patches = ops.reshape(patches, (-1, *patches.shape[2:]))
    writer = None
    for first in range(0, len(patches), count):
        chunk = patches[first : first + count]
        if writer is None:
            writer = InPlaceWriter(2, chunk, grid, scale, blend)
        places = (
            divmod(first + i, grid.num_patches) for i in range(len(chunk))
        )
        writer.write(chunk, list(places))
    return writer.finish()


@on_torch
@pytest.mark.parametrize("innermost", ["channels", "columns"])
@pytest.mark.parametrize(("grid", "scale"), CASES)
@pytest.mark.parametrize("blend", BLENDS)
def test_patches_are_written_in_place_whatever_their_layout(
    grid, scale, blend, innermost
):
    values = draw_patches(grid, scale)
    patches = ops.convert_to_tensor(values)
    if innermost == "columns":
        patches = ops.moveaxis(ops.moveaxis(patches, 4, 2).contiguous(), 2, 4)
    np.testing.assert_allclose(
        written_in_place(patches, grid, scale, blend),
        stitched_at_once(values, grid, scale, blend),
        rtol=0 if blend == "crop" else 1e-5,
    )


@on_torch
@pytest.mark.parametrize("blend", BLENDS)
def test_what_is_written_in_place_has_the_gradient_of_what_is_stitched(blend):
    grid = GRIDS[3]
    values = draw_patches(grid, (1, 1))
    weights = ops.convert_to_tensor(draw(2, *grid.image_size, 3))

    def gradient(function):
        patches = ops.convert_to_tensor(values).requires_grad_()
        (function(patches) * weights).sum().backward()
        return patches.grad

    def at_once(patches):
        shape = 2, grid.rows, grid.cols, *patches.shape[2:]
        return stitch_patches(ops.reshape(patches, shape), grid, blend=blend)

    np.testing.assert_allclose(
        gradient(lambda x: written_in_place(x, grid, (1, 1), blend)),
        gradient(at_once),
        rtol=1e-5,
    )


def test_narrow_floats_are_added_up_in_float32():
    grid = PatchGrid((1, 12), (1, 8), overlap=(0, 6))
    writer = CarriedWriter(grid, (1, 1), "gaussian", "float16")
    images = writer.blank(1, 1)
    assert keras.backend.standardize_dtype(images.dtype) == "float32"
    finished = writer.finish(images + 1)
    assert keras.backend.standardize_dtype(finished.dtype) == "float16"


@on_torch
def test_narrow_floats_are_added_up_in_float32_in_place():
    grid = PatchGrid((1, 12), (1, 8), overlap=(0, 6))
    patches = ops.ones((2, grid.num_patches, 1, 8, 1), "float16") * 1000
    images = written_in_place(patches, grid, (1, 1), "gaussian")
    assert keras.backend.standardize_dtype(images.dtype) == "float16"
    np.testing.assert_array_equal(ops.convert_to_numpy(images), 1000)


def test_integers_are_not_averaged():
    grid = PatchGrid((11, 14), 8, overlap=4)
    with pytest.raises(ValueError, match="integers"):
        CarriedWriter(grid, (1, 1), "mean", "int32")
