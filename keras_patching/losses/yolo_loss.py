"""The loss of object detection."""

from typing import Any

import keras
from keras import ops

from keras_patching._types import Tensor
from keras_patching.ops.boxes import as_corners, iou
from keras_patching.ops.yolo import highest_iou


@keras.saving.register_keras_serializable(package="keras_patching")
class YoloLoss(keras.losses.Loss):
    """Errors of places, sizes, objectness and classes of boxes, per patch.

    The loss of YOLOv2 (Redmon and Farhadi 2017,
    https://arxiv.org/abs/1612.08242): an object's prediction should have its
    center and the logarithm of its size, by squared error; an objectness of
    the IoU that it has reached, and the class; all others an objectness of 0,
    except those whose IoU with an object is above `ignore_threshold`.
    Objectness and classes are compared by cross-entropy, as in YOLOv3 (Redmon
    and Farhadi 2018, https://arxiv.org/abs/1804.02767): a squared error has no
    slope left where a first step has gone too far.

    Args:
        box_weight: Weight of centers and sizes.
        object_weight: Weight of the objectness where there is an object.
        empty_weight: Weight of the objectness where there is none.
        classification_weight: Weight of the classes.
        ignore_threshold: Intersection over union from which on a prediction
            without an object of its own is not punished.
        **kwargs: Arguments of `keras.losses.Loss`.

    Call arguments:
        y_true: `(batch, rows, cols, anchors, 6)`: center x, center y, width
            and height in cells of the grid, 1 where there is an object (else
            all is 0), and its class. Or with a seventh value, the highest
            IoU of each prediction with a true box, which is else found among
            all predictions and all slots.
        y_pred: `(batch, rows, cols, anchors, 5 + classes)`: center x, center
            y, width and height in cells; logits of objectness and classes.

    Example:

    >>> loss = keras_patching.losses.YoloLoss(empty_weight=1.0)
    >>> nothing = np.zeros((1, 2, 2, 1, 6))
    >>> predictions = np.ones((1, 2, 2, 1, 7)) * [0.5, 0.5, 1, 1, 0, 0, 0]
    >>> round(float(loss(nothing, predictions)), 3)  # 4 * log(2)
    2.773
    """

    def __init__(
        self,
        box_weight: float = 1.0,
        object_weight: float = 5.0,
        empty_weight: float = 1.0,
        classification_weight: float = 1.0,
        ignore_threshold: float = 0.6,
        *,
        name: str = "yolo_loss",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        self.box_weight = box_weight
        self.object_weight = object_weight
        self.empty_weight = empty_weight
        self.classification_weight = classification_weight
        self.ignore_threshold = ignore_threshold

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        channels = y_pred.shape[-1]
        slots = y_pred.shape[1] * y_pred.shape[2] * y_pred.shape[3]
        slots_per_row = slots // y_pred.shape[1]
        y_true = ops.cast(y_true, "float32")
        y_true = ops.reshape(y_true, (-1, slots, y_true.shape[-1]))
        y_pred = ops.cast(y_pred, "float32")
        y_pred = ops.reshape(y_pred, (-1, slots, channels))
        is_object = y_true[..., 4]
        boxes = ops.stop_gradient(y_pred[..., :4])
        reached = is_object * iou(as_corners(boxes), as_corners(y_true))
        if y_true.shape[-1] > 6:
            nearest = y_true[..., 6]
        else:
            nearest = _nearest(boxes, y_true, slots_per_row)
        logit = y_pred[..., 4]
        punished = ops.cast(nearest <= self.ignore_threshold, "float32")
        is_empty = (1 - is_object) * punished
        per_slot = (
            self.box_weight * is_object * _box_error(y_true, y_pred)
            + self.object_weight * is_object * _cross_entropy(reached, logit)
            + self.empty_weight * is_empty * _cross_entropy(0.0, logit)
            + self.classification_weight
            * is_object
            * _class_error(y_true, y_pred)
        )
        return ops.sum(per_slot, axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "box_weight": self.box_weight,
            "object_weight": self.object_weight,
            "empty_weight": self.empty_weight,
            "classification_weight": self.classification_weight,
            "ignore_threshold": self.ignore_threshold,
        }


def _box_error(y_true, y_pred):
    # Empty slots have a size of 0, and are not weighed.
    true_size = ops.where(y_true[..., 2:4] > 0, y_true[..., 2:4], 1.0)
    center = (y_pred[..., :2] - y_true[..., :2]) ** 2
    size = (ops.log(y_pred[..., 2:4]) - ops.log(true_size)) ** 2
    return ops.sum(center + size, axis=-1)


def _cross_entropy(target, logits):
    """Binary cross-entropy with a target from 0 to 1."""
    return ops.softplus(logits) - target * logits


def _class_error(y_true, y_pred):
    logits = y_pred[..., 5:]
    # Clipped, since backends that look for shapes pass ones as labels.
    label = ops.clip(y_true[..., 5], 0, logits.shape[-1] - 1)
    label = ops.cast(label, "int32")
    is_label = ops.one_hot(label, logits.shape[-1], dtype="float32")
    return -ops.sum(is_label * ops.log_softmax(logits, axis=-1), axis=-1)


def _nearest(boxes, y_true, step):
    """Give the highest IoU with all slots, so many of them at a time."""
    nearest = 0.0
    for start in range(0, boxes.shape[1], step):
        true = y_true[:, start : start + step]
        found = highest_iou(boxes, true[..., :4], true[..., 4])
        nearest = ops.maximum(nearest, found)
    return nearest
