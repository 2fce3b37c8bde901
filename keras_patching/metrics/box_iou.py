"""How well a detector places boxes, as a metric that `compile` takes."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_patching._keras_internals import tell_direction
from keras_patching._types import Tensor
from keras_patching.ops.boxes import as_corners, iou


@keras.saving.register_keras_serializable(package="keras_patching")
class BoxIoU(keras.metrics.Mean):
    """Intersection over union of objects with the boxes predicted for them.

    Each object has one prediction of its own, of an anchor in the cell that
    holds its center; it counts whatever its score is. So this tells of places
    and sizes, and `average_precision` on whole images of all else.

    Args:
        name, dtype: As for `keras.metrics.Metric`.

    Call arguments:
        y_true: `(batch, rows, cols, anchors, 6)`: center x, center y, width
            and height in cells of the grid, 1 where there is an object, and
            its class; what `ObjectDetectionModel` makes of the boxes.
        y_pred: `(batch, rows, cols, anchors, 5 + classes)`, whose first four
            values are those of the predicted box.
        sample_weight: Weights of patches, `(batch,)`.

    Example:

    >>> iou = keras_patching.metrics.BoxIoU()
    >>> true = np.reshape([0.5, 0.5, 1, 1, 1, 0], (1, 1, 1, 1, 6))
    >>> predicted = np.reshape([0.5, 0.5, 1, 2, 0, 0], (1, 1, 1, 1, 6))
    >>> iou.update_state(true, predicted)
    >>> float(iou.result())
    0.5
    """

    def __init__(
        self, name: str = "box_iou", dtype: str | type | np.dtype | None = None
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        tell_direction(self, "up")

    def update_state(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor = None
    ) -> Any:
        y_true = ops.cast(y_true, self.dtype)
        y_pred = ops.cast(y_pred, self.dtype)
        found = iou(as_corners(y_pred), as_corners(y_true))
        weights = y_true[..., 4]
        if sample_weight is not None:
            of_patch = ops.cast(sample_weight, self.dtype)
            weights = weights * ops.reshape(of_patch, (-1, 1, 1, 1))
        return super().update_state(found, weights)
