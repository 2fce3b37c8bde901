"""Classes of pixels, decided where the predictions are."""

import dataclasses

from keras import ops

from keras_patching.models.prediction_checks import PROBABILITY_ROUNDING


@dataclasses.dataclass(frozen=True)
class ClassIds:
    """Decides which class a pixel is of, as `decode_predictions` does.

    A pixel whose predictions are no numbers, or no probabilities where they
    should be, gets the class `num_classes`, which `check` refuses.

    Args:
        num_classes: Number of classes.
        activation: What the patch model ends in.
    """

    num_classes: int
    activation: str

    @property
    def dtype(self):
        """The dtype of class ids: uint8, int32 of more than 255 classes."""
        return "uint8" if self.num_classes < 256 else "int32"

    def __call__(self, predictions):
        """Return the class ids `(batch, height, width)`, of `dtype`.

        Args:
            predictions: Tensor `(batch, height, width, classes)`.
        """
        if predictions.shape[-1] == 1:
            threshold = 0.5 if self.activation == "sigmoid" else 0.0
            classes = predictions[..., 0] > threshold
        else:
            classes = ops.argmax(predictions, axis=-1)
        is_right = ops.all(self._is_right(predictions), axis=-1)
        return ops.where(
            is_right,
            ops.cast(classes, self.dtype),
            ops.cast(self.num_classes, self.dtype),
        )

    def _is_right(self, predictions):
        if self.activation == "linear":
            return ops.isfinite(predictions)
        above = predictions >= -PROBABILITY_ROUNDING
        return above & (predictions <= 1 + PROBABILITY_ROUNDING)

    def check(self, band):
        """Refuse pixels that are of no class.

        Args:
            band: Array of class ids.

        Raises:
            ValueError: If there are any.
        """
        if band.size and band.max() == self.num_classes:
            count = int((band == self.num_classes).sum())
            expected = "finite numbers"
            if self.activation != "linear":
                expected = f"probabilities, as of a {self.activation}"
            raise ValueError(
                f"Predictions must be {expected}. Look at what `predict` gives "
                "for this image: a training that did not go well makes NaN, "
                "and the `activation` of the model may not be that of its net. "
                f"Received: {count} pixels that are not"
            )
