"""One entry of a JSON file of boxes: its values to boxes, slip by slip.

Values are those of `strict_json.load_json`. What is wrong is added to a list
of faults, each with its place in the file, `["img_1"]["objects"][3]`, and
without the file itself.
"""

import pathlib
import typing

from keras_patching._faults import few
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


class BoxObject(typing.NamedTuple):
    """One object.

    Args:
        corners: `(y1, x1, y2, x2)` in pixels, in the order that boxes are
            sorted by, with y1 <= y2 and x1 <= x2.
        label: Name of its label, or `None` if it has none.
        place: Its place in the file.
    """

    corners: tuple[float, float, float, float]
    label: str | None
    place: str

    @property
    def has_area(self):
        """Whether the box is wider and higher than nothing."""
        y1, x1, y2, x2 = self.corners
        return y1 < y2 and x1 < x2


class BoxEntry(typing.NamedTuple):
    """What a file says of one image.

    Args:
        image: Path of the image, or `None` if there is none of its name.
        objects: List of `BoxObject`.
        declared_size: `(height, width)` in pixels, or `None`.
        place: Its place in the file.
    """

    image: pathlib.Path | None
    objects: list[BoxObject] = []  # noqa: RUF012
    declared_size: tuple[int, int] | None = None
    place: str = ""


def read_entry(key, value, names, objects_key, faults):
    """Read one entry.

    Args:
        key: Its key.
        value: Its value.
        names: `ImageNames` of all images.
        objects_key: Key of the list of objects; "plants" stands for "objects".
        faults: List that what is wrong is added to.

    Returns:
        A `BoxEntry`.
    """
    place = f"[{quote(key)}]"
    fields = to_dict(value, place, faults)
    image = find_image(key, fields or {}, place, names, faults)
    if fields is None:
        return BoxEntry(image, [], None, place)
    objects = read_objects(fields, place, objects_key, faults)
    return BoxEntry(image, objects, read_size(fields, place, faults), place)


def find_image(key, fields, place, names, faults):
    """Find the image of an entry by its `file_name`, else by its key.

    Args:
        key: Its key, or `None` if it has none.
        fields: Dict of the entry.
        place: Place of the entry.
        names: `ImageNames` of all images.
        faults: List that what is wrong is added to.

    Returns:
        Path of the image, or `None`.
    """
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


def read_objects(fields, place, objects_key, faults):
    """Read the objects of an entry.

    Args:
        fields: Dict of the entry.
        place: Place of the entry.
        objects_key: Key of the list of objects.
        faults: List that what is wrong is added to.

    Returns:
        List of `BoxObject`, without those that are wrong.
    """
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
    if len(xs) == 2 and (xs[0] > xs[1] or ys[0] > ys[1]):
        return (
            f"found x={xs[0]:.15g} to {xs[1]:.15g}, y={ys[0]:.15g} to "
            f"{ys[1]:.15g}, expected the smaller first. Swap them, if the box "
            "is right; if the second are its width and height, add them to "
            "the first."
        )
    return None
