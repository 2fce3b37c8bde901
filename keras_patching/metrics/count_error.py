"""How far counts are off, as a metric that `compile` takes."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_patching._keras_internals import tell_direction
from keras_patching._types import Tensor
from keras_patching.ops.sample_weights import as_pixel_weights


@keras.saving.register_keras_serializable(package="keras_patching")
class CountError(keras.metrics.Mean):
    """Mean absolute error of the count, in objects per patch or image.

    The count is the sum of a heatmap.

    Args:
        name, dtype: As for `keras.metrics.Metric`.

    Call arguments:
        y_true: Objects per pixel, of shape `(batch, height, width)`, or with a
            last axis of 1.
        y_pred: The same, of shape `(batch, height, width, 1)`.
        sample_weight: Weights of images, `(batch,)`. With those of pixels,
            `(batch, height, width)`, weighted maps are counted, and images
            whose pixels all have weight 0 are left out.

    Example:

    >>> error = keras_patching.metrics.CountError()
    >>> error.update_state(np.zeros((1, 8, 8)), np.full((1, 8, 8, 1), 0.25))
    >>> float(error.result())
    16.0
    """

    def __init__(
        self,
        name: str = "count_mae",
        dtype: str | type | np.dtype | None = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        tell_direction(self, "down")

    def update_state(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor = None
    ) -> Any:
        true, found = (ops.cast(y, self.dtype) for y in (y_true, y_pred))
        found = ops.reshape(found, ops.shape(true))
        difference = found - true
        axes = tuple(range(1, len(true.shape)))
        if sample_weight is not None:
            sample_weight = ops.cast(sample_weight, self.dtype)
            if len(sample_weight.shape) > 1:
                weights = as_pixel_weights(sample_weight, len(true.shape))
                difference = difference * weights
                sample_weight = ops.any(ops.not_equal(weights, 0), axis=axes)
        error = ops.abs(ops.sum(difference, axis=axes))
        return super().update_state(error, sample_weight)
