"""What a mask may be: a class id for each pixel."""

import numpy as np


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
        f"{describe_unlabelled(', and', ignore_value)}. Correct the mask, or "
        "pass the right `num_classes` or `ignore_value`."
    )


def describe_unlabelled(conjunction, ignore_value):
    """Say after class ids what else a mask may hold, for messages."""
    if ignore_value is None:
        return ""
    return f"{conjunction} {ignore_value} for unlabelled pixels"
