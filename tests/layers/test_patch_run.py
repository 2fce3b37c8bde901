"""A patch model is run on patches, and what it gives is put in its place."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_patching.layers.patch_run import (
    PatchOutputs,
    run_at_once,
    run_row_by_row,
)
from keras_patching.ops.patches import graph_grid, pad_to_grid

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


def run_by_hand(images, grid, function, scale):
    """Run one patch after the other, and write what each one owns."""
    (height, width), (bottom, right) = grid.image_size, grid.padded_size
    padding = ((0, 0), (0, bottom - height), (0, right - width), (0, 0))
    images = np.pad(images, padding)
    h, w = grid.patch_size
    outputs = [
        ops.convert_to_numpy(
            function(ops.convert_to_tensor(images[:, y : y + h, x : x + w]))
        )
        for y, x in grid.origins
    ]
    if scale is None:
        shape = len(images), grid.rows, grid.cols, *outputs[0].shape[1:]
        return np.stack(outputs, axis=1).reshape(shape)
    up, down = scale
    shape = len(images), bottom * up // down, right * up // down, 2
    whole = np.full(shape, np.nan)
    for index, ((y, x), output) in enumerate(
        zip(grid.origins, outputs, strict=True)
    ):
        row, col = divmod(index, grid.cols)
        top = grid.y_axis.border(row) * up // down
        left = grid.x_axis.border(col) * up // down
        y, x = y * up // down, x * up // down
        part = output[:, top - y :, left - x :]
        whole[:, top : y + output.shape[1], left : x + output.shape[2]] = part
    lengths = [(n * up + down - 1) // down for n in (height, width)]
    return whole[:, : lengths[0], : lengths[1]]


def check(names, tiling, way, **kwargs):
    images = draw(2, *SIZE, 2)
    grid = graph_grid(SIZE, **tiling)
    padded = pad_to_grid(ops.convert_to_tensor(images), grid)
    run, known = run_of(names), known_of(names)
    given = way(run, padded, grid, known, "crop", **kwargs)
    assert given.keys() == set(names)
    for name in names:
        expected = run_by_hand(images, grid, *OUTPUTS[name])
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
    check(names, tiling, run_row_by_row, chunk_size=chunk_size)


@pytest.mark.parametrize("tiling", TILINGS)
def test_rows_that_are_all_stitched_are_written_in_place(tiling):
    check(["same", "half", "twice"], tiling, run_row_by_row, chunk_size=2)


@pytest.mark.parametrize("blend", ["mean", "gaussian"])
def test_both_ways_blend_alike(blend):
    grid = graph_grid(SIZE, 8, overlap=4)
    padded = pad_to_grid(ops.convert_to_tensor(draw(2, *SIZE, 2)), grid)
    rest = padded, grid, known_of(["same"]), blend
    np.testing.assert_allclose(
        run_at_once(run_of(["same"]), *rest)["same"],
        run_row_by_row(run_of(["same"]), *rest, chunk_size=2)["same"],
        rtol=1e-5,
    )


def test_no_more_patches_are_run_at_once_than_the_chunk_holds():
    grid = graph_grid((8, 80), 8)
    padded = ops.convert_to_tensor(draw(1, 8, 80, 2))
    sizes = []
    rest = padded, grid, known_of(["same"]), "crop"
    run_row_by_row(run_of(["same"], sizes), *rest, chunk_size=4)
    assert set(sizes) == {4}
    run_at_once(run_of(["same"], sizes), *rest)
    assert sizes[-1] == 10


@pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="Only jax writes rows in place."
)
def test_a_patch_model_is_traced_once_for_all_rows():
    import jax

    grid = graph_grid((64, 64), 8)
    sizes = []

    def run(images):
        rest = grid, known_of(["same"]), "crop", 4
        return run_row_by_row(run_of(["same"], sizes), images, *rest)

    jax.jit(run).lower(ops.zeros((2, 64, 64, 2)))
    assert sizes == [4]


def test_integers_stay_integers():
    grid = graph_grid(SIZE, 8)
    padded = pad_to_grid(ops.cast(draw(1, *SIZE, 2) * 9, "int32"), grid)
    known = known_of(["same"], "int32")
    given = run_row_by_row(run_of(["same"]), padded, grid, known, "crop", 2)
    assert keras.backend.standardize_dtype(given["same"].dtype) == "int32"


def test_as_many_outputs_as_are_known_are_expected():
    grid = graph_grid(SIZE, 8)
    padded = pad_to_grid(ops.convert_to_tensor(draw(1, *SIZE, 2)), grid)
    with pytest.raises(ValueError, match="zip"):
        run_at_once(
            run_of(["same"]), padded, grid, known_of(["same", "half"]), "crop"
        )
