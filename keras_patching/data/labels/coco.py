"""Shapes of COCO, https://cocodataset.org: one file for all images.

`{"images": [{"id": 3, "file_name": "a.png", "height": h, "width": w}, ...],
"categories": [{"id": 1, "name": "leaf", "keypoints": ["tip", "base"]}, ...],
"annotations": [{"image_id": 3, "category_id": 1, "bbox": [x, y, width,
height], "segmentation": [[x1, y1, x2, y2, ...], ...], "keypoints": [x1, y1,
v1, ...], "iscrowd": 0}, ...]}`.

An annotation is one object in up to three ways, each a `Shape` of its own: its
bbox; polygons, or a mask in run lengths; keypoints that are labelled (v > 0).
Coordinates are taken as continuous; a keypoint in whole numbers, the index of
a pixel, lies in that pixel.
"""

import collections
import functools

from keras_patching._faults import few
from keras_patching.data.labels.json_values import (
    are_numbers,
    quote,
    read_list,
    read_size,
    read_text_value,
    show,
)
from keras_patching.data.labels.run_lengths import read_run_lengths
from keras_patching.data.labels.shapes import (
    AnnotatedImage,
    Shape,
    as_shape_points,
    open_ring,
)
from keras_patching.data.labels.strict_json import to_dict

# What a kind of shape is read from.
_FIELDS = {
    "box": "bbox",
    "polygon": "segmentation",
    "mask": "segmentation",
    "point": "keypoints",
}


def read_coco(path, content, faults, kinds=tuple(_FIELDS)):
    """Read the shapes of all images of a file.

    Args:
        path, content, faults: As for `read_labelme`.
        kinds: Kinds of shapes that are wanted. An annotation with none of
            them is a fault; of others nothing is read.

    Returns:
        List of `AnnotatedImage`, one per item of "images", and tuple of the
        names of categories, in the order of their identities.
    """
    content = to_dict(content, "top level", faults) or {}
    found = {
        key: _read_image(path, fields, place, faults)
        for key, fields, place in _read_items(content, "images", faults)
    }
    categories = {
        key: _read_category(fields, place, faults)
        for key, fields, place in _read_items(content, "categories", faults)
    }
    _refuse_twice(categories, faults)
    for index, value in enumerate(content.get("annotations", [])):
        place = f'["annotations"][{index}]'
        fields = to_dict(value, place, faults)
        if fields is None:
            continue
        image = _look_up(found, "images", "image_id", fields, place, faults)
        category = _look_up(
            categories, "categories", "category_id", fields, place, faults
        )
        shapes = _read_shapes(fields, category, kinds, place, faults)
        if image is not None:
            image.shapes.extend(shapes)
    names = [
        categories[key][0]
        for key in sorted(
            categories, key=lambda key: (isinstance(key, str), key)
        )
    ]
    return list(found.values()), tuple(n for n in names if n is not None)


def _read_items(content, kind, faults):
    """Yield identity, fields and place of each item of a list."""
    items = read_list(content, kind, "", faults)
    places = {}
    for index, value in enumerate(items or []):
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
                f'{place}["id"]: found {_show_identity(key)} again, after '
                f"{places[key]}, "
                "expected each once."
            )
        else:
            places[key] = place
            yield key, fields, place


def _read_image(path, fields, place, faults):
    name = read_text_value(fields, "file_name", place, faults)
    return AnnotatedImage(
        label_file=path,
        names=() if name is None else (name,),
        shapes=[],
        declared_size=read_size(fields, place, faults),
        place=place,
    )


def _read_category(fields, place, faults):
    """Give the name of a category, and the names of its keypoints."""
    name = read_text_value(fields, "name", place, faults)
    return name, fields.get("keypoints")


def _refuse_twice(categories, faults):
    """Refuse two categories of one name, which would become one class."""
    counts = collections.Counter(name for name, _ in categories.values())
    if twice := [name for name, count in counts.items() if name and count > 1]:
        faults.append(
            f'["categories"]: found the names {few(twice)} more than once, '
            "expected each once. Rename all but one."
        )


def _look_up(items, kind, key, fields, place, faults):
    """Give what an annotation refers to, or `None`."""
    identity = fields.get(key)
    if not isinstance(identity, float | str) or identity not in items:
        known = few(list(items), show=_show_identity) or "none"
        faults.append(
            f'{place}["{key}"]: found {_show_identity(identity)}, expected the '
            f'"id" of one of {quote(kind)}: {known}. Correct it, or add that '
            "one."
        )
        return None
    return items[identity]


