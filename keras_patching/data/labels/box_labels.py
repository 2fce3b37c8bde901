"""The boxes of an image as every reader gives them, and what is wrong there.

Boxes are float64 xyxy in pixels in a canonical order, with exact duplicates
kept: the same boxes give equal arrays from every format. Each knows its place
in its file, for messages.
"""

import dataclasses
import pathlib

import numpy as np

from keras_patching._checks import as_boxes
from keras_patching.box_geometry import box_centers
from keras_patching.data.labels.places import (
    describe_declared_size,
    describe_fractions,
    describe_range,
    describe_turned,
    list_without_data,
    misplaced_boxes,
)

XYXY = [1, 0, 3, 2]  # of boxes as y1, x1, y2, x2


@dataclasses.dataclass(frozen=True, eq=False)
class BoxLabels:
    """The boxes of one image.

    Args:
        label_file: `pathlib.Path` of the file they were read from.
        boxes: Float64 array `(boxes, 4)` of x1, y1, x2, y2 in pixels, with
            x1 < x2 and y1 < y2, sorted by y1, x1, y2, x2 and label.
        labels: Int64 array `(boxes,)` of indices into the names of classes.
        places: For each box its place in that file:
            `'["img_1"]["objects"][3]'`.
        declared_size: `(height, width)` that the file says the image has, or
            `None`.
        entry: The place of the image in that file: `'["img_1"]'`.
    """

    label_file: pathlib.Path
    boxes: np.ndarray
    labels: np.ndarray
    places: tuple[str, ...]
    declared_size: tuple[int, int] | None = None
    entry: str = ""


def to_box_labels(entry, class_names):
    """Make the labels of an image of its `BoxEntry`, in order."""
    indices = {name: index for index, name in enumerate(class_names)}
    indices[None] = 0
    found = sorted(
        (
            (*item.corners, indices[item.label], item.place)
            for item in entry.objects
            if item.has_area
        ),
        key=lambda row: row[:5],
    )
    boxes = np.array([row[:4] for row in found], "float64").reshape(-1, 4)
    boxes += 0.0  # -0.0 becomes 0.0: equal boxes have equal bytes
    return BoxLabels(
        label_file=entry.label_file,
        boxes=np.ascontiguousarray(boxes[:, XYXY]),
        labels=np.array([row[4] for row in found], "int64"),
        places=tuple(row[5] for row in found),
        declared_size=entry.declared_size,
        entry=entry.place,
    )


def check_boxes_inside(labels, headers):
    """Find boxes that leave their image, and sizes that are not the image's.

    Inside is `0 <= x1`, `x2 <= width`, `0 <= y1` and `y2 <= height`. Boxes
    that all lie in the corner pixel of their image are fractions of it.

    Args:
        labels: Dict from image path to `BoxLabels`.
        headers: Dict from image path to `ImageHeader`. Images without one are
            not checked.

    Returns:
        A list of faults for `raise_faults`: first one per image whose
        declared size is another, then one per box. Where axes that are
        swapped or an EXIF orientation explain them, the first of an image
        says so.
    """
    faults = [
        describe_declared_size(
            f"{labels[image].label_file}, {labels[image].entry}".removesuffix(
                ", "
            ),
            labels[image].declared_size,
            image,
            tuple(header.size),
            "boxes",
        )
        for image, header in headers.items()
        if labels[image].declared_size not in (None, tuple(header.size))
    ]
    for image, header in headers.items():
        label, (height, width) = labels[image], header.size
        wrong = misplaced_boxes(label.boxes, header.size)
        if wrong.are_fractions:
            fault = describe_fractions(
                _show_box(label.boxes[0]), image, header.size
            )
            faults.append(f"{label.label_file}, {label.places[0]}: {fault}")
            continue
        hint = describe_turned("boxes", wrong.are_swapped, image, header)
        if _look_like_corners(label):
            hint += " COCO gives a box as x, y, width and height: these may be"
            hint += " two corners."
        for index in np.flatnonzero(wrong.outside):
            faults.append(
                f"{label.label_file}, {label.places[index]}: the box "
                f"{_show_box(label.boxes[index])} does not lie inside {image}, "
                f"whose size (height, width) is {(height, width)}. "
                f"{_mend(label.boxes[index], header.size)}{hint}"
            )
            hint = ""
    return faults


