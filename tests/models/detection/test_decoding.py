"""Boxes are those that the numbers of a detector stand for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops

from keras_patching.models.detection.decoding import (
    decode_in_chunks,
    decode_yolo,
)

ANCHORS, GRID, PATCH = ((10, 20), (30, 12)), (3, 4), (48, 80)


def reference(raw):
    """Decode one prediction after the other: boxes, scores, labels."""
    cell_height, cell_width = PATCH[0] / GRID[0], PATCH[1] / GRID[1]
    found = []
    for row, col, anchor in np.ndindex(raw.shape[:3]):
        x, y, w, h, objectness, *classes = raw[row, col, anchor].astype(float)
        x = (col + 1 / (1 + np.exp(-x))) * cell_width
        y = (row + 1 / (1 + np.exp(-y))) * cell_height
        height, width = np.exp([h, w]) * ANCHORS[anchor]
        box = [x - width / 2, y - height / 2, x + width / 2, y + height / 2]
        classes = np.exp(classes) / np.exp(classes).sum()
        score = classes.max() / (1 + np.exp(-objectness))
        inside = np.clip(box, 0, [PATCH[1], PATCH[0]] * 2)
        found.append((inside, score, classes.argmax()))
    return [np.array(each) for each in zip(*found, strict=True)]


def decode(raw):
    found = decode_yolo(ops.convert_to_tensor(raw), ANCHORS, GRID, PATCH)
    return {name: ops.convert_to_numpy(found[name]) for name in found}


@pytest.mark.parametrize("classes", [1, 3])
def test_boxes_scores_and_labels_are_those_of_the_definition(classes):
    shape = (2, *GRID, len(ANCHORS), 5 + classes)
    raw = np.random.default_rng(0).normal(0, 1.5, shape).astype("float32")
    found = decode(raw)
    for index in range(len(raw)):
        boxes, scores, labels = reference(raw[index])
        np.testing.assert_allclose(found["boxes"][index], boxes, atol=1e-3)
        np.testing.assert_allclose(found["scores"][index], scores, rtol=1e-4)
        np.testing.assert_array_equal(found["labels"][index], labels)


@given(st.floats(-1e4, 1e4), st.floats(-1e4, 1e4))
def test_boxes_of_any_numbers_lie_inside_of_the_patch(place, size):
    raw = np.zeros((1, *GRID, len(ANCHORS), 6), "float32")
    raw[..., :2], raw[..., 2:4] = place, size
    boxes = decode(raw)["boxes"]
    assert (boxes >= 0).all()
    assert (boxes <= [PATCH[1], PATCH[0]] * 2).all()
    assert (boxes[..., 2:] >= boxes[..., :2]).all()


def as_boxes(outputs):
    """Decode two numbers per patch into two boxes of these scores."""
    zeros = ops.zeros_like(outputs)
    return {
        "boxes": ops.stack([zeros, zeros, outputs, outputs], axis=-1),
        "scores": outputs,
        "labels": ops.cast(zeros, "int32"),
    }


@pytest.mark.parametrize("count", [1, 15, 16, 17, 40])
def test_chunks_give_what_all_patches_at_once_give(count):
    outputs = np.random.default_rng(0).random((count, 2)).astype("float32")
    given = []

    def decode(outputs):
        given.append(len(outputs["a"]))
        return as_boxes(outputs["a"] * outputs["b"])

    found = decode_in_chunks(decode, {"a": outputs, "b": np.ones_like(outputs)})
    assert len(set(given)) == 1  # or each number would be compiled anew
    np.testing.assert_array_equal(found["scores"], outputs)
    np.testing.assert_array_equal(found["boxes"][..., 2], outputs)
    assert found["labels"].shape == (count, 2)


def test_chunks_of_more_or_fewer_boxes_are_filled_up():
    outputs = np.full((40, 2), 0.5, "float32")
    outputs[0] = 1.0

    def decode(outputs):
        found = as_boxes(outputs)
        if ops.convert_to_numpy(outputs).max() == 1:
            return found
        return {name: values[:, :1] for name, values in found.items()}

    found = decode_in_chunks(decode, outputs)
    assert found["boxes"].shape == (40, 2, 4)
    np.testing.assert_array_equal(found["scores"][0], [1, 1])
    np.testing.assert_array_equal(found["scores"][39], [0.5, -1])
    assert found["labels"][39].tolist() == [0, -1]
