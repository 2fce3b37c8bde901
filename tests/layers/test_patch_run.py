"""A patch model is run on patches, and what it gives is put in its place."""

import contextlib

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from keras_patching.layers.patch_run import (
    PatchOutputs,
    run_at_once,
    run_in_chunks,
)
from keras_patching.ops.patches import graph_grid, pad_to_grid

# Each example of a property is compiled.
IS_COMPILED = keras.backend.backend() == "jax"
SIZE = (19, 13)
TILINGS = [
    {"patch_size": 8},
    {"patch_size": (8, 6), "overlap": (4, 2), "multiple_of": 2},
    {"patch_size": (32, 8), "overlap": 2, "multiple_of": 2},
]


def halves(patches):
    return patches[:, ::2, ::2]


def twice(patches):
    return ops.repeat(ops.repeat(patches, 2, axis=1), 2, axis=2)


def highest(patches):
    return ops.max(patches, axis=(1, 2))


def gradients_on_torch(are_wanted):
    """What is changed in place there is not where gradients are wanted."""
    if keras.backend.backend() != "torch":
        return contextlib.nullcontext()
    import torch

    return torch.set_grad_enabled(are_wanted)


# For each kind of output a function of patches, its scale, and its channels.
OUTPUTS = {
    "same": (lambda patches: patches + 1, (1, 1)),
    "half": (halves, (1, 2)),
    "twice": (twice, (2, 1)),
    "alone": (highest, None),
}


def draw(*shape):
    return np.random.default_rng(0).random(shape).astype("float32")


def known_of(names, dtype="float32"):
    """What is known of a patch model that gives a dict of outputs."""
    spec = {
        name: keras.KerasTensor((1, 8, 8, 2) if scale else (1, 2), dtype)
        for name, (_, scale) in OUTPUTS.items()
        if name in names
    }
    scales = tuple(OUTPUTS[name][1] for name in sorted(names))
    return PatchOutputs(spec, scales)


def run_of(names, sizes=None):
    """A patch model; `sizes` collects how many patches it is given."""

    def run(patches):
        if sizes is not None:
            sizes.append(patches.shape[0])
        return {name: OUTPUTS[name][0](patches) for name in names}

    return run


def pad(images, grid):
    (height, width), (bottom, right) = grid.image_size, grid.padded_size
    padding = ((0, 0), (0, bottom - height), (0, right - width), (0, 0))
    return np.pad(images, padding)


