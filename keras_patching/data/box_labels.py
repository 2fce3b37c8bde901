"""Labels of objects as boxes: one JSON file to one array per image.

Boxes are xyxy in continuous pixel coordinates: 0 is the left or top edge of an
image, its width or height the other. They come in a canonical order, with
exact duplicates kept, so that the same labels give equal arrays. Each box
knows its place in the file, for messages.
"""

import dataclasses
import pathlib
import typing
import warnings

import numpy as np

from keras_patching.data.box_entries import (
    BoxObject,
    quote,
    read_objects,
    read_size,
    show,
)
from keras_patching.data.faults import raise_faults
from keras_patching.data.label_files import (
    by_file_and_stem,
    few,
    load_json,
    tell_unknown,
    to_dict,
)

_MAX_PLACES = 3
_MAX_LABELS = 20
_XYXY = [1, 0, 3, 2]  # of boxes as y1, x1, y2, x2
_EXPECTED = (
    'Expected {{"a.png": {{{key}: [{{"all_points_x": [x1, x2], "all_points_y": '
    "[y1, y2]}}, ...]}}, ...}}, where an entry may name its image by "
    '"file_name" instead, and {key}: [] if it holds no objects.'
)


@dataclasses.dataclass(frozen=True, eq=False)
class BoxLabels:
    """The boxes of one image.

    Args:
        label_file: `pathlib.Path` of the file they were read from.
        boxes: Float64 array `(boxes, 4)` of x1, y1, x2, y2 in pixels, with
            x1 < x2 and y1 < y2, sorted by y1, x1, y2, x2 and label.
        labels: Int64 array `(boxes,)` of indices into the names of labels.
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


class _Entry(typing.NamedTuple):
    image: pathlib.Path | None
    objects: list[BoxObject]
    declared_size: tuple[int, int] | None
    place: str


def read_boxes_json(
    label_file, images, labels=("plant",), objects_key="plants"
):
    """Read the boxes of all images of a folder from one JSON file.

    The file holds an object with an entry per image:
    `{"img_1": {"file_name": "a.png", "width": w, "height": h, "plants":
    [{"all_points_x": [x1, x2], "all_points_y": [y1, y2], "label": "plant"},
    ...]}, ...}`. The image is the one of `"file_name"`, else of the key, with
    or without suffix. Two points are opposite corners, the first nearer to the
    origin; of more points, which are a polygon, the extent is the box.
    `"width"` and `"height"` may be left out, and `"label"` too where there is
    only one. Other keys are ignored.

    Args:
        label_file: Path of the JSON file, in UTF-8.
        images: Dict from stem to path, of `list_images`.
        labels: Names of the labels; a box has the index of its own.
        objects_key: Key of the list of objects of an image.

    Returns:
        Dict from image path to `BoxLabels`, in the order of `images`. Boxes
        without area are left out, and one warning counts them.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: Lists everything in the file that cannot be used, and
            images without an entry. Or `labels` are not distinct names.

    Example:
    >>> labels = read_boxes_json("labels.json", list_images("trays"))
    >>> labels[pathlib.Path("trays/a.png")].boxes.shape
    (31, 4)
    """
    path, labels = pathlib.Path(label_file), _check_labels(labels)
    expected = _EXPECTED.format(key=quote(objects_key))
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file. {expected}")
    entries, faults = _read_entries(path, images, labels, objects_key)
    raise_faults(faults, "Boxes that cannot be used", expected)
    _warn_of_empty(path, entries)
    by_image = {entry.image: entry for entry in entries}
    return {
        image: _to_labels(path, by_image[image], labels)
        for image in images.values()
    }


def check_boxes_inside(labels, sizes):
    """Find boxes that leave their image, and sizes that are not the image's.

    Inside is `0 <= x1`, `x2 <= width`, `0 <= y1` and `y2 <= height`.

    Args:
        labels: Dict from image path to `BoxLabels`.
        sizes: Dict from image path to `(height, width)` in pixels. Images
            without a size are not checked.

    Returns:
        A list of faults for `raise_faults`: first one per image whose
        declared size is another, then one per box.
    """
    faults = [
        _tell_size(labels[image], image, tuple(size))
        for image, size in sizes.items()
        if labels[image].declared_size not in (None, tuple(size))
    ]
    for image, (height, width) in sizes.items():
        label = labels[image]
        far = label.boxes[:, 2:] > (width, height)
        outside = (far | (label.boxes[:, :2] < 0)).any(axis=1)
        for index in np.flatnonzero(outside):
            x1, y1, x2, y2 = label.boxes[index]
            faults.append(
                f"{label.label_file}, {label.places[index]}: the box "
                f"x={x1:.15g} to {x2:.15g}, y={y1:.15g} to {y2:.15g} does not "
                f"lie inside {image}, whose size (height, width) is "
                f"{(height, width)}. Correct or clip it."
            )
    return faults


def _tell_size(label, image, size):
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


def _check_labels(labels):
    names = () if isinstance(labels, str) else tuple(labels)
    is_text = all(isinstance(name, str) for name in names)
    if not names or not is_text or len(set(names)) < len(names):
        raise ValueError(
            '`labels` must be distinct names, such as ("plant",). '
            f"Received: labels={labels!r}"
        )
    return names


def _read_entries(path, images, labels, objects_key):
    """Read all entries of the file, and all that is wrong with them."""
    faults, entry_faults = [], []
    pairs = to_dict(load_json(path), path, faults)
    if pairs is None:
        return [], faults
    names = by_file_and_stem(images)
    entries = [
        _read_entry(key, value, names, objects_key, entry_faults)
        for key, value in pairs.items()
    ]
    entry_faults += _find_twice(entries) + _label_faults(entries, labels)
    faults += [f"{path}, {fault}" for fault in entry_faults]
    named = {entry.image for entry in entries}
    faults += [
        f"{path}: has no entry for {image.name}. Add one, with "
        f"{quote(objects_key)}: [] if it holds no objects."
        for image in images.values()
        if image not in named
    ]
    return entries, faults


def _read_entry(key, value, names, objects_key, faults):
    place = f"[{quote(key)}]"
    fields = to_dict(value, place, faults)
    image = _find_image(key, fields or {}, place, names, faults)
    if fields is None:
        return _Entry(image, [], None, place)
    objects = read_objects(fields, place, objects_key, faults)
    return _Entry(image, objects, read_size(fields, place, faults), place)


def _find_image(key, fields, place, names, faults):
    name = fields.get("file_name", key)
    if not isinstance(name, str):
        faults.append(
            f'{place}["file_name"]: found {show(name)}, expected the name of '
            "an image in quotation marks. Correct or remove it."
        )
        return None
    if name not in names:
        faults.append(f"{place}: {tell_unknown(name, names, 'entry')}")
    return names.get(name)


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


def _label_faults(entries, labels):
    """Find labels that are not known: one fault for each, not each object."""
    places = {}
    for entry in entries:
        for item in entry.objects:
            places.setdefault(item.label, []).append(item.place)
    found = [label for label in places if label is not None]
    listed = few(found, _MAX_LABELS) or "no labels"
    known = set(labels) | ({None} if len(labels) == 1 else set())
    return [
        f"{first}: found {_tell_label(label, len(rest))}, expected one of "
        f"{few(labels, _MAX_LABELS)}. The file has {listed}. Correct it, or "
        "name all labels by labels=."
        for label, (first, *rest) in places.items()
        if label not in known
    ]


def _tell_label(label, more):
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


def _to_labels(path, entry, labels):
    indices = {None: 0} | {name: index for index, name in enumerate(labels)}
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
