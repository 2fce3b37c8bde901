"""Scores of masks, as metrics that `compile` takes."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_patching._keras_internals import tell_direction
from keras_patching._types import Tensor
from keras_patching.ops.class_ids import without_channel
from keras_patching.ops.sample_weights import as_pixel_weights

_COLUMNS, _MOST_CELLS = 1024, 2**20


class _MaskMetric(keras.metrics.Metric):
    """What metrics of masks share: how predictions and masks are read."""

    def __init__(
        self,
        activation: str,
        ignore_value: int | None,
        name: str,
        dtype: str | type | np.dtype | None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        tell_direction(self, "up")
        self.activation = activation
        self.ignore_value = ignore_value

    def _classes_and_weights(self, y_true, y_pred, sample_weight):
        """Give true class, predicted class and weight of each pixel.

        Three tensors of one shape, int32, int32 and of the metric's dtype.
        """
        truth, found = _as_class_ids(y_true, y_pred, self.activation)
        weights = _weights_of_pixels(sample_weight, truth, self.dtype)
        if self.ignore_value is not None:
            is_labelled = ops.not_equal(truth, self.ignore_value)
            weights = weights * ops.cast(is_labelled, self.dtype)
        return truth, found, weights

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "activation": self.activation,
            "ignore_value": self.ignore_value,
        }


@keras.saving.register_keras_serializable(package="keras_patching")
class PixelAccuracy(_MaskMetric, keras.metrics.Mean):
    """Fraction of the labelled pixels whose class is predicted rightly.

    Args:
        activation: What predictions are: `"softmax"` or `"sigmoid"`
            probabilities, or `"linear"` logits. One channel stands for two
            classes.
        ignore_value: Mask value of pixels that carry no label.
        name, dtype: As for `keras.metrics.Metric`.

    Call arguments:
        y_true: Class ids of shape `(batch, height, width)`, or with a last
            axis of 1.
        y_pred: Shape `(batch, height, width, num_classes)`, or one channel.
        sample_weight: Weights of images, `(batch,)`, or of pixels.

    Example:

    >>> accuracy = keras_patching.metrics.PixelAccuracy(ignore_value=255)
    >>> masks = np.array([[[0, 1, 255]]])
    >>> probabilities = np.array([[[[0.9, 0.1], [0.8, 0.2], [0.5, 0.5]]]])
    >>> accuracy.update_state(masks, probabilities)
    >>> float(accuracy.result())
    0.5
    """

    def __init__(
        self,
        activation: str = "softmax",
        ignore_value: int | None = None,
        name: str = "pixel_accuracy",
        dtype: str | type | np.dtype | None = None,
    ) -> None:
        super().__init__(activation, ignore_value, name, dtype)

    def update_state(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor = None
    ) -> Any:
        truth, found, weights = self._classes_and_weights(
            y_true, y_pred, sample_weight
        )
        hits = ops.cast(ops.equal(truth, found), self.dtype)
        return super().update_state(hits, weights)


@keras.saving.register_keras_serializable(package="keras_patching")
class MeanIoU(_MaskMetric):
    """Intersection over union, averaged over the classes that occur.

    As `keras.metrics.MeanIoU`, which knows no heads of one channel.

    Args:
        num_classes: Number of classes.
        activation: What predictions are: `"softmax"` or `"sigmoid"`
            probabilities, or `"linear"` logits. One channel stands for two
            classes.
        ignore_value: Mask value of pixels that carry no label.
        name, dtype: As for `keras.metrics.Metric`.

    Call arguments:
        y_true: Class ids of shape `(batch, height, width)`, or with a last
            axis of 1.
        y_pred: Shape `(batch, height, width, num_classes)`, or one channel.
        sample_weight: Weights of images, `(batch,)`, or of pixels.

    Example:

    >>> iou = keras_patching.metrics.MeanIoU(num_classes=2, ignore_value=255)
    >>> masks = np.array([[[0, 1, 255]]])
    >>> probabilities = np.array([[[[0.9, 0.1], [0.8, 0.2], [0.5, 0.5]]]])
    >>> iou.update_state(masks, probabilities)
    >>> float(iou.result())
    0.25
    """

    def __init__(
        self,
        num_classes: int,
        activation: str = "softmax",
        ignore_value: int | None = None,
        name: str = "mean_iou",
        dtype: str | type | np.dtype | None = None,
    ) -> None:
        super().__init__(activation, ignore_value, name, dtype)
        self.num_classes = num_classes
        self.confusion = self.add_weight(
            shape=(num_classes, num_classes),
            initializer="zeros",
            name="confusion",
        )

    def update_state(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor = None
    ) -> Any:
        truth, found, weights = self._classes_and_weights(
            y_true, y_pred, sample_weight
        )
        is_class = (truth >= 0) & (truth < self.num_classes)
        pairs = ops.where(is_class, truth * self.num_classes + found, 0)
        # A float32 counts one by one to 2**24 only: columns count apart, and
        # are added up at the end.
        columns = max(1, min(_COLUMNS, _MOST_CELLS // self.num_classes**2))
        column = ops.arange(ops.shape(pairs)[-1]) % columns
        pixels = ops.segment_sum(
            ops.reshape(weights * ops.cast(is_class, self.dtype), (-1,)),
            ops.reshape(pairs * columns + ops.cast(column, "int32"), (-1,)),
            num_segments=self.num_classes**2 * columns,
        )
        pixels = ops.sum(ops.reshape(pixels, (-1, columns)), axis=-1)
        self.confusion.assign_add(ops.reshape(pixels, self.confusion.shape))

    def result(self) -> Tensor:
        shared, size = self._count()
        return _mean_of_classes(shared, size - shared)

    def _count(self):
        """Give pixels per class, shared ones, and predicted plus true ones."""
        confusion = ops.convert_to_tensor(self.confusion)
        size = ops.sum(confusion, axis=0) + ops.sum(confusion, axis=1)
        return ops.diagonal(confusion), size

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_classes": self.num_classes}


@keras.saving.register_keras_serializable(package="keras_patching")
class DiceScore(MeanIoU):
    """Dice score (F1 of pixels), averaged over the classes that occur.

    Of a class it is `2 * shared / (predicted + true)` pixels, over all that
    was seen since the last reset.

    Args:
        num_classes, activation, ignore_value, name, dtype: As for `MeanIoU`.

    Call arguments:
        y_true, y_pred, sample_weight: As for `MeanIoU`.

    Example:

    >>> dice = keras_patching.metrics.DiceScore(num_classes=2)
    >>> masks = np.array([[[0, 1]]])
    >>> probabilities = np.array([[[[0.9, 0.1], [0.2, 0.8]]]])
    >>> dice.update_state(masks, probabilities)
    >>> float(dice.result())
    1.0
    """

    def __init__(
        self,
        num_classes: int,
        activation: str = "softmax",
        ignore_value: int | None = None,
        name: str = "dice_score",
        dtype: str | type | np.dtype | None = None,
    ) -> None:
        super().__init__(num_classes, activation, ignore_value, name, dtype)

    def result(self) -> Tensor:
        shared, size = self._count()
        return _mean_of_classes(2 * shared, size)


def _mean_of_classes(pixels, of_pixels):
    """Average fractions over the classes that occur; 0 where none does."""
    occurs = ops.cast(of_pixels > 0, of_pixels.dtype)
    fractions = ops.divide_no_nan(pixels, of_pixels)
    return ops.divide_no_nan(ops.sum(fractions), ops.sum(occurs))


def _as_class_ids(y_true, y_pred, activation):
    """Give true and predicted class of each pixel, int32, of one shape."""
    y_true = ops.convert_to_tensor(y_true)
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = without_channel(y_true, y_pred)
    if y_pred.shape[-1] == 1:
        threshold = 0.0 if activation == "linear" else 0.5
        found = y_pred[..., 0] > threshold
    else:
        found = ops.argmax(y_pred, axis=-1)
    return ops.cast(y_true, "int32"), ops.cast(found, "int32")


def _weights_of_pixels(sample_weight, masks, dtype):
    """Give a weight to each pixel of masks."""
    if sample_weight is None:
        return ops.ones(ops.shape(masks), dtype)
    weights = as_pixel_weights(sample_weight, len(masks.shape))
    return ops.broadcast_to(ops.cast(weights, dtype), ops.shape(masks))
