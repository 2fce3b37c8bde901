"""Shapes of LabelMe, https://labelme.io: a JSON file for each image.

`{"version": "5.5.0", "flags": {}, "shapes": [{"label": "leaf", "points":
[[x, y], ...], "group_id": null, "shape_type": "polygon", "flags": {}}, ...],
"imagePath": "a.png", "imageData": null, "imageHeight": h, "imageWidth": w}`.

Points are continuous, as here. A circle is its center and a point on its edge;
a mask is PNG in base64, with its first and last pixel as points. Shapes of one
label and `group_id` are one object.
"""

import base64
import functools
import math
import re

import numpy as np

from keras_patching._faults import few
from keras_patching.data.images.image_io import decode_stored
from keras_patching.data.labels.json_values import (
    are_numbers,
    read_list,
    read_size,
    read_text_value,
    show,
)
from keras_patching.data.labels.shapes import (
    AnnotatedImage,
    Shape,
    as_shape_points,
    open_ring,
)
from keras_patching.data.labels.strict_json import to_dict

_PNG = b"\x89PNG\r\n\x1a\n"
# Kind of each shape_type, and the numbers of points that it may have.
_TYPES = {
    "polygon": ("polygon", range(3, 1 << 31)),
    "rectangle": ("box", (2, 4)),
    "oriented_rectangle": ("polygon", (4,)),
    "rotation": ("polygon", (4,)),  # of X-AnyLabeling
    "circle": ("ellipse", (2,)),
    "line": ("line", (2,)),
    "linestrip": ("line", range(2, 1 << 31)),
    "point": ("point", (1,)),
    "points": ("point", range(1, 1 << 31)),
    "mask": ("mask", (2,)),
}


def read_labelme(path, content, faults):
    """Read the shapes of one file.

    Args:
        path: `pathlib.Path` of the file.
        content: What `strict_json.load_any_json` reads.
        faults: List that what is wrong is added to, without the file.

    Returns:
        List of one `AnnotatedImage`; its image is called as the file, or as
        its "imagePath" without folders.
    """
    fields = to_dict(content, "top level", faults) or {}
    values = read_list(fields, "shapes", "", faults) or []
    shapes = []
    for index, value in enumerate(values):
        shapes += _read_shape(value, f'["shapes"][{index}]', faults)
    image_path = fields.get("imagePath")
    names = [path.stem]
    if isinstance(image_path, str) and image_path:
        names.append(re.split(r"[/\\]", image_path)[-1])
    keys = ("imageHeight", "imageWidth")
    known = {key: fields[key] for key in keys if fields.get(key) is not None}
    return [
        AnnotatedImage(
            label_file=path,
            names=tuple(dict.fromkeys(names)),
            shapes=shapes,
            declared_size=read_size(known, "top level", faults, keys),
        )
    ]


def _read_shape(value, place, faults):
    """Give a list of the `Shape` of an item; of "points" there are several."""
    fields = to_dict(value, place, faults)
    if fields is None:
        return []
    label = read_text_value(fields, "label", place, faults)
    shape_type = fields.get("shape_type", "polygon")
    if not isinstance(shape_type, str) or shape_type not in _TYPES:
        faults.append(
            f'{place}["shape_type"]: found {show(shape_type)}, expected one of '
            f"{few(list(_TYPES), len(_TYPES))}. Draw it as one of these, or "
            "remove it."
        )
        return []
    points = _read_points(fields, shape_type, place, faults)
    if label is None or points is None:
        return []
    group = fields.get("group_id")
    make = functools.partial(
        Shape,
        label=label,
        place=place,
        instance=place if group is None else (label, str(group)),
    )
    kind, _ = _TYPES[shape_type]
    if kind == "mask":
        return _read_mask(fields, points, make, place, faults)
    if kind == "point":
        return [make(kind=kind, points=each[None]) for each in points]
    kind, points = _as_shape(kind, points)
    return [make(kind=kind, points=points)]


def _read_points(fields, shape_type, place, faults):
    """Give float64 points `(n, 2)` of (y, x), or `None`."""
    values = read_list(fields, "points", place, faults)
    if values is None:
        return None
    place = f'{place}["points"]'
    for index, value in enumerate(values):
        if not isinstance(value, list) or len(value) != 2:
            faults.append(
                f"{place}[{index}]: found {show(value)}, expected [x, y]."
            )
            return None
        if not are_numbers(value, f"{place}[{index}]", faults):
            return None
    _, numbers = _TYPES[shape_type]
    if len(values) not in numbers:
        expected = (
            f"{numbers[0]} or more"
            if isinstance(numbers, range)
            else " or ".join(map(str, numbers))
        )
        faults.append(
            f"{place}: found {len(values)} points, expected {expected} of a "
            f"{shape_type}. Draw it again, or remove it."
        )
        return None
    return as_shape_points(*zip(*values, strict=True))


def _as_shape(kind, points):
    """Give the kind and the points that a `Shape` has."""
    if kind == "box" and len(points) == 4:
        kind = "polygon"  # Of four corners it may be turned.
    if kind == "box":
        points = np.sort(points, axis=0)
    elif kind == "ellipse":
        radius = math.dist(*points)
        with np.errstate(over="ignore"):  # a fault of all forms
            points = points[0] + [[0, 0], [0, radius], [radius, 0]]
    elif kind == "polygon":
        points = open_ring(points)
    return kind, points


def _read_mask(fields, corners, make, place, faults):
    """Give a list of the mask of an item, whose points are its end pixels."""
    text = read_text_value(fields, "mask", place, faults)
    if text is None:
        return []
    try:
        pixels = _decode_png(text)
    except (ValueError, OSError) as error:
        faults.append(
            f'{place}["mask"]: cannot be decoded ({error}). Expected PNG in '
            "base64, as LabelMe writes it."
        )
        return []
    first = np.round(corners.min(axis=0))
    size = np.round(corners.max(axis=0)) - first + 1
    if pixels.shape != tuple(size):
        height, width = (int(length) for length in size)
        faults.append(
            f'{place}["mask"]: its size (height, width) is {pixels.shape}, '
            f"expected {(height, width)} as its points say. Draw it again."
        )
        return []
    points = np.stack([first, first + size])
    return [make(kind="mask", points=points, pixels=lambda: pixels)]


def _decode_png(text):
    """Decode PNG in base64 to a bool array `(height, width)`."""
    data = base64.b64decode(text, validate=True)
    if not data.startswith(_PNG):
        raise ValueError("it is no PNG")
    pixels, _ = decode_stored(data, "the PNG", "mask")
    if pixels.shape[2] > 1:
        raise ValueError(f"it has {pixels.shape[2]} channels, expected one")
    return pixels[..., 0] > 0