def run_by_hand(images, grid, function, scale, blend):
    """Run one patch after the other, and write or add it where it belongs."""
    padded, (h, w) = pad(images, grid), grid.patch_size
    outputs = [
        ops.convert_to_numpy(
            function(ops.convert_to_tensor(padded[:, y : y + h, x : x + w]))
        )
        for y, x in grid.origins
    ]
    if scale is None:
        shape = len(images), grid.rows, grid.cols, *outputs[0].shape[1:]
        return np.stack(outputs, axis=1).reshape(shape)
    up, down = scale
    shape = len(images), *(n * up // down for n in grid.padded_size), 2
    whole, weight = np.zeros(shape), np.zeros((*shape[1:3], 1))
    for index, (y, x) in enumerate(grid.origins):
        row, col = divmod(index, grid.cols)
        part, (y, x) = outputs[index], (y * up // down, x * up // down)
        h, w = part.shape[1:3]
        if blend == "crop":
            top = grid.y_axis.border(row) * up // down
            left = grid.x_axis.border(col) * up // down
            whole[:, top : y + h, left : x + w] = part[:, top - y :, left - x :]
            weight[top : y + h, left : x + w] = 1
        else:
            each = weights_of(h, w, blend)
            whole[:, y : y + h, x : x + w] += part * each
            weight[y : y + h, x : x + w] += each
    lengths = [(n * up + down - 1) // down for n in grid.image_size]
    return (whole / weight)[:, : lengths[0], : lengths[1]]


def weights_of(height, width, blend):
    if blend == "mean":
        return 1.0
    rows, cols = (
        np.exp(-0.5 * ((np.arange(n) - (n - 1) / 2) / (n / 8)) ** 2)
        for n in (height, width)
    )
    return (rows[:, None] * cols)[..., None]


def check(names, tiling, way, size=SIZE, batch=2, blend="crop", **kwargs):
    images = draw(batch, *size, 2)
    grid = graph_grid(size, **tiling)
    padded = pad_to_grid(ops.convert_to_tensor(images), grid)
    run, known = run_of(names), known_of(names)
    given = way(run, padded, grid, known, blend, **kwargs)
    assert given.keys() == set(names)
    for name in names:
        expected = run_by_hand(images, grid, *OUTPUTS[name], blend)
        np.testing.assert_allclose(
            ops.convert_to_numpy(given[name]), expected, rtol=1e-5
        )


@pytest.mark.parametrize("tiling", TILINGS[:2])
def test_all_patches_at_once_give_what_each_gives_by_itself(tiling):
    check(["same", "half", "twice", "alone"], tiling, run_at_once)


@pytest.mark.parametrize(
    ("tiling", "chunk_size"), list(zip(TILINGS, [1, 2, 32], strict=True))
)
def test_rows_of_chunks_give_what_each_patch_gives(tiling, chunk_size):
    names = ["same", "half", "twice", "alone"]
    check(names, tiling, run_in_chunks, chunk_size=chunk_size)


@pytest.mark.parametrize("tiling", TILINGS)
def test_rows_that_are_all_stitched_are_written_in_place(tiling):
    check(["same", "half", "twice"], tiling, run_in_chunks, chunk_size=2)


@given(
    units=st.tuples(*[st.integers(1, 4)] * 2),
    shared=st.tuples(*[st.integers(0, 3)] * 2),
    size=st.tuples(*[st.integers(1, 33)] * 2),
    batch=st.integers(1, 3),
    blend=st.sampled_from(["crop", "mean", "gaussian"]),
    chunk_size=st.integers(1, 32),
    names=st.sets(st.sampled_from(sorted(OUTPUTS)), min_size=1),
)
@settings(max_examples=6 if IS_COMPILED else 40, deadline=None)
def test_chunks_of_any_rows_give_what_each_patch_gives(
    units, shared, size, batch, blend, chunk_size, names
):
    tiling = {
        "patch_size": tuple(2 * n for n in units),
        "overlap": tuple(
            min(n, 2 * unit - 2) for n, unit in zip(shared, units, strict=True)
        ),
        "multiple_of": 2,
    }
    check(
        sorted(names),
        tiling,
        run_in_chunks,
        size=size,
        batch=batch,
        blend=blend,
        chunk_size=chunk_size,
    )


@pytest.mark.parametrize(
    ("blend", "is_trained"), [("mean", True), ("gaussian", False)]
)
def test_all_patches_at_once_blend_as_each_by_itself(blend, is_trained):
    tiling = {"patch_size": 8, "overlap": 4}
    with gradients_on_torch(is_trained):
        check(["same", "alone"], tiling, run_at_once, blend=blend)


def sizes_of_chunks(size, chunk_size):
    """Run patches of 8 x 8 and tell how many each call is given."""
    sizes = []
    run_in_chunks(
        run_of(["same"], sizes),
        ops.convert_to_tensor(draw(1, *size, 2)),
        graph_grid(size, 8),
        known_of(["same"]),
        "crop",
        chunk_size=chunk_size,
    )
    return sizes


def test_no_more_patches_are_run_at_once_than_the_chunk_holds():
    assert max(sizes_of_chunks((8, 80), chunk_size=4)) == 4
    grid, sizes = graph_grid((8, 80), 8), []
    padded = ops.convert_to_tensor(draw(1, 8, 80, 2))
    run_at_once(
        run_of(["same"], sizes), padded, grid, known_of(["same"]), "crop"
    )
    assert sizes == [10]


def test_a_chunk_holds_patches_of_several_rows():
    assert max(sizes_of_chunks((48, 40), chunk_size=16)) == 15


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="Only tensorflow's graphs have lengths that they do not know.",
)
def test_a_chunk_holds_several_rows_where_sizes_are_unknown():
    import tensorflow as tf

    def count_patches(patches):
        count = ops.shape(patches)[0]
        return {
            "alone": ops.cast(ops.zeros((count, 2), "int32") + count, "float32")
        }

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, 2))])
    def predict(images):
        grid = graph_grid(ops.shape(images)[1:3], 8)
        rest = grid, known_of(["alone"]), "crop", 16
        return run_in_chunks(count_patches, images, *rest)["alone"]

    for size, most in (((48, 40), 15), ((24, 16), 6), ((8, 160), 10)):
        assert np.max(predict(draw(1, *size, 2))) == most


@pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="Others run loops of one size."
)
def test_no_patch_is_run_twice():
    assert sizes_of_chunks((56, 40), chunk_size=16) == [12, 12, 11]


@pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="Only jax writes rows in place."
)
def test_a_patch_model_is_traced_once_for_all_rows():
    import jax

    grid = graph_grid((64, 64), 8)
    sizes = []

    def run(images):
        rest = grid, known_of(["same"]), "crop", 4
        return run_in_chunks(run_of(["same"], sizes), images, *rest)

    jax.jit(run).lower(ops.zeros((2, 64, 64, 2)))
    assert sizes == [4]


@pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="Only jax tells how much it needs."
)
@pytest.mark.parametrize("blend", ["crop", "mean"])
def test_images_are_written_in_place(blend):
    import jax

    grid = graph_grid((512, 512), 32, overlap=8)
    rest = grid, known_of(["same"]), blend, 4

    def run(images):
        return run_in_chunks(run_of(["same"]), images, *rest)

    images = jax.ShapeDtypeStruct((2, 512, 512, 2), "float32")
    memory = jax.jit(run).lower(images).compile().memory_analysis()
    assert memory.temp_size_in_bytes < memory.output_size_in_bytes / 20


def test_integers_stay_integers():
    grid = graph_grid(SIZE, 8)
    padded = pad_to_grid(ops.cast(draw(1, *SIZE, 2) * 9, "int32"), grid)
    known = known_of(["same"], "int32")
    given = run_in_chunks(run_of(["same"]), padded, grid, known, "crop", 2)
    assert keras.backend.standardize_dtype(given["same"].dtype) == "int32"


def test_as_many_outputs_as_are_known_are_expected():
    grid = graph_grid(SIZE, 8)
    padded = pad_to_grid(ops.convert_to_tensor(draw(1, *SIZE, 2)), grid)
    with pytest.raises(ValueError, match="zip"):
        run_at_once(
            run_of(["same"]), padded, grid, known_of(["same", "half"]), "crop"
        )
