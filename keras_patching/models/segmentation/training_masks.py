"""Checks of the masks in memory that `fit` and `evaluate` are given."""

import numpy as np
from keras import ops

from keras_patching.data.labels.masks import describe_unlabelled


def check_training_masks(masks, images, num_classes, ignore_value, model_name):
    """Refuse masks in memory that are not class ids; they train nothing.

    Args:
        masks, images: What `fit` is given. What is no array, such as a
            generator, is not looked at, but for a list of masks.
        num_classes: Number of classes.
        ignore_value: Value of unlabelled pixels, or `None`.
        model_name: For messages.

    Raises:
        ValueError: Tells what was found and expected.
    """
    if isinstance(masks, (list, tuple)):
        raise ValueError(
            f"'{model_name}' takes masks as one array of class ids, of shape "
            "(batch, height, width): stack them with `np.stack`. "
            f"Received: a {type(masks).__name__} of {len(masks)}"
        )
    if not hasattr(masks, "shape"):
        return
    if hasattr(images, "shape"):
        _check_shape(tuple(masks.shape), tuple(images.shape), num_classes)
    masks = ops.convert_to_numpy(masks)
    is_whole = masks.dtype.kind in "ui" and masks.size > 0
    if is_whole and masks.min() >= 0 and masks.max() < num_classes:
        return
    known = {*range(num_classes), ignore_value}
    unknown = [v for v in np.unique(masks).tolist() if v not in known]
    if unknown:
        raise ValueError(
            f"Masks must hold class ids from 0 to {num_classes - 1}"
            f"{describe_unlabelled(', or', ignore_value)}. Divide masks of 0 "
            "and 255 by 255, and round masks of probabilities. Received: "
            f"values {unknown[:10]}"
        )


def _check_shape(masks, images, num_classes):
    if masks in (images[:3], (*images[:3], 1)):
        return
    advice = ""
    if len(masks) == 4 and masks[3] == num_classes:
        advice = " `np.argmax(masks, axis=-1)` makes them of one-hot masks."
    raise ValueError(
        f"Masks must be class ids of shape {images[:3]}, (batch, height, "
        f"width), for images of shape {images}.{advice} Received: masks of "
        f"shape {masks}"
    )