def _show_identity(identity):
    """Write whole numbers, which are read as floats, as they were."""
    is_whole = isinstance(identity, float) and identity.is_integer()
    return show(int(identity) if is_whole else identity)


def _read_shapes(fields, category, kinds, place, faults):
    """Give the list of `Shape` of the wanted kinds of an annotation."""
    before = len(faults)
    wanted = dict.fromkeys(_FIELDS[kind] for kind in kinds if kind in _FIELDS)
    # CVAT, Label Studio and others write an empty list of what there is not.
    present = [key for key in wanted if fields.get(key) not in (None, [])]
    if not present:
        first, *others = wanted
        also = f", and no {' or '.join(others)}" if others else ""
        faults.append(
            f"{place}[{quote(first)}]: found {show(fields.get(first))}{also}, "
            "expected where the object is. Add it, or remove the annotation."
        )
    crowd = fields.get("iscrowd")
    if crowd not in (None, 0, 1):  # "0" would be true
        faults.append(
            f'{place}["iscrowd"]: found {show(crowd)}, expected 0, or 1 of '
            "many objects in one. Correct it."
        )
    label, parts = category or (None, None)
    make = functools.partial(
        Shape,
        label=label,
        place=place,
        instance=place,
        crowd=crowd == 1,
    )
    readers = {
        "bbox": _read_bbox,
        "segmentation": _read_segmentation,
        "keypoints": functools.partial(_read_keypoints, names=parts),
    }
    shapes = []
    for key in present:
        read = readers[key](fields[key], f"{place}[{quote(key)}]", faults)
        shapes += [make(**shape) for shape in read]
    if wanted == {"keypoints": None} and len(faults) == before:
        _refuse_hidden(fields, shapes, place, faults)
    return [shape for shape in shapes if shape.kind in kinds]


def _refuse_hidden(fields, shapes, place, faults):
    """Refuse an object that is to be a point, and has none."""
    if not shapes and not fields.get("iscrowd"):
        faults.append(
            f'{place}["keypoints"]: none of them is labelled (v > 0), expected '
            "one at least. Label it, or remove the annotation."
        )


def _read_bbox(box, place, faults):
    if not isinstance(box, list) or len(box) != 4:
        faults.append(
            f"{place}: found {show(box)}, expected [x, y, width, height]."
        )
        return []
    if not are_numbers(box, place, faults):
        return []
    x, y, width, height = box
    if width < 0 or height < 0:
        faults.append(
            f"{place}: found the width {width:.15g} and height {height:.15g}, "
            "expected none below 0."
        )
        return []
    points = as_shape_points([x, x + width], [y, y + height])
    return [{"kind": "box", "points": points}]


def _read_segmentation(value, place, faults):
    if isinstance(value, tuple):
        return read_run_lengths(value, place, faults)
    if not isinstance(value, list):
        faults.append(
            f"{place}: found {show(value)}, expected a list of polygons, or "
            "an object of counts and size."
        )
        return []
    shapes = []
    for index, numbers in enumerate(value):
        where = f"{place}[{index}]"
        if (
            not isinstance(numbers, list)
            or len(numbers) < 6
            or len(numbers) % 2
        ):
            faults.append(
                f"{where}: found {show(numbers)}, expected the numbers [x1, "
                "y1, x2, y2, x3, y3, ...] of 3 or more points."
            )
        elif are_numbers(numbers, where, faults):
            points = as_shape_points(numbers[::2], numbers[1::2])
            shapes.append({"kind": "polygon", "points": open_ring(points)})
    return shapes


def _read_keypoints(value, place, faults, names):
    if not isinstance(value, list) or len(value) % 3:
        faults.append(
            f"{place}: found {show(value)}, expected the numbers [x1, y1, v1, "
            "x2, y2, v2, ...]."
        )
        return []
    if not are_numbers(value, place, faults):
        return []
    count = len(value) // 3
    if not isinstance(names, list) or len(names) != count:
        names = range(count)
    return [
        {
            "kind": "point",
            "points": as_shape_points([x], [y]),
            "part": str(name),
        }
        for name, x, y, visible in zip(
            names, value[::3], value[1::3], value[2::3], strict=True
        )
        if visible > 0
    ]
