"""Labels of objects as boxes: one JSON file to one array per image.

Boxes are xyxy in continuous pixel coordinates: 0 is the left or top edge of an
image, its width or height the other. They come in a canonical order, with
exact duplicates kept, so that the same labels give equal arrays. Each box
knows its place in the file, for messages.
"""

import dataclasses
import pathlib
import warnings

import numpy as np

from keras_patching._faults import raise_faults
from keras_patching.data.labels.box_entries import BoxEntry, quote, read_entry
from keras_patching.data.labels.coco_entries import read_coco_entries
from keras_patching.data.labels.image_names import ImageNames
from keras_patching.data.labels.label_files import (
    check_unlabelled,
    describe_unlabelled,
    few,
    load_json,
    to_dict,
)
from keras_patching.data.labels.label_forms import is_coco
from keras_patching.data.labels.label_places import (
    are_fractions,
    describe_fractions,
    describe_turned,
    leave,
)

_MAX_PLACES = 3
_MAX_LABELS = 20
_XYXY = [1, 0, 3, 2]  # of boxes as y1, x1, y2, x2
_EXPECTED = (
    'Expected {{"a.png": {{{key}: [{{"all_points_x": [x1, x2], "all_points_y": '
    "[y1, y2]}}, ...]}}, ...}}, where an entry may name its image by "
    '"file_name" instead, and {key}: [] if it holds no objects; or a file of '
    "COCO."
)


