"""Weights of images as weights of their pixels."""

from keras import ops


def as_pixel_weights(sample_weight, rank=3):
    """Give weights of images the axes of pixels, so that they broadcast.

    Keras would line weights `(batch,)` up with the last axis, the width.

    Args:
        sample_weight: Weights of images, `(batch,)`, or of pixels,
            `(batch, height, width)`, or with a last axis of 1; or `None`.
        rank: That of the masks that are weighed.

    Returns:
        Tensor of that rank; `None` for `None`.
    """
    if sample_weight is None:
        return None
    weights = ops.convert_to_tensor(sample_weight)
    if len(weights.shape) > rank:
        return ops.squeeze(weights, axis=-1)
    missing = rank - len(weights.shape)
    return ops.reshape(weights, (*ops.shape(weights), *[1] * missing))
