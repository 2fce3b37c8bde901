"""Planned patches hold what a patch alone would, cut and moved."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_patching.data.cache.pieces import whole
from keras_patching.data.patches.patch_augmentation import (
    augment_boxes,
    augment_pixels,
)
from keras_patching.data.patches.planned_patches import (
    cut_planned,
    label_planned,
)
from keras_patching.data.patches.yolo_patch_sampler import (
    PlannedPatch,
    boxes_in_patch,
)

MOVES = (
    None,
    {"turns": 1},
    {"turns": 2},
    {"turns": 3},
    {"flip": "horizontal"},
    {"flip": "vertical"},
    {"brightness": 0.3},
    {"brightness": -0.3},
)
SIZE = (20, 31)


@st.composite
def plans(draw):
    origins = st.tuples(st.integers(0, SIZE[0] - 1), st.integers(0, 30))
    patches = st.builds(
        PlannedPatch, origins, st.just("grid"), st.sampled_from(MOVES)
    )
    return draw(st.lists(patches, max_size=12))


@pytest.mark.parametrize(
    ("dtype", "value_range"),
    [("uint8", (7, 255)), ("uint16", (0, 4095)), ("float32", (-1, 1))],
)
@given(plan=plans(), channels=st.integers(1, 4))
def test_each_patch_is_cut_padded_and_moved(dtype, value_range, plan, channels):
    rng = np.random.default_rng(0)
    shape = (*SIZE, channels)
    image = rng.uniform(*value_range, shape).astype(dtype)
    around = ((0, 9), (0, 9), (0, 0))
    padded = np.pad(image, around, constant_values=value_range[0])
    origins = [patch.origin for patch in plan]
    moves = [patch.augmentation for patch in plan]
    found = cut_planned(image, origins, moves, (9, 9), value_range)
    assert (found.shape, found.dtype) == ((len(plan), 9, 9, channels), dtype)
    for patch, (y, x), move in zip(whole(found), origins, moves, strict=True):
        inside = min(9, SIZE[0] - y), min(9, SIZE[1] - x)
        cut = padded[y : y + 9, x : x + 9]
        expected = augment_pixels(cut, move, value_range, inside)
        np.testing.assert_array_equal(patch, expected)


@given(plan=plans(), count=st.integers(0, 12))
def test_each_patch_has_the_boxes_that_it_would_have_alone(plan, count):
    rng = np.random.default_rng(count)
    low = rng.integers(0, 4 * np.array(SIZE[::-1]) - 4, (count, 2)) / 4
    boxes = np.hstack([low, low + rng.integers(1, 40, (count, 2)) / 4])
    labels = rng.integers(0, 5, count)
    found, classes = label_planned(boxes, labels, plan, (9, 9))
    assert (found.dtype, classes.dtype) == ("float32", "int32")
    assert found.shape == (*classes.shape, 4)
    most = 0
    for row, row_classes, patch in zip(found, classes, plan, strict=True):
        indices, inside = boxes_in_patch(boxes, patch.origin, (9, 9))
        moved = augment_boxes(inside, patch.augmentation, (9, 9))
        most = max(most, len(indices))
        np.testing.assert_array_equal(row[: len(indices)], moved)
        assert row_classes[: len(indices)].tolist() == labels[indices].tolist()
        assert (row[len(indices) :] == -1).all()
        assert (row_classes[len(indices) :] == -1).all()
    assert found.shape[1] == max(most, 1)