@dataclasses.dataclass(frozen=True, eq=False)
class BoxLabels:
    """The boxes of one image.

    Args:
        label_file: `pathlib.Path` of the file they were read from.
        boxes: Float64 array `(boxes, 4)` of x1, y1, x2, y2 in pixels, with
            x1 < x2 and y1 < y2, sorted by y1, x1, y2, x2 and label.
        labels: Int64 array `(boxes,)` of indices into the names of classes.
        places: For each box its place in that file:
            `'["img_1"]["plants"][3]'`.
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


def read_boxes_json(
    label_file,
    images,
    class_names=("plant",),
    objects_key="plants",
    unlabelled="error",
):
    """Read the boxes of a folder's images from one JSON file.

    The file holds an object with an entry per image:
    `{"img_1": {"file_name": "a.png", "width": w, "height": h, "plants":
    [{"all_points_x": [x1, x2], "all_points_y": [y1, y2], "label": "plant"},
    ...]}, ...}`. The image is the one of `"file_name"`, else of the key, with
    or without suffix. Two points are opposite corners, the first nearer to the
    origin; of more points, which are a polygon, the extent is the box.
    `"width"` and `"height"` may be left out, and `"label"` too where there is
    only one. Other keys are ignored.

    Or it is a file of COCO, https://cocodataset.org: `{"images": [...],
    "annotations": [...], "categories": [...]}`. Names of categories are those
    of `class_names`; crowds (`"iscrowd": 1`) are left out, and a warning counts
    them.

    Args:
        label_file: Path of the JSON file, in UTF-8.
        images: Dict from stem to path, of `list_images`.
        class_names: Names of the classes; a box has the index of its own.
        objects_key: Key of the list of objects of an image.
        unlabelled: What images are that the file does not name: an "error";
            left out, "skip"; or without objects, "empty".

    Returns:
        Dict from image path to `BoxLabels`, in the order of `images`. Boxes
        without area are left out, and one warning counts them.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: Lists everything in the file that cannot be used, and
            images without an entry if these are an error. Or
            `class_names` are not distinct names.

    Example:
    >>> labels = read_boxes_json("labels.json", list_images("trays"))
    >>> labels[pathlib.Path("trays/a.png")].boxes.shape
    (31, 4)
    """
    path = pathlib.Path(label_file)
    class_names = _check_class_names(class_names)
    check_unlabelled(unlabelled)
    expected = expected_json(objects_key)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file. {expected}")
    try:
        content = load_json(path)
    except ValueError as error:
        raise ValueError(f"{error} {expected}") from error
    names = ImageNames(images)
    entries, faults = _read_entries(
        path, content, names, class_names, objects_key
    )
    by_image = {entry.image: entry for entry in entries}
    missing = [image for image in images.values() if image not in by_image]
    if unlabelled == "error" and (entries or not faults):
        remedy = (
            'add an item to "images" for each'
            if is_coco(content)
            else f"add an entry with {quote(objects_key)}: [] for each"
        )
        faults += [
            f"{path}: {fault}"
            for fault in describe_unlabelled(missing, images, "entry", remedy)
        ]
    raise_faults(faults, "Boxes that cannot be used", expected)
    if not entries:
        raise ValueError(f"{path}: has no entries. {expected}")
    _warn_of_empty(path, entries)
    if unlabelled == "empty":
        by_image |= {image: BoxEntry(image) for image in missing}
    return {
        image: _to_labels(path, by_image[image], class_names)
        for image in images.values()
        if image in by_image
    }


def expected_json(objects_key):
    """Say what a JSON file of boxes holds, for messages."""
    return _EXPECTED.format(key=quote(objects_key))


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
        _describe_size(labels[image], image, tuple(header.size))
        for image, header in headers.items()
        if labels[image].declared_size not in (None, tuple(header.size))
    ]
    for image, header in headers.items():
        label, (height, width) = labels[image], header.size
        if are_fractions(label.boxes):
            fault = describe_fractions(
                _show_box(label.boxes[0]), image, header.size
            )
            faults.append(f"{label.label_file}, {label.places[0]}: {fault}")
            continue
        outside = leave(label.boxes, (height, width))
        swapped = not leave(label.boxes, (width, height)).any()
        hint = describe_turned("boxes", swapped, image, header)
        if _look_like_corners(label):
            hint += " COCO gives a box as x, y, width and height: these may be"
            hint += " two corners."
        for index in np.flatnonzero(outside):
            faults.append(
                f"{label.label_file}, {label.places[index]}: the box "
                f"{_show_box(label.boxes[index])} does not lie inside {image}, "
                f"whose size (height, width) is {(height, width)}. Correct or "
                f"clip it.{hint}"
            )
            hint = ""
    return faults


def _look_like_corners(label):
    """Tell whether the sizes of boxes of COCO look like second corners."""
    first, second = label.boxes[:, :2], label.boxes[:, 2:]
    is_coco = label.entry.startswith('["images"]')
    return is_coco and (second - first > first).all()


def _show_box(box):
    x1, y1, x2, y2 = box
    return f"x={x1:.15g} to {x2:.15g}, y={y1:.15g} to {y2:.15g}"


def _describe_size(label, image, size):
    place = f"{label.label_file}, {label.entry}"
    fault = (
        f"{place}: declares the size (height, width) {label.declared_size}, "
        f"and {image} has {size}."
    )
    if label.declared_size == size[::-1]:
        return (
            f"{fault} These are swapped: either swap width and height there, "
            "or the image was labelled without its EXIF orientation, which is "
            "applied here, and the boxes must be turned as well."
        )
    return (
        f"{fault} If the image was resized, scale its boxes; if only the size "
        "is wrong, correct or remove it."
    )


def _check_class_names(class_names):
    names = () if isinstance(class_names, str) else tuple(class_names)
    is_text = all(isinstance(name, str) for name in names)
    if not names or not is_text or len(set(names)) < len(names):
        raise ValueError(
            '`class_names` must be distinct names, such as ("plant",). '
            f"Received: class_names={class_names!r}"
        )
    return names


def _read_entries(path, content, names, class_names, objects_key):
    """Read all entries of the file, and all that is wrong with them."""
    faults, entry_faults = [], []
    pairs = to_dict(content, path, faults)
    if pairs is None:
        return [], faults
    if is_coco(content):
        entries, crowds = read_coco_entries(pairs, names, entry_faults)
        if crowds:
            warnings.warn(
                f"{path}: left out {crowds} crowds (iscrowd), which are no "
                "single objects.",
                stacklevel=4,
            )
    else:
        entries = [
            read_entry(key, value, names, objects_key, entry_faults)
            for key, value in pairs.items()
        ]
    entry_faults += _find_twice(entries) + _label_faults(entries, class_names)
    return entries, faults + [f"{path}, {fault}" for fault in entry_faults]


def _find_twice(entries):
    faults, first = [], {}
    for entry in entries:
        before = first.setdefault(entry.image, entry)
        if before is not entry and entry.image is not None:
            faults.append(
                f"{entry.place}: found {entry.image.name} again, after "
                f"{before.place}, expected one entry per image. Join or "
                "remove them."
            )
    return faults


def _label_faults(entries, class_names):
    """Find labels that are not known: one fault for each, not each object."""
    places = {}
    for entry in entries:
        for item in entry.objects:
            places.setdefault(item.label, []).append(item.place)
    found = [label for label in places if label is not None]
    listed = few(found, _MAX_LABELS) or "no labels"
    known = set(class_names) | ({None} if len(class_names) == 1 else set())
    return [
        f"{first}: found {_describe_label(label, len(rest))}, expected one of "
        f"{few(class_names, _MAX_LABELS)}. The file has {listed}. Correct it, "
        "or name all classes by class_names=."
        for label, (first, *rest) in places.items()
        if label not in known
    ]


def _describe_label(label, more):
    what = "no label" if label is None else f"the label {label!r}"
    return f"{what}, as in {more} more objects" if more else what


def _warn_of_empty(path, entries):
    empty = [
        item.place
        for entry in entries
        for item in entry.objects
        if not item.has_area
    ]
    if empty:
        listed = ", ".join(empty[:_MAX_PLACES])
        rest = len(empty) - _MAX_PLACES
        warnings.warn(
            f"{path}: left out {len(empty)} boxes without area (x1 == x2 or "
            f"y1 == y2): {listed}{f' and {rest} more' if rest > 0 else ''}. "
            "Correct or remove them.",
            stacklevel=3,
        )


def _to_labels(path, entry, class_names):
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
        label_file=path,
        boxes=np.ascontiguousarray(boxes[:, _XYXY]),
        labels=np.array([row[4] for row in found], "int64"),
        places=tuple(row[5] for row in found),
        declared_size=entry.declared_size,
        entry=entry.place,
    )
