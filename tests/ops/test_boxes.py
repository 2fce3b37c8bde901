"""Suppression agrees with a numpy reference, on every backend."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_patching.ops.boxes import non_max_suppression_padded as suppress


def reference_iou(box, boxes):
    top_left = np.maximum(box[:2], boxes[:, :2])
    bottom_right = np.minimum(box[2:], boxes[:, 2:])
    shared = np.maximum(bottom_right - top_left, 0).prod(axis=1)
    area, areas = ((b[..., 2:] - b[..., :2]).prod(-1) for b in (box, boxes))
    return shared / np.maximum(area + areas - shared, 1e-7)


def reference_suppress(boxes, scores, labels, iou_threshold, max_boxes):
    """Return the kept indices of one set of boxes."""
    waiting = [i for i in np.argsort(-scores, kind="stable") if scores[i] >= 0]
    kept = []
    while waiting and len(kept) < max_boxes:
        best = waiting.pop(0)
        kept.append(best)
        iou = reference_iou(boxes[best], boxes[waiting])
        other = labels[waiting] != labels[best]
        waiting = np.array(waiting, int)[other | (iou <= iou_threshold)]
        waiting = waiting.tolist()
    return kept


def draw(rng, *shape, num_classes=2, size=20):
    """Draw boxes on whole pixels, with ties of scores and some padding."""
    corners = rng.integers(0, 30, (*shape, 2))
    boxes = np.concatenate(
        [corners, corners + rng.integers(0, size, (*shape, 2))], axis=-1
    )
    scores = rng.integers(0, 10, shape) / 10
    padding = rng.random(shape) < 0.2
    scores[padding], boxes[padding] = -1, -1
    labels = np.where(padding, -1, rng.integers(0, num_classes, shape))
    return (
        boxes.astype("float32"),
        scores.astype("float32"),
        labels.astype("int32"),
    )


def as_numpy(kept):
    return {name: ops.convert_to_numpy(kept[name]) for name in kept}


def assert_kept(found, boxes, scores, labels, expected):
    """Compare one padded set with the boxes that it should hold."""
    n = len(expected)
    np.testing.assert_array_equal(found["boxes"][:n], boxes[expected])
    np.testing.assert_array_equal(found["scores"][:n], scores[expected])
    np.testing.assert_array_equal(found["labels"][:n], labels[expected])
    for values in found.values():
        assert (values[n:] == -1).all()


@pytest.mark.parametrize(
    ("iou_threshold", "max_boxes"),
    [(0.0, 25), (0.3, 3), (0.3, 25), (0.51, 25), (1.0, 40)],
)
def test_the_same_boxes_are_kept_as_one_by_one(iou_threshold, max_boxes):
    drawn = draw(np.random.default_rng(0), 20, 25)
    tensors = map(ops.convert_to_tensor, drawn)
    found = as_numpy(suppress(*tensors, iou_threshold, max_boxes))
    assert found["boxes"].shape == (20, max_boxes, 4)
    assert found["labels"].dtype == "int32"
    for i in range(20):
        one = [values[i] for values in drawn]
        expected = reference_suppress(*one, iou_threshold, max_boxes)
        assert_kept({k: v[i] for k, v in found.items()}, *one, expected)


def test_leading_axes_are_sets_of_their_own():
    boxes, scores, labels = draw(np.random.default_rng(0), 2, 3, 4, 9)
    every = as_numpy(suppress(boxes, scores, labels, 0.4, 6))
    assert every["scores"].shape == (2, 3, 4, 6)
    one = as_numpy(
        suppress(boxes[1, 2, 3], scores[1, 2, 3], labels[1, 2, 3], 0.4, 6)
    )
    for name, values in one.items():
        np.testing.assert_array_equal(every[name][1, 2, 3], values)


def test_nothing_is_kept_of_padding_and_of_scores_that_are_no_number():
    boxes = np.tile(np.array([0, 0, 5, 5], "float32"), (1, 3, 1))
    scores = np.array([[-1, np.nan, -1]], "float32")
    found = suppress(boxes, scores, np.zeros((1, 3), "int32"), 0.5, 2)
    for values in as_numpy(found).values():
        assert (values == -1).all()


class Suppression(keras.layers.Layer):
    def call(self, inputs):
        boxes, scores, labels = inputs
        return suppress(boxes, scores, labels, iou_threshold=0.5, max_boxes=7)

    def compute_output_spec(self, inputs):
        batch = inputs[0].shape[0]
        return {
            "boxes": keras.KerasTensor((batch, 7, 4)),
            "scores": keras.KerasTensor((batch, 7)),
            "labels": keras.KerasTensor((batch, 7), "int32"),
        }


def test_it_runs_in_predict_with_batches_of_any_length():
    inputs = (
        keras.Input((12, 4)),
        keras.Input((12,)),
        keras.Input((12,), dtype="int32"),
    )
    model = keras.Model(inputs, Suppression()(inputs))
    drawn = draw(np.random.default_rng(1), 5, 12)
    found = model.predict(list(drawn), batch_size=2, verbose=0)
    expected = as_numpy(suppress(*drawn, 0.5, 7))
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_narrow_floats_stay_what_they_are(dtype):
    boxes, scores, labels = draw(np.random.default_rng(2), 3, 12)
    boxes, scores = (ops.cast(values, dtype) for values in (boxes, scores))
    found = suppress(boxes, scores, ops.convert_to_tensor(labels), 0.5, 7)
    assert keras.backend.standardize_dtype(found["boxes"].dtype) == dtype
    assert keras.backend.standardize_dtype(found["scores"].dtype) == dtype
