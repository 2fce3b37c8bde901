"""Says in sentences what can hardly be meant in the labels of a data set.

Each function gives a list of one sentence, or an empty one.
"""

import numpy as np

from keras_patching._faults import few

# So many objects hardly lie in one quarter of their images by chance.
_ENOUGH = 20
# Objects of less than 4 x 4 pixels each cannot be told apart.
_MOST_PER_PIXEL = 1 / 16
_MAX_CLASSES = 20


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
    others = few(absent, _MAX_CLASSES, str)
    return [
        f"{found}, and none of class {others}, so there is nothing to learn. "
        f"{remedy}"
    ]
