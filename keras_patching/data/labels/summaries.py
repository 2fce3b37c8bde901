"""Says in a line what was understood of the labels of a data set.

It is of the whole data set, whatever part of it a sequence is of.
"""

import numpy as np

from keras_patching._faults import few

_MAX_CLASSES = 20


def summarize_objects(counts, classes=None):
    """Say how many objects there are.

    Args:
        counts: Number of objects in each image; fractions are rounded.
        classes: Dict from the name of a class to its number of objects.

    Returns:
        A sentence.
    """
    counts = np.asarray(counts)
    total, empty = float(counts.sum()), int((counts < 0.5).sum())
    named = ""
    if classes and len(classes) > 1:
        each = [f"{name} {count}" for name, count in classes.items()]
        named = f" ({few(each, _MAX_CLASSES, str)})"
    lone = "1 image has none" if empty == 1 else f"{empty} images have none"
    return (
        f"Labels of {_number(len(counts), 'image')}: "
        f"{_number(round(total), 'object')}{named}; {lone}."
    )


def summarize_pixels(images, pixels, unlabelled, names=None):
    """Say how many pixels each class has.

    Args:
        images: Number of images.
        pixels: Number of pixels of each class, in order.
        unlabelled: Number of pixels without a class.
        names: Names of the classes; `None` numbers them.

    Returns:
        A sentence.
    """
    total = max(sum(pixels) + unlabelled, 1)
    named = (
        [f"class {n}" for n in range(len(pixels))] if names is None else names
    )
    found = [
        f"{name}: {count / total:.3%}"
        for name, count in zip(named, pixels, strict=True)
        if count
    ]
    absent = [
        str(index) if names is None else names[index]
        for index, count in enumerate(pixels)
        if not count
    ]
    listed, lacking = (few(each, _MAX_CLASSES, str) for each in (found, absent))
    return (
        f"Labels of {_number(images, 'image')}: {listed or 'no class'} of the "
        "pixels"
        + (f", {unlabelled / total:.3%} unlabelled" if unlabelled else "")
        + (f"; no pixel of class {lacking}" if absent else "")
        + "."
    )


def describe_turned_images(headers):
    """Say how many images are turned, with a space before."""
    turned = sum(header.rotated for header in headers.values())
    if not turned:
        return ""
    return (
        f" {_number(turned, 'image')} turned by 90 degrees, as the EXIF "
        "orientation says: labels must be of what is shown."
    )


def describe_left_out(names):
    """Say which images are left out, with a space before."""
    if not names:
        return ""
    return (
        f" Left out {_number(len(names), 'image')} without labels: "
        f"{few(names)}."
    )


def _number(count, noun):
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
