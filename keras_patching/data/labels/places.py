"""What is wrong with the places of objects, by the size of their image."""

import dataclasses

import numpy as np

from keras_patching.data.images.known import without_data


@dataclasses.dataclass(frozen=True, eq=False)
class Misplaced:
    """What is wrong with the places of the objects of an image.

    Attributes:
        outside: Bool array `(n,)`: which objects are not in the image.
        are_fractions: Whether all are fractions of the image, not pixels.
        are_swapped: Whether all would lie in an image whose height and width
            are swapped.
    """

    outside: np.ndarray
    are_fractions: bool
    are_swapped: bool


def misplaced_points(points, size):
    """Look for points that are not in their image.

    A point is in it from 0, which counts, to height and width, which do not:
    the last pixel ends there.

    Args:
        points: Float array `(n, 2)` of (y, x) in pixels.
        size: `(height, width)` of the image.

    Returns:
        A `Misplaced`.
    """
    return Misplaced(
        outside=_leave(points, size),
        are_fractions=_are_fractions(points),
        are_swapped=not _leave(points, size[::-1]).any(),
    )


def misplaced_boxes(boxes, size, may_reach_beyond=False):
    """Look for boxes that are not in their image.

    Args:
        boxes: Float array `(n, 4)` of x1, y1, x2, y2 in pixels.
        size: `(height, width)` of the image.
        may_reach_beyond: Whether it is enough that a box has an area in the
            image.

    Returns:
        A `Misplaced`.
    """
    outside = _reach_beyond(boxes, size)
    if may_reach_beyond:
        height, width = size
        inside = np.clip(boxes, 0, (width, height, width, height))
        outside = (inside[:, :2] >= inside[:, 2:]).any(axis=1)
    return Misplaced(
        outside=outside,
        are_fractions=_are_fractions(boxes),
        are_swapped=not _reach_beyond(boxes, size[::-1]).any(),
    )


def _leave(points, size):
    return ((points < 0) | (points >= size)).any(axis=1)


def _reach_beyond(boxes, size):
    height, width = size
    return ((boxes < 0) | (boxes > (width, height, width, height))).any(axis=1)


def _are_fractions(coordinates):
    """Tell whether all lie from 0 to 1, and not all are whole."""
    inside = (coordinates >= 0) & (coordinates <= 1)
    return bool(inside.all() and np.any(coordinates % 1))


def describe_fractions(found, image, size):
    """Say that coordinates are fractions, and how to make pixels of them."""
    height, width = size
    return (
        f"all objects of {image} lie in its corner pixel, such as {found}, so "
        "these are fractions of the image, and pixels are expected. Multiply "
        f"x by its width, {width}, and y by its height, {height}. (What really "
        "lies there is written in whole pixels.)"
    )


def describe_turned(noun, swapped, image, header):
    """Say what may have turned objects that lie outside of their image.

    Args:
        noun: What they are: "points".
        swapped: Whether all lie inside where height and width are swapped.
        image: Path of the image.
        header: Its `ImageHeader`.

    Returns:
        Sentences with a space before, or an empty text.
    """
    if header.rotated:
        what = (
            f"all its {noun} lie inside of what is stored, so they may have "
            "been drawn on that"
            if swapped
            else f"its {noun} may have been drawn on what is stored"
        )
        return (
            f" The EXIF orientation of {image.name} turns it by 90 degrees "
            f"when it is shown, and here too; {what}. Turn the {noun} as well, "
            "or remove the orientation from the file."
        )
    if swapped:
        return (
            f" With x and y swapped all {noun} of the image would lie inside: "
            "if y is written first, write x, the column, before it."
        )
    return ""


def describe_declared_size(where, declared, image, size, noun):
    """Say that labels are of an image of another size.

    Args:
        where: File and place that declare it.
        declared: `(height, width)` in pixels.
        image: Path of the image.
        size: Its `(height, width)`.
        noun: What the labels are: "points".
    """
    fault = (
        f"{where}: declares the size (height, width) {declared}, and {image} "
        f"has {size}."
    )
    if declared == size[::-1]:
        return (
            f"{fault} These are swapped: either swap width and height there, "
            "or the image was labelled without its EXIF orientation, which is "
            f"applied here, and the {noun} must be turned as well."
        )
    return (
        f"{fault} If the image was resized, scale its {noun}; if only the size "
        "is wrong, correct or remove it."
    )


def list_without_data(labels, headers, places_of, show):
    """List the objects that lie where their image has no data.

    Args:
        labels: Dict from image path to labels, with `label_file` and `places`.
        headers: Dict from image path to `ImageHeader`.
        places_of: Function from these labels to an array `(n, 2)` of (y, x) in
            pixels.
        show: Function from labels and an index to what lies there.

    Returns:
        A list of faults for `raise_faults`.
    """
    return [
        f"{labels[image].label_file}, {labels[image].places[index]}: "
        f"{show(labels[image], index)} lies where {image} has no data (nodata, "
        "or a mask). Correct or remove it."
        for image, header in headers.items()
        if header.lacks_data
        for index in np.flatnonzero(
            without_data(image, places_of(labels[image]))
        )
    ]


def describe_range(places, names):
    """Say from where to where places lie, for messages.

    Args:
        places: Array `(n, k)`.
        names: What the columns are, `k` texts.
    """
    columns = zip(names, places.min(axis=0), places.max(axis=0), strict=True)
    return ", ".join(
        f"{name} {low:g} to {high:g}" for name, low, high in columns
    )
