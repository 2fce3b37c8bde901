"""Says in a line what was understood of the labels of a data set.

And in sentences what can hardly be meant. Both are of the whole data set,
whatever part of it a sequence is of.
"""

import numpy as np

from keras_patching.data.labels.label_files import few

_MAX_CLASSES = 20
# Fewer objects may lie in one quarter of their images by chance.
_ENOUGH = 20
# Smaller objects than of 4 x 4 pixels are not told apart.
_MOST_PER_PIXEL = 1 / 16


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
        named = f" ({_first(each)})"
    lone = "1 image has none" if empty == 1 else f"{empty} images have none"
    return (
        f"Labels of {_number(len(counts), 'image')}: "
        f"{_number(round(total), 'object')}{named}; {lone}."
    )


def summarize_pixels(images, pixels, unlabelled):
    """Say how many pixels each class has.

    Args:
        images: Number of images.
        pixels: Number of pixels of each class, in order.
        unlabelled: Number of pixels without a class.

    Returns:
        A sentence.
    """
    total = max(sum(pixels) + unlabelled, 1)
    each = [
        f"class {index}: {count / total:.3%}" if count else ""
        for index, count in enumerate(pixels)
    ]
    found = _first([text for text in each if text]) or "no class"
    absent = [str(index) for index, count in enumerate(pixels) if not count]
    return (
        f"Labels of {_number(images, 'image')}: {found} of the pixels"
        + (f", {unlabelled / total:.3%} unlabelled" if unlabelled else "")
        + (f"; no pixel of class {_first(absent)}" if absent else "")
        + "."
    )


def doubt_corner(coordinates, sizes):
    """Say so if all objects lie in the upper left quarter of their images.

    Args:
        coordinates: List of arrays `(n, k)` per image, of y and x in turn.
        sizes: List of `(height, width)` of the images.

    Returns:
        List of one sentence, or an empty one.
    """
    highest = [
        (each.reshape(-1, 2) / size).max(axis=0)
        for each, size in zip(coordinates, sizes, strict=True)
        if len(each)
    ]
    if sum(map(len, coordinates)) < _ENOUGH or np.max(highest) > 0.5:
        return []
    y, x = np.max(highest, axis=0)
    return [
        f"All objects lie in the upper left {y:.0%} x {x:.0%} of their images, "
        "so their places may be of a smaller copy of the images, or percent. "
        "They must be in pixels of these images."
    ]


def doubt_duplicates(objects):
    """Say so if many objects are exactly the same as another.

    Args:
        objects: List of arrays `(n, k)` per image, of places and classes.

    Returns:
        List of one sentence, or an empty one.
    """
    total = sum(map(len, objects))
    same = total - sum(len(np.unique(each, axis=0)) for each in objects)
    if same < max(_ENOUGH, total / 4):
        return []
    return [
        f"{same:,} of {total:,} objects are exactly where another is, and "
        "count twice. Check that the labels are not there twice."
    ]


def doubt_counts(counts):
    """Say so if there are no objects at all."""
    if sum(counts):
        return []
    return [
        "The labels hold no object in any image, so there is nothing to "
        "learn. Check that they are those of these images."
    ]


def doubt_density(total, num_pixels, unit):
    """Say so if ready heatmaps hold more objects than fit."""
    if total <= num_pixels * _MOST_PER_PIXEL:
        return []
    return [
        f"The heatmaps hold {total:,.0f} objects in {num_pixels:,} pixels, "
        f"one in {num_pixels / total:.2g} pixels, as heatmap_unit={unit:g} "
        "says. Their values may not be objects per pixel: pass the unit that "
        "makes the sum of a file the number of its objects."
    ]


def doubt_classes(pixels, ignore_value):
    """Say so if all pixels are of one class."""
    present = [index for index, count in enumerate(pixels) if count]
    if len(present) > 1:
        return []
    absent = [
        str(index) for index in range(len(pixels)) if index not in present
    ]
    found = (
        f"All labelled pixels are of class {present[0]}"
        if present
        else ("No pixel is labelled")
    )
    remedy = (
        "Check that the masks are those of these images."
        if ignore_value is None
        else f"If {ignore_value} is a class in these masks, leave out "
        "`ignore_value`."
    )
    return [
        f"{found}, and none of class {_first(absent)}, so there is nothing to "
        f"learn. {remedy}"
    ]


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


def _first(texts):
    rest = len(texts) - _MAX_CLASSES
    listed = ", ".join(texts[:_MAX_CLASSES])
    return f"{listed} and {rest} more" if rest > 0 else listed


def _number(count, noun):
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
