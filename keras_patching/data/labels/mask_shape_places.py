"""What is wrong with the places of shapes that masks are drawn from."""

import numpy as np

from keras_patching.data.labels.places import (
    describe_declared_size,
    describe_fractions,
    describe_turned,
    misplaced_points,
)
from keras_patching.data.labels.shapes import extent

# Corners that are drawn on the edge of an image may lie a little beyond.
_MARGIN = 1


def shape_faults(images, headers):
    """Find shapes that leave their image, and sizes that are not the image's.

    Args:
        images: Dict from image path to `AnnotatedImage`.
        headers: Dict from image path to `ImageHeader`.

    Returns:
        List of faults, a line each.
    """
    faults = []
    for image, header in headers.items():
        item, size = images[image], tuple(header.size)
        if item.declared_size not in (None, size):
            where = f"{item.label_file}, {item.place}".removesuffix(", ")
            faults.append(
                describe_declared_size(
                    where, item.declared_size, image, size, "shapes"
                )
            )
        elif item.shapes:
            faults += _places_outside(item, image, header)
    return faults


def _places_outside(item, image, header):
    extents = np.array([extent(shape) for shape in item.shapes])
    corners, size = extents.reshape(-1, 2), np.array(header.size)
    wrong = misplaced_points(corners, header.size)
    if wrong.are_fractions:
        y, x = corners[0]
        fault = describe_fractions(f"y={y:g}, x={x:g}", image, header.size)
        return [f"{item.label_file}, {item.shapes[0].place}: {fault}"]
    hint = describe_turned("shapes", wrong.are_swapped, image, header)
    beyond = (extents < -_MARGIN) | (extents > size + _MARGIN)
    faults = masks_of_other_sizes(item, image, header)
    if faults:
        return faults
    for index in np.flatnonzero(beyond.any(axis=(1, 2))):
        (y1, x1), (y2, x2) = extents[index]
        faults.append(
            f"{item.label_file}, {item.shapes[index].place}: reaches from "
            f"x={x1:g} to {x2:g}, y={y1:g} to {y2:g}, which is not inside "
            f"{image}, whose size (height, width) is {tuple(header.size)}. "
            f"Correct or clip it.{hint}"
        )
        hint = ""
    return faults


def masks_of_other_sizes(item, image, header):
    """Find masks that are as large as another image than theirs.

    Args:
        item: `AnnotatedImage`.
        image: Path of the image.
        header: Its `ImageHeader`.

    Returns:
        List of faults, a line each.
    """
    return [
        describe_declared_size(
            f"{item.label_file}, {shape.place}",
            shape.image_size,
            image,
            tuple(header.size),
            "shapes",
        )
        for shape in item.shapes
        if shape.image_size not in (None, tuple(header.size))
    ]
