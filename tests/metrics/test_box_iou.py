"""Boxes predicted for objects are compared with these, and with no other."""

import numpy as np
import pytest
from checks import check_metric

from keras_patching.metrics import BoxIoU

# Two patches of one cell with two anchors; a box fills the cell, or half.
FULL, HALF = [0.5, 0.5, 1, 1], [0.25, 0.5, 0.5, 1]
EMPTY = [0, 0, 0, 0]
IS_OBJECT = [[1, 0], [1, 0]]


def targets():
    boxes = np.array([[FULL, EMPTY], [HALF, EMPTY]], "float32")
    is_object = np.array(IS_OBJECT, "float32")[..., None]
    label = np.zeros_like(is_object)
    values = np.concatenate([boxes, is_object, label], -1)
    return values[:, None, None]


def predictions():
    boxes = np.array([[HALF, FULL], [HALF, FULL]], "float32")
    scores = np.zeros((2, 2, 3), "float32")
    return np.concatenate([boxes, scores], -1)[:, None, None]


@pytest.mark.parametrize(
    ("weights", "expected"), [(None, 0.75), ([1, 0], 0.5), ([1, 3], 0.875)]
)
def test_only_slots_with_objects_count(weights, expected):
    iou = BoxIoU()
    iou.update_state(targets(), predictions(), weights)
    assert float(iou.result()) == pytest.approx(expected)


def test_without_objects_it_is_0():
    iou = BoxIoU()
    iou.update_state(np.zeros_like(targets()), predictions())
    assert float(iou.result()) == 0


def test_it_is_a_metric_as_keras_has_them(tmp_path):
    arguments = {"name": "iou", "dtype": "float32"}
    check_metric(BoxIoU, arguments, targets(), predictions(), tmp_path)
