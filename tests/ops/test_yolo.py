"""Targets of a YOLO detector, against a plain reference."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from keras_patching.ops.compiling import compiled_on_jax
from keras_patching.ops.yolo import (
    assign,
    decode_boxes,
    highest_iou,
    to_xyxy,
)

PATCH = (48, 64)
ANCHORS = ((10, 20), (30, 12), (25, 25))
GRID = (3, 4)

assign = compiled_on_jax("anchors", "grid_size", "patch_size")(assign)
decode_boxes = compiled_on_jax("anchors", "patch_size")(decode_boxes)


def random_boxes(rng, count):
    low = rng.uniform(0, 0.7, (count, 2)) * PATCH[::-1]
    high = low + rng.uniform(2, 20, (count, 2))
    return np.concatenate([low, np.minimum(high, PATCH[::-1])], axis=1)


def iou_of_shapes(box, anchor):
    width, height = box[2] - box[0], box[3] - box[1]
    shared = min(height, anchor[0]) * min(width, anchor[1])
    return shared / (width * height + anchor[0] * anchor[1] - shared)


def assigned(targets):
    """Each object as (row, col, anchor) -> rounded box and label."""
    found = {}
    for slot in np.argwhere(targets[..., 4] > 0):
        found[tuple(slot)] = targets[tuple(slot)]
    return found


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.integers(0, 12))
def test_every_object_gets_an_anchor_of_its_cell_as_long_as_there_are(
    seed, count
):
    rng = np.random.default_rng(seed)
    boxes = np.full((2, 12, 4), -1.0)
    labels = np.full((2, 12), -1)
    boxes[0, :count] = random_boxes(rng, count)
    labels[0, :count] = rng.integers(0, 5, count)
    targets, unassigned = (
        ops.convert_to_numpy(each)
        for each in assign(boxes, labels, ANCHORS, GRID, PATCH)
    )
    assert targets.shape == (2, *GRID, 3, 6)
    corners = ops.convert_to_numpy(to_xyxy(targets[..., :4], GRID, PATCH))
    centers = (boxes[0, :count, 2:] + boxes[0, :count, :2]) / 2
    cells = (centers // (16, 16)).astype(int)[:, ::-1]
    per_cell = {}
    for index, cell in enumerate(cells.tolist()):
        per_cell.setdefault(tuple(cell), []).append(index)
    for cell, indices in per_cell.items():
        slots = targets[0][cell]
        assert slots[:, 4].sum() == min(len(indices), len(ANCHORS))
        best = max(
            iou_of_shapes(boxes[0, index], anchor)
            for index in indices
            for anchor in ANCHORS
        )
        kept = corners[0][cell][slots[:, 4] > 0]
        truth = boxes[0, indices]
        distance = np.abs(kept[:, None] - truth).max(axis=-1)
        assert (distance.min(axis=1) < 1e-3).all()  # boxes of this cell
        reached = [
            iou_of_shapes(box, anchor)
            for box, anchor in zip(corners[0][cell], ANCHORS, strict=True)
            if box[2] > box[0]
        ]
        assert max(reached) >= best - 1e-4  # who fits best has what it wants
    lost = sum(max(0, len(each) - 3) for each in per_cell.values())
    np.testing.assert_array_equal(unassigned, [lost, 0])


def test_a_prediction_of_the_targets_decodes_to_the_boxes():
    boxes = np.array([[[5.0, 4, 25, 17], [30, 20, 50, 40]]])
    targets, _ = assign(boxes, np.array([[0, 0]]), ANCHORS, GRID, PATCH)
    targets = ops.convert_to_numpy(targets)
    raw = np.full((1, *GRID, 3, 6), -9.0, "float32")
    for slot, (x, y, w, h, *_) in assigned(targets).items():
        anchor = np.array(ANCHORS[slot[3]][::-1]) / 16
        offset = np.array([x, y]) - (slot[2], slot[1])
        raw[slot][:2] = np.log(offset / (1 - offset))
        raw[slot][2:4] = np.log([w, h] / anchor)
        raw[slot][4:] = 9
    decoded = decode_boxes(ops.convert_to_tensor(raw), ANCHORS, PATCH)
    found = ops.convert_to_numpy(to_xyxy(decoded[..., :4], GRID, PATCH))
    is_object = targets[..., 4] > 0
    np.testing.assert_allclose(found[is_object], boxes[0], rtol=1e-4, atol=1e-3)


def test_without_any_box_the_highest_iou_is_0():
    found = highest_iou(
        np.ones((2, 3, 4)), np.zeros((2, 0, 4)), np.zeros((2, 0))
    )
    np.testing.assert_array_equal(ops.convert_to_numpy(found), np.zeros((2, 3)))