def boxes_without_data(labels, headers):
    """Find boxes whose center lies where their image has no data.

    Args:
        labels: Dict from image path to `BoxLabels`.
        headers: Dict from image path to `ImageHeader`.

    Returns:
        A list of faults for `raise_faults`.
    """
    return list_without_data(labels, headers, _centers, _show_center)


def _centers(label):
    return box_centers(label.boxes)


def _show_center(label, index):
    return f"the center of the box {_show_box(label.boxes[index])}"


def _mend(box, size):
    """Say what to do about a box that leaves its image."""
    if misplaced_boxes(box[None], size, may_reach_beyond=True).outside[0]:
        return "Correct or remove it."
    return "Correct it, or cut all such boxes off at the edge by clip=True."


def _look_like_corners(label):
    """Tell whether the sizes of boxes of COCO look like second corners."""
    first, second = label.boxes[:, :2], label.boxes[:, 2:]
    is_coco = label.entry.startswith('["images"]')
    return is_coco and (second - first > first).all()


def _show_box(box):
    x1, y1, x2, y2 = box
    return f"x={x1:.15g} to {x2:.15g}, y={y1:.15g} to {y2:.15g}"


def as_true_boxes(target, name, size, num_classes):
    """Return what an image is evaluated with as a dict of arrays.

    Boxes may reach beyond the edge of their image.

    Args:
        target: Dict of `boxes` `(n, 4)`, xyxy in pixels, and `labels` `(n,)`.
        name: What it is called in messages.
        size: `(height, width)` of the image in pixels.
        num_classes: Number of classes.

    Returns:
        Dict of `boxes`, float64, and `labels`.

    Raises:
        ValueError: If it is no such dict, a box has no area in the image, or
            all are fractions of it.
    """
    if not isinstance(target, dict) or not {"boxes", "labels"} <= set(target):
        received = (
            f"keys {sorted(target)}"
            if isinstance(target, dict)
            else f"a {type(target).__name__}"
        )
        raise ValueError(
            f"`{name}` must be a dict of boxes (n, 4) and labels (n,), as "
            f"`read_boxes` gives it. Received: {received}"
        )
    boxes = as_boxes(target["boxes"], f"boxes of {name}")
    labels = np.asarray(target["labels"]).reshape(-1)
    if len(labels) != len(boxes):
        raise ValueError(
            f"`{name}` must have a label for each box. "
            f"Received: {len(boxes)} boxes, {len(labels)} labels"
        )
    if len(labels) and not np.isin(labels, np.arange(num_classes)).all():
        raise ValueError(
            f"`{name}` must have labels from 0 to {num_classes - 1}, the "
            "places of the model's `class_names`, and no padding. "
            f"Received: {sorted({*labels.tolist()}, key=str)}"
        )
    _check_true_boxes(boxes, size, name)
    return {"boxes": boxes, "labels": labels}


def _check_true_boxes(boxes, size, name):
    wrong = misplaced_boxes(boxes, size, may_reach_beyond=True)
    if not wrong.outside.any() and not wrong.are_fractions:
        return
    hint = ""
    if wrong.are_fractions:
        hint = " They are fractions: multiply x by the width, y by the height."
    elif (boxes[:, :2] >= boxes[:, 2:]).any():
        hint = " The second corner comes before the first: it may be a size."
    elif wrong.are_swapped:
        hint = " With x and y swapped all would lie inside: give x first."
    raise ValueError(
        f"`{name}` must be boxes (x1, y1, x2, y2) in pixels that have an area "
        f"in their image, whose size (height, width) is {tuple(size)}.{hint} "
        f"Received: {describe_range(boxes, ('x1', 'y1', 'x2', 'y2'))}"
    )
