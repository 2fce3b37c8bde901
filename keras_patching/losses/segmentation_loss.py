"""The loss of semantic segmentation."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_patching._types import Tensor
from keras_patching.ops.class_ids import without_channel
from keras_patching.ops.sample_weights import as_pixel_weights

ACTIVATIONS = ("softmax", "sigmoid", "linear")


@keras.saving.register_keras_serializable(package="keras_patching")
class SegmentationLoss(keras.losses.Loss):
    """Cross-entropy plus Dice between integer masks and predicted classes.

    Cross-entropy is judged per pixel, so that a class of one pixel in a
    hundred hardly weighs; the Dice loss (Milletari et al. 2016,
    https://arxiv.org/abs/1606.04797) is judged per class over the batch, so
    that it weighs as much as any other. Their sum is what nnU-Net uses.

    Args:
        num_classes: Number of classes.
        activation: What predictions are: `"softmax"` or `"sigmoid"`
            probabilities, or `"linear"` logits. One channel stands for two
            classes.
        ignore_value: Mask value of pixels that carry no label.
        class_weights: A weight per class for the cross-entropy; `None` for 1.
        dice_weight: Weight of the Dice loss beside the cross-entropy.
        **kwargs: Arguments of `keras.losses.Loss`.

    Call arguments:
        y_true: Integer masks of shape `(batch, height, width)`, or with a
            last axis of 1.
        y_pred: Shape `(batch, height, width, num_classes)`, or one channel.
        sample_weight: Weights of the cross-entropy and of the Dice loss of
            images, `(batch,)`, or of pixels, `(batch, height, width)`. As
            those of `ignore_value`, pixels of weight 0, and those of images
            of weight 0, are not counted: the loss is what it is without them.
            (Keras's own losses count them as pixels without error.)

    Example:

    >>> loss = keras_patching.losses.SegmentationLoss(2, ignore_value=255)
    >>> masks = np.array([[[0, 1, 255]]])
    >>> probabilities = np.array([[[[1.0, 0.0], [0.5, 0.5], [0.9, 0.1]]]])
    >>> round(float(loss(masks, probabilities)), 3)
    0.613
    """

    def __init__(
        self,
        num_classes: int,
        activation: str = "softmax",
        ignore_value: int | None = None,
        *,
        class_weights: Sequence[float] | None = None,
        dice_weight: float = 1.0,
        name: str = "segmentation_loss",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        if activation not in ACTIVATIONS:
            raise ValueError(
                f"`activation` must be one of {ACTIVATIONS}. "
                f"Received: activation={activation!r}"
            )
        if class_weights is not None and len(class_weights) != num_classes:
            raise ValueError(
                f"`class_weights` needs one weight for each of {num_classes} "
                f"classes. Received: class_weights={class_weights}"
            )
        self.num_classes = num_classes
        self.activation = activation
        self.ignore_value = ignore_value
        self.class_weights = class_weights
        self.dice_weight = dice_weight

    def __call__(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor = None
    ) -> Tensor:
        weights = as_pixel_weights(sample_weight)
        if weights is not None:
            y_true = {"masks": y_true, "weights": weights}
        return super().__call__(y_true, y_pred, weights)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        weights = None
        if isinstance(y_true, dict):
            y_true, weights = y_true["masks"], y_true["weights"]
        y_true = ops.cast(without_channel(y_true, y_pred), "int32")
        log_probabilities = self._log_probabilities(y_pred)
        dtype = log_probabilities.dtype
        is_labelled = self._is_labelled(y_true, weights)
        if is_labelled is None:
            labelled = ops.ones((), dtype)
        else:
            y_true = ops.where(is_labelled, y_true, 0)
            labelled = ops.cast(is_labelled, dtype)[..., None]
        one_hot = ops.one_hot(y_true, self.num_classes, dtype=dtype) * labelled
        loss = self._cross_entropy(one_hot, log_probabilities)
        if self.dice_weight:
            probabilities = ops.exp(log_probabilities) * labelled
            dice = self.dice_weight * _dice(one_hot, probabilities)
            if weights is not None:
                # Weights of 0 are not to make it less.
                labelled = labelled[..., 0]
                share = ops.mean(labelled)
                dice = ops.divide_no_nan(dice * labelled, share)
            loss = loss + dice
        return loss

    def _is_labelled(self, y_true, weights):
        """Tell which pixels count; `None` where all do."""
        known = None
        if weights is not None:
            known = ops.broadcast_to(
                ops.not_equal(weights, 0), ops.shape(y_true)
            )
        if self.ignore_value is not None:
            has_class = ops.not_equal(y_true, self.ignore_value)
            known = has_class if known is None else known & has_class
        return known

    def _cross_entropy(self, one_hot, log_probabilities):
        """Per pixel, scaled so that its mean is over labelled pixels."""
        weights = one_hot
        if self.class_weights is not None:
            weights = weights * ops.cast(self.class_weights, one_hot.dtype)
        size = ops.cast(ops.size(one_hot) / self.num_classes, one_hot.dtype)
        total = ops.maximum(ops.sum(weights), keras.config.epsilon())
        return -ops.sum(weights * log_probabilities, axis=-1) * size / total

    def _log_probabilities(self, y_pred):
        y_pred = ops.cast(y_pred, keras.config.floatx())
        if self.activation == "linear":
            if y_pred.shape[-1] == 1:
                y_pred = ops.concatenate([ops.zeros_like(y_pred), y_pred], -1)
            return ops.log_softmax(y_pred, axis=-1)
        if y_pred.shape[-1] == 1:
            y_pred = ops.concatenate([1 - y_pred, y_pred], axis=-1)
        return ops.log(ops.clip(y_pred, keras.config.epsilon(), 1.0))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "activation": self.activation,
            "ignore_value": self.ignore_value,
            "class_weights": self.class_weights,
            "dice_weight": self.dice_weight,
        }


def _dice(one_hot, probabilities):
    """Dice loss, averaged over the classes that occur in the batch."""
    losses = keras.losses.dice(one_hot, probabilities, axis=(0, 1, 2))
    occurs = ops.cast(ops.any(one_hot > 0, axis=(0, 1, 2)), losses.dtype)
    return ops.sum(losses * occurs) / ops.maximum(ops.sum(occurs), 1)
