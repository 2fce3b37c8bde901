"""Boxes in our own form of JSON: an object with an entry per image.

`{"img_1": {"file_name": "a.png", "width": w, "height": h, "objects":
[{"all_points_x": [x1, x2], "all_points_y": [y1, y2], "label": "plant"},
...]}, ...}`. The image is the one of `"file_name"`, else of the key, with or
without suffix. Two points are opposite corners, the first nearer to the
origin; of more points, which are a polygon, the extent is the box. `"width"`
and `"height"` may be left out, and `"label"` too where there is only one.
Other keys are ignored. Deep Plant Phenomics calls the objects "plants".
"""

from keras_patching._faults import few
from keras_patching.data.labels.box_entries import (
    BoxEntry,
    BoxFile,
    BoxObject,
    describe_corners,
)
from keras_patching.data.labels.json_values import (
    are_numbers,
    quote,
    read_size,
    show,
)
from keras_patching.data.labels.strict_json import to_dict

OBJECTS_KEY = "objects"
# What Deep Plant Phenomics calls them.
_DPP_KEY = "plants"
_AXES = ("all_points_x", "all_points_y")
_EXPECTED = (
    'Expected {{"a.png": {{{key}: [{{"all_points_x": [x1, x2], "all_points_y": '
    "[y1, y2]}}, ...]}}, ...}}, where an entry may name its image by "
    '"file_name" instead, and {key}: [] if it holds no objects; or a file of '
    "COCO."
)


def describe_expected(objects_key):
    """Say what a JSON file of boxes holds, for messages."""
    return _EXPECTED.format(key=quote(objects_key))


def read_boxes_json(path, content, names, objects_key, faults):
    """Read the boxes of all images of a file.

    Args:
        path: `pathlib.Path` of the file.
        content: What `strict_json.load_any_json` reads.
        names: `ImageNames` of all images.
        objects_key: Key of the list of objects; "plants" stands for "objects".
        faults: List that what is wrong is added to, with file and place.

    Returns:
        A `BoxFile`.
    """
    pairs = to_dict(content, path, faults)
    slips = []
    entries = [
        _read_entry(path, key, value, names, objects_key, slips)
        for key, value in (pairs or {}).items()
    ]
    faults += [f"{path}, {slip}" for slip in slips]
    return BoxFile(
        entries, remedy=f"add an entry with {quote(objects_key)}: [] for each"
    )


def _read_entry(path, key, value, names, objects_key, faults):
    place = f"[{quote(key)}]"
    fields = to_dict(value, place, faults)
    image = _find_image(key, fields or {}, place, names, faults)
    if fields is None:
        return BoxEntry(path, image, [], None, place)
    objects = _read_objects(fields, place, objects_key, faults)
    size = read_size(fields, place, faults)
    return BoxEntry(path, image, objects, size, place)


def _find_image(key, fields, place, names, faults):
    """Find the image of an entry by its `file_name`, else by its key."""
    name = fields.get("file_name", key)
    if not isinstance(name, str):
        faults.append(
            f'{place}["file_name"]: found {show(name)}, expected the name of '
            "an image in quotation marks. Correct or remove it."
        )
        return None
    image = names.find(name)
    if image is None:
        faults.append(f"{place}: {names.describe_unknown(name, 'entry')}")
    return image


def _read_objects(fields, place, objects_key, faults):
    """Give a list of `BoxObject`, without those that are wrong."""
    key = _find_key(fields, place, objects_key, faults)
    if key is None:
        return []
    values, place = fields[key], f"{place}[{quote(key)}]"
    if not isinstance(values, list):
        faults.append(f"{place}: found {show(values)}, expected a list.")
        return []
    read = (
        _read_object(value, f"{place}[{index}]", faults)
        for index, value in enumerate(values)
    )
    return [item for item in read if item is not None]


def _find_key(fields, place, objects_key, faults):
    """Give the key of the list of objects, or `None`."""
    keys = [objects_key] + [_DPP_KEY] * (objects_key == OBJECTS_KEY)
    found = [key for key in keys if key in fields]
    if len(found) == 2:
        faults.append(
            f"{place}: has both {found[0]!r} and {found[1]!r}, expected one "
            "list of objects. Join or remove them, or say which by "
            f"objects_key={_DPP_KEY!r}."
        )
    elif not found:
        listed = few(list(fields)) or "none"
        faults.append(
            f"{place}: has no key {' or '.join(map(repr, keys))}, found "
            f"{listed}. Name the list of objects by objects_key=, or add an "
            "empty one."
        )
    return found[0] if len(found) == 1 else None


def _read_object(value, place, faults):
    fields = to_dict(value, place, faults)
    if fields is None:
        return None
    label = fields.get("label")
    if not isinstance(label, str | None):
        faults.append(
            f'{place}["label"]: found {show(label)}, expected a name in '
            "quotation marks. Correct or remove it."
        )
        return None
    xs, ys = (_read_axis(fields, axis, place, faults) for axis in _AXES)
    if xs is None or ys is None:
        return None
    if fault := _describe_wrong_points(xs, ys):
        faults.append(f"{place}: {fault}")
        return None
    corners = min(ys), min(xs), max(ys), max(xs)
    return BoxObject(corners, label, place)


def _read_axis(fields, axis, place, faults):
    if axis not in fields:
        found = few(list(fields)) or "none"
        faults.append(f"{place}: has no key {axis!r}, found {found}. Add it.")
        return None
    values, place = fields[axis], f'{place}["{axis}"]'
    if not isinstance(values, list):
        faults.append(
            f"{place}: found {show(values)}, expected a list of numbers."
        )
        return None
    return values if are_numbers(values, place, faults) else None


def _describe_wrong_points(xs, ys):
    if len(xs) != len(ys):
        return (
            f"found {len(xs)} numbers in {_AXES[0]} and {len(ys)} in "
            f"{_AXES[1]}, expected as many. Add what is missing, or remove "
            "what is too many."
        )
    if len(xs) < 2:
        return (
            f"found {len(xs)} points, expected 2 corners of a box or more of "
            "a polygon. Add what is missing, or remove the object."
        )
    if len(xs) == 2:
        return describe_corners(xs[0], ys[0], xs[1], ys[1])
    return None
