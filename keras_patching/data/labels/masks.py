"""What a mask may be: a class for each pixel, as an id or as a colour."""

import numpy as np

from keras_patching.data.images.image_io import decode_stored
from keras_patching.data.images.label_images import mask_of
from keras_patching.data.images.png_format import png_palette
from keras_patching.data.labels.mask_colors import (
    check_palette,
    classes_of_colors,
    shows_white,
)

_FEW_CLASSES = 16


def decode_classes(data, path, classes):
    """Decode the bytes of a mask file to classes.

    RGB is read by the colours of the classes, where they are known; anything
    else as ids, as `decode_mask` does. A palette is of ids, but must not show
    one class in the colour of another.

    Args:
        data: Bytes of the whole file.
        path: Path that error messages name.
        classes: `MaskClasses`.

    Returns:
        Integers `(height, width)`: classes, and `ignore_value`.

    Raises:
        ValueError: If it cannot be read exactly, or there are other values or
            colours; tells which.
    """
    array, alpha = decode_stored(data, path, "mask")
    if classes.colors is not None and array.shape[2] - alpha == 3:
        return classes_of_colors(array, alpha, path, classes)
    mask, palette = mask_of(array, alpha, path), png_palette(data)
    if palette is not None and classes.colors is not None:
        check_palette(palette, mask, path, classes)
    return as_class_ids(
        mask,
        path,
        classes.num_classes,
        classes.ignore_value,
        classes.ids,
        shows_white(palette),
    )


def as_class_ids(
    mask, name, num_classes, ignore_value, ids=None, white_is_one=True
):
    """Check the values of a mask, and make classes of them.

    Args:
        mask: Array of numbers.
        name: The path of its file, or what else it is called in messages.
        num_classes: Number of classes.
        ignore_value: Value of unlabelled pixels, or `None`.
        ids: Dict from value to class; `None` where values are classes, and
            255 may be class 1 in a mask of 0 and 255.
        white_is_one: Whether it may.

    Returns:
        Array of the same shape.

    Raises:
        ValueError: If there are other values; tells which.
    """
    if ids is not None:
        return _mapped(mask, name, ignore_value, ids)
    if mask.min(initial=0) >= 0 and mask.max(initial=0) < num_classes:
        return mask
    takes_white = num_classes == 2 and ignore_value != 255 and white_is_one
    if takes_white:
        white = mask == 255
        if np.count_nonzero(white | (mask == 0)) == mask.size:
            return white.astype(mask.dtype)
    valid = (mask >= 0) & (mask < num_classes)
    if ignore_value is not None:
        valid |= mask == ignore_value
    if valid.all():
        return mask
    if takes_white:
        ones = (mask == 1) & (ignore_value != 1)
        if (valid | white).all() and not ones.any():
            return np.where(white, 1, mask)
    raise ValueError(_describe_values(mask, name, num_classes, ignore_value))


def _mapped(mask, name, ignore_value, ids):
    """Give the class of each value."""
    if ignore_value is not None:
        ids = {ignore_value: ignore_value, **ids}
    values, numbers = np.array(sorted(ids.items())).T
    place = np.searchsorted(values, mask).clip(max=len(values) - 1)
    if (values[place] != mask).any():
        known = ", ".join(map(str, values.tolist()[:20]))
        raise ValueError(
            f"{name}: found the values {_list_values(mask)} in the mask, "
            f"expected those of `class_ids`"
            f"{describe_unlabelled(', and', ignore_value)}: {known}. Correct "
            "the mask, or add the values: a dict of `class_ids` may give "
            "several values one class, or `ignore_value`."
        )
    return numbers[place]


def count_pixels(masks, num_classes):
    """Count the pixels of each class in each patch, padding included.

    Args:
        masks: Class ids `(patches, height, width)`.
        num_classes: Number of classes; other ids are not counted.

    Returns:
        Dict of `pixels`: a list per patch of a number per class.
    """
    # Of few classes, looking at all pixels for each is quicker.
    count = _count_each if num_classes <= _FEW_CLASSES else _count_all
    return {"pixels": [count(mask, num_classes) for mask in np.asarray(masks)]}


def _count_each(mask, num_classes):
    return [int(np.count_nonzero(mask == k)) for k in range(num_classes)]


def _count_all(mask, num_classes):
    counts = np.bincount(mask.ravel(), minlength=num_classes)
    return counts[:num_classes].tolist()


def _describe_values(mask, name, num_classes, ignore_value):
    expected = (
        "0 and 1, or 0 and 255"
        if num_classes == 2
        else f"class ids from 0 to {num_classes - 1}"
    )
    return (
        f"{name}: found the values {_list_values(mask)} in the mask, expected "
        f"{expected}{describe_unlabelled(', and', ignore_value)}. Correct the "
        f"mask, or pass {_advise(mask, num_classes, ignore_value)}."
    )


def _advise(mask, num_classes, ignore_value):
    others = np.unique(mask[(mask < 0) | (mask >= num_classes)]).tolist()
    if others == [255] and ignore_value is None:
        return (
            "ignore_value=255 if 255 marks pixels that are not labelled, as in "
            "masks of Pascal VOC"
        )
    return (
        "the right `num_classes` or `ignore_value`; ids with gaps are listed "
        "by `class_ids`"
    )


def _list_values(mask):
    values = np.unique(mask).tolist()
    return ", ".join(map(str, values[:10])) + ", ..." * (len(values) > 10)


def describe_unlabelled(conjunction, ignore_value):
    """Say after class ids what else a mask may hold, for messages."""
    if ignore_value is None:
        return ""
    return f"{conjunction} {ignore_value} for unlabelled pixels"
