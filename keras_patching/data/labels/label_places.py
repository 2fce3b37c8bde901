"""What is wrong with the places of objects, by the size of their image."""

import numpy as np


def are_fractions(coordinates):
    """Tell whether coordinates are fractions of the image, not pixels.

    Args:
        coordinates: Array `(n, k)` of all objects of an image.

    Returns:
        Whether they all lie from 0 to 1, and not all are whole.
    """
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


def check_true_points(points, size, name):
    """Refuse points of an evaluation that cannot be of their image.

    Args:
        points: Array `(n, 2)` of `(y, x)` in pixels.
        size: `(height, width)` of the image.
        name: What they are, for messages: "targets[3]".

    Raises:
        ValueError: If some lie outside, or all are fractions.
    """
    points = np.asarray(points, "float64").reshape(-1, 2)
    fractions = are_fractions(points)
    if are_inside(points, size).all() and not fractions:
        return
    hint = ""
    if fractions:
        hint = " They are fractions: multiply y by the height, x by the width."
    elif are_inside(points, size[::-1]).all():
        hint = " With y and x swapped all would lie inside: give (y, x)."
    raise ValueError(
        f"`{name}` must be points (y, x) in pixels inside of their image, "
        f"whose size (height, width) is {tuple(size)}.{hint} "
        f"Received: {_describe_range(points, ('y', 'x'))}"
    )


def check_true_boxes(boxes, size, name):
    """Refuse boxes of an evaluation that cannot be of their image.

    They may reach beyond its edge.

    Args:
        boxes: Array `(n, 4)` of x1, y1, x2, y2 in pixels.
        size, name: As for `check_true_points`.

    Raises:
        ValueError: If some have no area in the image, or all are fractions.
    """
    boxes = np.asarray(boxes, "float64").reshape(-1, 4)
    height, width = size
    inside = np.clip(boxes, 0, (width, height, width, height))
    fractions = are_fractions(boxes)
    if (inside[:, :2] < inside[:, 2:]).all() and not fractions:
        return
    hint = ""
    if fractions:
        hint = " They are fractions: multiply x by the width, y by the height."
    elif (boxes[:, :2] >= boxes[:, 2:]).any():
        hint = " The second corner comes before the first: it may be a size."
    elif not leave(boxes, size[::-1]).any():
        hint = " With x and y swapped all would lie inside: give x first."
    raise ValueError(
        f"`{name}` must be boxes (x1, y1, x2, y2) in pixels that have an area "
        f"in their image, whose size (height, width) is {tuple(size)}.{hint} "
        f"Received: {_describe_range(boxes, ('x1', 'y1', 'x2', 'y2'))}"
    )


def _describe_range(places, names):
    columns = zip(names, places.min(axis=0), places.max(axis=0), strict=True)
    return ", ".join(
        f"{name} {low:g} to {high:g}" for name, low, high in columns
    )


def are_inside(points, size):
    """Tell of each point `(y, x)` whether it lies in an image."""
    return ((points >= 0) & (points < size)).all(axis=1)


def leave(boxes, size):
    """Tell of each box (xyxy) whether it leaves an image."""
    height, width = size
    far = boxes[:, 2:] > (width, height)
    return (far | (boxes[:, :2] < 0)).any(axis=1)
