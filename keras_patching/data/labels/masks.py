"""What a mask may be: a class id for each pixel."""

import numpy as np
from keras import ops


def as_class_ids(mask, name, num_classes, ignore_value):
    """Check the values of a mask, and make 1 of 255 in a binary one.

    Args:
        mask: Array of numbers.
        name: The path of its file, or what else it is called in messages.
        num_classes: Number of classes.
        ignore_value: Value of unlabelled pixels, or `None`.

    Returns:
        Array of the same shape.

    Raises:
        ValueError: If there are other values; tells which.
    """
    valid = (mask >= 0) & (mask < num_classes)
    if ignore_value is not None:
        valid |= mask == ignore_value
    if valid.all():
        return mask
    if num_classes == 2 and ignore_value != 255:
        white = mask == 255
        ones = (mask == 1) & (ignore_value != 1)
        if (valid | white).all() and not ones.any():
            return np.where(white, 1, mask)
    raise ValueError(_describe_values(mask, name, num_classes, ignore_value))


def count_pixels(masks, num_classes):
    """Count the pixels of each class in each patch, padding included.

    Args:
        masks: Class ids `(patches, height, width)`.
        num_classes: Number of classes; other ids are not counted.

    Returns:
        Dict of `pixels`: a list per patch of a number per class.
    """
    return {
        "pixels": [
            np.bincount(mask.ravel(), minlength=num_classes)[
                :num_classes
            ].tolist()
            for mask in np.asarray(masks)
        ]
    }


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
            f"{_describe_unlabelled(', or', ignore_value)}. Divide masks of 0 "
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


def _describe_values(mask, name, num_classes, ignore_value):
    values = np.unique(mask).tolist()
    found = ", ".join(map(str, values[:10])) + ", ..." * (len(values) > 10)
    expected = (
        "0 and 1, or 0 and 255"
        if num_classes == 2
        else f"class ids from 0 to {num_classes - 1}"
    )
    return (
        f"{name}: found the values {found} in the mask, expected {expected}"
        f"{_describe_unlabelled(', and', ignore_value)}. Correct the mask, or "
        "pass the right `num_classes` or `ignore_value`."
    )


def _describe_unlabelled(conjunction, ignore_value):
    if ignore_value is None:
        return ""
    return f"{conjunction} {ignore_value} for unlabelled pixels"
