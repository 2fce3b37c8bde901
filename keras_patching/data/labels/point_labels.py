"""The points of an image as every reader gives them, and what is wrong there.

Points are float64 in the order of (y, x), with exact duplicates kept, since
they count as two objects: the same points give equal arrays from every format.
Each knows its place in its file, for messages.
"""

import collections
import dataclasses
import itertools
import pathlib
from typing import NamedTuple

import numpy as np

from keras_patching._checks import as_points
from keras_patching._faults import few
from keras_patching.data.labels.places import (
    describe_declared_size,
    describe_fractions,
    describe_range,
    describe_turned,
    list_without_data,
    misplaced_points,
)
from keras_patching.data.labels.spellings import alike


class FoundPoint(NamedTuple):
    """A point of an image, as a reader finds it.

    Attributes:
        y, x: Floats in pixels.
        place: Its place in the file: `"line 3"`.
        label: Name of its class, or `None`.
    """

    y: float
    x: float
    place: str
    label: str | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class PointLabels:
    """The points of one image.

    Args:
        label_file: `pathlib.Path` of the file they were read from.
        points: Float64 array `(points, 2)` of (y, x) in pixels, sorted.
        places: For each point its place in that file: `"line 3"` in CSV,
            `"key 'p1'"` in JSON.
        classes: For each point the name of its class, or `None`.
        declared_size: `(height, width)` that the file says the image has, or
            `None`.
        hint: What may explain points outside of the image: a sentence, or an
            empty text.
    """

    label_file: pathlib.Path
    points: np.ndarray
    places: tuple[str, ...]
    classes: tuple[str | None, ...]
    declared_size: tuple[int, int] | None = None
    hint: str = ""


def to_point_labels(path, found, declared_size=None, hint=""):
    """Make the labels of an image of a list of `FoundPoint`, in any order."""
    found = sorted(found, key=lambda point: point[:2])
    points = np.array([point[:2] for point in found], "float64").reshape(-1, 2)
    points += 0.0  # -0.0 becomes 0.0: equal points have equal bytes
    return PointLabels(
        path,
        points,
        tuple(point.place for point in found),
        tuple(point.label for point in found),
        declared_size,
        hint,
    )


def count_classes(labels):
    """Count the points of each class; those without one are of "no class".

    Args:
        labels: Dict from image path to `PointLabels`.

    Returns:
        Dict from name to number, sorted.
    """
    counts = collections.Counter(
        name or "no class" for each in labels.values() for name in each.classes
    )
    return dict(sorted(counts.items()))


def choose_classes(labels, classes):
    """Keep the points of some classes; images stay, also without points.

    Args:
        labels: Dict from image path to `PointLabels`.
        classes: List of names of classes.

    Returns:
        Such a dict.

    Raises:
        ValueError: There are no points of one of them.
    """
    counts = count_classes(labels)
    if unknown := [name for name in classes if name not in counts]:
        numbers = [f"{name} {count}" for name, count in counts.items()]
        listed = few(numbers, 20, str)
        raise ValueError(
            f"The labels have no points of the class {few(unknown)}. Their "
            f"classes and numbers of points are: {listed or 'none'}. "
            f"Received: classes={classes!r}"
        )
    if others := alike(counts, classes):
        raise ValueError(
            f"The labels have points of the class {few(others)} too, which "
            "differs from one of those asked for in upper and lower case or "
            "spaces alone. Correct the labels, or ask for both. "
            f"Received: classes={classes!r}"
        )
    return {image: _choose(each, classes) for image, each in labels.items()}


def _choose(label, classes):
    kept = [name in classes for name in label.classes]
    return dataclasses.replace(
        label,
        points=label.points[np.array(kept, bool)],
        places=tuple(itertools.compress(label.places, kept)),
        classes=tuple(itertools.compress(label.classes, kept)),
    )


def check_points_inside(labels, headers):
    """Find points outside their image, as fractions, or of another size.

    Inside is `0 <= x < width` and `0 <= y < height`. Points that all lie in
    the corner pixel of their image, not in whole pixels, are fractions.

    Args:
        labels: Dict from image path to `PointLabels`.
        headers: Dict from image path to `ImageHeader`. Images without one are
            not checked.

    Returns:
        A list of faults for `raise_faults`: first one per image whose
        declared size is another, then one per point outside. Where axes that
        are swapped or an EXIF orientation explain them, the first of an image
        says so.
    """
    faults = [
        describe_declared_size(
            labels[image].label_file,
            labels[image].declared_size,
            image,
            tuple(header.size),
            "points",
        )
        for image, header in headers.items()
        if labels[image].declared_size not in (None, tuple(header.size))
    ]
    for image, header in headers.items():
        label, size = labels[image], header.size
        wrong = misplaced_points(label.points, size)
        if wrong.are_fractions:
            y, x = label.points[0]
            faults.append(
                f"{label.label_file}, {label.places[0]}: "
                f"{describe_fractions(f'x={x:.15g}, y={y:.15g}', image, size)}"
            )
            continue
        turned = describe_turned("points", wrong.are_swapped, image, header)
        hint = f"{turned} {label.hint}".rstrip()
        for index in np.flatnonzero(wrong.outside):
            y, x = label.points[index]
            faults.append(
                f"{label.label_file}, {label.places[index]}: the point "
                f"x={x:.15g}, y={y:.15g} lies outside {image}, whose size "
                f"(height, width) is {tuple(size)}.{hint}"
            )
            hint = ""
    return faults


def points_without_data(labels, headers):
    """Find points on pixels where their image has no data.

    Args:
        labels: Dict from image path to `PointLabels`.
        headers: Dict from image path to `ImageHeader`.

    Returns:
        A list of faults for `raise_faults`.
    """
    return list_without_data(
        labels, headers, lambda label: label.points, _show_point
    )


def _show_point(label, index):
    y, x = label.points[index]
    return f"the point x={x:.15g}, y={y:.15g}"


def as_true_points(points, name, size):
    """Return points that an image is evaluated with as an array.

    Args:
        points: Array `(n, 2)` of (y, x) in pixels; nothing for an image
            without objects.
        name: What they are called in messages.
        size: `(height, width)` of the image in pixels.

    Returns:
        float64 `(n, 2)`.

    Raises:
        ValueError: If they are no such array, some lie outside of the image,
            or all are fractions of it.
    """
    points = as_points(points, name)
    wrong = misplaced_points(points, size)
    if not wrong.outside.any() and not wrong.are_fractions:
        return points
    hint = ""
    if wrong.are_fractions:
        hint = " They are fractions: multiply y by the height, x by the width."
    elif wrong.are_swapped:
        hint = " With y and x swapped all would lie inside: give (y, x)."
    raise ValueError(
        f"`{name}` must be points (y, x) in pixels inside of their image, "
        f"whose size (height, width) is {tuple(size)}.{hint} "
        f"Received: {describe_range(points, ('y', 'x'))}"
    )
