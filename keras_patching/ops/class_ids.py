"""Masks of class ids, of either shape that losses and metrics take."""

from keras import ops


def without_channel(y_true, y_pred):
    """Return masks of class ids without an axis of channels.

    Args:
        y_true: Tensor `(batch, height, width)`, or with a last axis of 1.
        y_pred: Tensor `(batch, height, width, channels)`.

    Returns:
        Tensor `(batch, height, width)`.

    Raises:
        ValueError: If masks have several channels, as one-hot ones.
    """
    if len(y_true.shape) < len(y_pred.shape):
        return y_true
    if y_true.shape[-1] != 1:
        raise ValueError(
            "Masks must be class ids of shape (batch, height, width). "
            "`np.argmax(masks, axis=-1)` makes them of one-hot masks. "
            f"Received: masks of shape {tuple(y_true.shape)} for predictions "
            f"of shape {tuple(y_pred.shape)}"
        )
    return ops.squeeze(y_true, axis=-1)
