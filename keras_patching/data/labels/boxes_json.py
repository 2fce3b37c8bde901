"""Boxes in one JSON file: with an entry per image, or in the form of COCO."""

import pathlib
import warnings

from keras_patching._checks import check_class_names
from keras_patching._faults import few, raise_faults
from keras_patching.data.labels.box_entries import (
    OBJECTS_KEY,
    BoxEntry,
    read_entry,
)
from keras_patching.data.labels.box_labels import to_box_labels
from keras_patching.data.labels.coco_entries import read_coco_entries
from keras_patching.data.labels.files import (
    check_unlabelled,
    describe_unlabelled,
)
from keras_patching.data.labels.forms import is_coco
from keras_patching.data.labels.image_names import ImageNames
from keras_patching.data.labels.json_values import quote
from keras_patching.data.labels.strict_json import (
    load_json,
    to_dict,
)

_MAX_PLACES = 3
_MAX_LABELS = 20
_EXPECTED = (
    'Expected {{"a.png": {{{key}: [{{"all_points_x": [x1, x2], "all_points_y": '
    "[y1, y2]}}, ...]}}, ...}}, where an entry may name its image by "
    '"file_name" instead, and {key}: [] if it holds no objects; or a file of '
    "COCO."
)


def read_boxes_json(
    label_file,
    images,
    class_names=("plant",),
    objects_key=OBJECTS_KEY,
    unlabelled="error",
):
    """Read the boxes of a folder's images from one JSON file.

    The file holds an object with an entry per image:
    `{"img_1": {"file_name": "a.png", "width": w, "height": h, "objects":
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
        objects_key: Key of the list of objects of an image. Where it is
            "objects", an entry may have "plants" instead.
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

    >>> images = keras_patching.data.list_images("trays/images")
    >>> labels = read_boxes_json("trays/labels.json", images)
    >>> labels[pathlib.Path("trays/images/tray_0.jpg")].boxes.shape
    (2, 4)
    """
    path = pathlib.Path(label_file)
    class_names = check_class_names(class_names)
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
        image: to_box_labels(path, by_image[image], class_names)
        for image in images.values()
        if image in by_image
    }


def expected_json(objects_key):
    """Say what a JSON file of boxes holds, for messages."""
    return _EXPECTED.format(key=quote(objects_key))


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
