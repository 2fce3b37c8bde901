"""The loss is that of its definition, however the highest IoU is found."""

import numpy as np
import pytest
from checks import check_loss
from keras import ops

from keras_patching.losses.yolo_loss import YoloLoss
from keras_patching.ops.compiling import compiled_on_jax
from keras_patching.ops.yolo import (
    assign_each,
    decode_boxes,
    highest_iou,
    in_cells,
)

PATCH, GRID, ANCHORS = (48, 64), (3, 4), ((10, 20), (30, 12), (25, 25))

SHAPES = "anchors", "grid_size", "patch_size"
assign_each = compiled_on_jax(*SHAPES)(assign_each)
decode_boxes = compiled_on_jax("anchors", "patch_size")(decode_boxes)


def reference_iou(a, b):
    low = np.maximum(a[:2] - a[2:4] / 2, b[:2] - b[2:4] / 2)
    high = np.minimum(a[:2] + a[2:4] / 2, b[:2] + b[2:4] / 2)
    shared = np.maximum(high - low, 0).prod()
    return shared / (a[2:4].prod() + b[2:4].prod() - shared)


def softplus(x):
    return np.logaddexp(0, x)


def reference_loss(
    targets, predictions, box=1, object_=5, empty=1, class_=1, threshold=0.6
):
    """Compare every prediction of a patch with every true box."""
    targets, predictions = (
        each.reshape(-1, each.shape[-1]).astype("float64")
        for each in (targets, predictions)
    )
    true = targets[targets[:, 4] > 0]
    total = 0.0
    for slot, found in zip(targets, predictions, strict=True):
        if slot[4] > 0:
            total += box * ((found[:2] - slot[:2]) ** 2).sum()
            total += box * (np.log(found[2:4] / slot[2:4]) ** 2).sum()
            reached = reference_iou(found, slot)
            total += object_ * (softplus(found[4]) - reached * found[4])
            logits = found[5:]
            likelihood = logits[int(slot[5])] - np.logaddexp.reduce(logits)
            total -= class_ * likelihood
        elif all(reference_iou(found, other) <= threshold for other in true):
            total += empty * softplus(found[4])
    return total


def draw(seed, padded, count=12):
    """Draw objects with padding, and predictions, some of them near truth."""
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 0.8, (4, count, 2)) * PATCH[::-1]
    size = rng.uniform(2, 25, (4, count, 2))
    boxes = np.concatenate([low, np.minimum(low + size, PATCH[::-1])], axis=-1)
    labels = rng.integers(0, 3, (4, count))
    padding = rng.random((4, count)) < padded
    boxes[padding], labels[padding] = -1, -1
    raw = rng.normal(0, 1, (4, *GRID, 3, 8)).astype("float32")
    decoded = decode_boxes(ops.convert_to_tensor(raw), ANCHORS, PATCH)
    decoded = np.array(ops.convert_to_numpy(decoded))
    targets, is_assigned = assign_each(boxes, labels, ANCHORS, GRID, PATCH)
    true = ops.convert_to_numpy(targets)
    near = np.roll(true[..., :4], 1, axis=2) * rng.uniform(0.9, 1.1)
    is_near = np.roll(true[..., 4], 1, axis=2) > 0
    decoded[is_near, :4] = near[is_near]
    return boxes, true, ops.convert_to_numpy(is_assigned), decoded


def test_it_is_a_loss_as_all_others_of_keras(tmp_path):
    _, targets, _, decoded = draw(0, 0.3)
    options = {
        "box_weight": 2.0,
        "object_weight": 3.0,
        "empty_weight": 0.5,
        "classification_weight": 0.7,
        "ignore_threshold": 0.4,
        "name": "other",
    }
    check_loss(YoloLoss, options, targets, decoded, tmp_path)


@pytest.mark.parametrize(("seed", "padded"), [(0, 0), (1, 0.3), (2, 0.9)])
def test_the_loss_is_that_of_comparing_every_pair(seed, padded):
    boxes, targets, is_assigned, decoded = draw(seed, padded)
    expected = [
        reference_loss(*one) for one in zip(targets, decoded, strict=True)
    ]
    loss = compiled_on_jax()(YoloLoss(reduction=None).call)
    found = ops.convert_to_numpy(loss(targets, decoded))
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    nearest = highest_iou(
        ops.reshape(decoded[..., :4], (4, -1, 4)),
        in_cells(boxes, GRID, PATCH),
        is_assigned,
    )
    nearest = ops.convert_to_numpy(nearest).reshape(*targets.shape[:4], 1)
    targets = np.concatenate([targets, nearest], axis=-1)
    found = ops.convert_to_numpy(loss(targets, decoded))
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_each_weight_is_that_of_its_part():
    _, targets, _, decoded = draw(3, 0.3)
    weights = 2.0, 3.0, 0.5, 0.7
    loss = compiled_on_jax()(YoloLoss(*weights, ignore_threshold=0.3).call)
    expected = [
        reference_loss(*one, *weights, threshold=0.3)
        for one in zip(targets, decoded, strict=True)
    ]
    found = ops.convert_to_numpy(loss(targets, decoded))
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_perfect_predictions_cost_next_to_nothing():
    _, targets, _, decoded = draw(0, 0.3)
    perfect = np.ones_like(decoded)
    is_object = targets[..., 4] > 0
    perfect[is_object, :4] = targets[is_object, :4]
    perfect[..., 4] = np.where(is_object, 20, -20)
    perfect[..., 5:] = 20 * np.eye(3)[targets[..., 5].astype(int)]
    loss = compiled_on_jax()(YoloLoss().call)
    assert ops.convert_to_numpy(loss(targets, perfect)).max() < 1e-3
    assert ops.convert_to_numpy(loss(targets, decoded)).min() > 10


def test_the_highest_iou_with_nothing_is_0():
    boxes = ops.convert_to_tensor(np.full((1, 2, 4), 0.5, "float32"))
    nothing = np.zeros((1, 3), "float32")
    found = highest_iou(boxes, -np.ones((1, 3, 4), "float32"), nothing)
    np.testing.assert_array_equal(ops.convert_to_numpy(found), [[0, 0]])
