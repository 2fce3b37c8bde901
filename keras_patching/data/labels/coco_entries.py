"""Boxes in the form of COCO, https://cocodataset.org, slip by slip.

Values are those of `strict_json.load_json`, where numbers are floats; places
are as in `["annotations"][3]`.
"""

from keras_patching._faults import few
from keras_patching.data.labels.box_entries import (
    BoxEntry,
    BoxObject,
    find_image,
)
from keras_patching.data.labels.json_values import (
    are_numbers,
    quote,
    read_size,
    show,
)
from keras_patching.data.labels.strict_json import to_dict


def read_coco_entries(content, names, faults):
    """Read all boxes of a file of COCO.

    Args:
        content: Dict of the file.
        names: `ImageNames` of all images.
        faults: List that what is wrong is added to.

    Returns:
        List of `BoxEntry`, one per item of "images", and the number of crowds
        (`"iscrowd": 1`), which are no single objects and left out.
    """
    entries = {
        key: BoxEntry(
            find_image(None, fields, place, names, faults),
            [],
            read_size(fields, place, faults),
            place,
        )
        for key, fields, place in _read_items(content, "images", faults)
    }
    labels = {
        key: _read_name(fields, place, faults)
        for key, fields, place in _read_items(content, "categories", faults)
    }
    referred = {
        "image_id": (entries, few(list(entries))),
        "category_id": (labels, few(list(labels))),
    }
    crowds = 0
    for index, value in enumerate(content["annotations"]):
        place = f'["annotations"][{index}]'
        fields = to_dict(value, place, faults)
        if fields is None:
            continue
        if fields.get("iscrowd"):
            crowds += 1
            continue
        entry = _look_up(referred, "image_id", fields, place, faults)
        label = _look_up(referred, "category_id", fields, place, faults)
        corners = _read_corners(fields, place, faults)
        if None not in (entry, label, corners):
            entry.objects.append(BoxObject(corners, label, place))
    return list(entries.values()), crowds


def _read_items(content, kind, faults):
    """Yield identity, fields and place of each item of a list."""
    items = content.get(kind)
    if not isinstance(items, list):
        faults.append(f"[{quote(kind)}]: found {show(items)}, expected a list.")
        return
    places = {}
    for index, value in enumerate(items):
        place = f"[{quote(kind)}][{index}]"
        fields = to_dict(value, place, faults)
        if fields is None:
            continue
        key = fields.get("id")
        if not isinstance(key, float | str):
            faults.append(
                f'{place}["id"]: found {show(key)}, expected a number.'
            )
        elif key in places:
            faults.append(
                f'{place}["id"]: found {show(key)} again, after {places[key]}, '
                "expected each once."
            )
        else:
            places[key] = place
            yield key, fields, place


def _read_name(fields, place, faults):
    name = fields.get("name")
    if not isinstance(name, str):
        faults.append(
            f'{place}["name"]: found {show(name)}, expected a name in '
            "quotation marks."
        )
        return None
    return name


def _look_up(referred, key, fields, place, faults):
    """Give what an annotation refers to."""
    items, listed = referred[key]
    identity = fields.get(key)
    if not isinstance(identity, float | str) or identity not in items:
        faults.append(
            f'{place}["{key}"]: found {show(identity)}, expected one of the '
            f"identities {listed}."
        )
        return None
    return items[identity]


def _read_corners(fields, place, faults):
    """Give `(y1, x1, y2, x2)` of a bbox of x, y, width and height."""
    box, place = fields.get("bbox"), f'{place}["bbox"]'
    if not isinstance(box, list) or len(box) != 4:
        faults.append(
            f"{place}: found {show(box)}, expected [x, y, width, height]."
        )
        return None
    if not are_numbers(box, place, faults):
        return None
    x, y, width, height = box
    if width < 0 or height < 0:
        faults.append(
            f"{place}: found the width {width:.15g} and height {height:.15g}, "
            "expected none below 0."
        )
        return None
    return y, x, y + height, x + width
