"""Shapes as annotation tools draw them, and where each stands in its file.

A `Shape` has a kind, and float64 points `(n, 2)` of (y, x) in pixels, where
pixel `i` reaches from `i` to `i + 1`:

| kind | points |
|---|---|
| `"box"` | 2: the corner nearest to the origin, and the opposite one |
| `"polygon"` | 3 or more, the first not repeated at the end |
| `"line"` | 2 or more, not closed |
| `"ellipse"` | 3: center, and one end of each half axis; a circle too |
| `"point"` | 1 |
| `"mask"` | 2, as of a box; `pixels()` says what is inside |

Shapes of one image with the same `instance` are one object in several ways or
pieces: the box and the polygons of an annotation of COCO, a group of LabelMe.
"""

import dataclasses
import pathlib
from collections.abc import Callable, Hashable

import numpy as np

KINDS = ("box", "polygon", "line", "ellipse", "point", "mask")


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Shape:
    """One shape of an image.

    Args:
        kind: One of `KINDS`.
        points: Float64 array `(n, 2)` of (y, x); see above.
        label: Name of its class, or `None` where the file tells none.
        place: Its place in the file: `'["shapes"][3]'`.
        instance: What pieces of one object have in common.
        part: Name of what it is of its object, of keypoints: `"nose"`.
        crowd: Whether it is a region of many objects (`iscrowd` of COCO).
        attributes: Names and values that may be labels, where a tool lets
            people make them up.
        pixels: Of a mask, function that gives a bool array as large as its
            points say.
        image_size: `(height, width)` that the image of a mask must have, or
            `None`.
    """

    kind: str
    points: np.ndarray
    label: str | None
    place: str
    instance: Hashable
    part: str | None = None
    crowd: bool = False
    attributes: dict[str, str] = dataclasses.field(default_factory=dict)
    pixels: Callable[[], np.ndarray] | None = None
    image_size: tuple[int, int] | None = None


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class AnnotatedImage:
    """What a file says of one image.

    Args:
        label_file: `pathlib.Path` of the file.
        names: What the image may be called: of the first that there is.
        shapes: List of `Shape`, in the order of the file.
        declared_size: `(height, width)` in pixels, or `None`.
        place: Its place in the file, `'["images"][3]'`; empty where a file
            has one image.
    """

    label_file: pathlib.Path
    names: tuple[str, ...]
    shapes: list[Shape]
    declared_size: tuple[int, int] | None = None
    place: str = ""


def as_shape_points(xs, ys):
    """Return float64 points `(n, 2)` of (y, x), in the order given."""
    points = np.array([ys, xs], "float64").T
    points += 0.0  # -0.0 becomes 0.0: equal points have equal bytes
    return np.ascontiguousarray(points)


def open_ring(points):
    """Return the corners of a polygon without a last that repeats the first."""
    is_closed = len(points) > 3 and (points[0] == points[-1]).all()
    return points[:-1] if is_closed else points


def extent(shape):
    """Return the corners of the box around a shape.

    Args:
        shape: A `Shape`. A mask's is that of its points.

    Returns:
        Float64 array `(2, 2)` of (y, x): the lowest, then the highest.

    Example:

    >>> points = np.array([[5.0, 5.0], [5.0, 7.0], [6.0, 5.0]])
    >>> circle = Shape(
    ...     kind="ellipse", points=points, label=None, place="", instance=0
    ... )
    >>> extent(circle).tolist()
    [[4.0, 3.0], [6.0, 7.0]]
    """
    if shape.kind in ("box", "mask"):
        return shape.points
    if shape.kind != "ellipse":
        return np.stack([shape.points.min(axis=0), shape.points.max(axis=0)])
    center, first, second = shape.points
    reach = np.hypot(first - center, second - center)
    return np.stack([center - reach, center + reach])


def outline(shape, num_points=64):
    """Return the corners of the polygon that a shape is, or is close to.

    Args:
        shape: A `Shape` of the kind box, polygon or ellipse.
        num_points: Number of corners of an ellipse's.

    Returns:
        Float64 array `(n, 2)` of (y, x), the first not repeated.
    """
    if shape.kind == "polygon":
        return shape.points
    if shape.kind == "box":
        (y1, x1), (y2, x2) = shape.points
        return np.array([[y1, x1], [y1, x2], [y2, x2], [y2, x1]])
    center, first, second = shape.points
    angles = np.linspace(0, 2 * np.pi, num_points, endpoint=False)[:, None]
    return (
        center
        + np.cos(angles) * (first - center)
        + np.sin(angles) * (second - center)
    )
