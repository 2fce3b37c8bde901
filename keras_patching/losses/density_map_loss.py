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
            `(batch, height, width)`.

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
        return super().__call__(y_true, y_pred, weights)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        y_pred = ops.cast(y_pred, keras.config.floatx())
        y_true = ops.cast(y_true, y_pred.dtype)
        if len(y_true.shape) < len(y_pred.shape):
            y_true = y_true[..., None]
        return ops.mean(ops.square(self.scale * (y_pred - y_true)), axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale}
