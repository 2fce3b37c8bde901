"""The loss of heatmap object counting."""

from typing import Any

import keras
from keras import ops

from keras_patching._types import Tensor
from keras_patching.ops.sample_weights import as_pixel_weights


@keras.saving.register_keras_serializable(package="keras_patching")
class DensityMapLoss(keras.losses.Loss):
    """Mean squared error between density maps, scaled up.

    Objects per pixel are small numbers (a Gaussian of sigma 4 has its peak at
    0.01), whose squares are lost beside rounding and an optimizer's epsilon.
    Both maps are multiplied by `scale` first; they stay in objects outside.

    Args:
        scale: What both maps are multiplied by.
        **kwargs: Arguments of `keras.losses.Loss`.

    Call arguments:
        y_true: Objects per pixel, of shape `(batch, height, width)`, or with a
            last axis of 1.
        y_pred: The same, of shape `(batch, height, width, 1)`.
        sample_weight: Weights of images, `(batch,)`, or of pixels,
            `(batch, height, width)`. A mean is over the pixels whose weight is
            not 0: padding, or an image, of weight 0 is as if it were not
            there. (Keras's own losses count them as pixels without error.)

    Example:

    >>> loss = keras_patching.losses.DensityMapLoss(scale=1000.0)
    >>> heatmaps = np.zeros((1, 8, 8))
    >>> predicted = np.full((1, 8, 8, 1), 0.002)
    >>> round(float(loss(heatmaps, predicted)), 3)
    4.0
    """

    def __init__(
        self,
        scale: float = 1000.0,
        *,
        name: str = "density_map_loss",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        self.scale = float(scale)

    def __call__(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor = None
    ) -> Tensor:
        weights = as_pixel_weights(sample_weight)
        if weights is not None:
            weights = self._of_counted_pixels(weights)
        return super().__call__(y_true, y_pred, weights)

    def _of_counted_pixels(self, weights):
        """Scale weights where Keras takes the mean over all pixels."""
        weights = ops.cast(weights, keras.config.floatx())
        if self.reduction not in ("sum_over_batch_size", "mean"):
            return weights
        is_counted = ops.cast(ops.not_equal(weights, 0), weights.dtype)
        return ops.divide_no_nan(weights, ops.mean(is_counted))

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        y_pred = ops.cast(y_pred, keras.config.floatx())
        y_true = ops.cast(y_true, y_pred.dtype)
        if len(y_true.shape) < len(y_pred.shape):
            y_true = y_true[..., None]
        return ops.mean(ops.square(self.scale * (y_pred - y_true)), axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale}
