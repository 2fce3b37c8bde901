"""Shapes of the VGG Image Annotator, https://www.robots.ox.ac.uk/~vgg/software/via.

A project has its images in `"_via_img_metadata"`, an export is these alone:
`{"a.png1234": {"filename": "a.png", "size": 1234, "regions":
[{"shape_attributes": {"name": "rect", "x": x, "y": y, "width": w, "height":
h}, "region_attributes": {"label": "leaf"}}, ...], "file_attributes": {}}}`,
where `"size"` counts bytes. In version 1 regions are an object,
`{"0": {...}}`. Coordinates are where the mouse was, taken as continuous.

Attributes have the names that people gave them. The label is that of the only
one in the file; of several it is "label", or the only one whose name says so.
"""

import dataclasses
import functools
import math

import numpy as np

from keras_patching._faults import few
from keras_patching.data.labels.json_values import (
    are_numbers,
    quote,
    read_list,
    read_numbers,
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

_IMAGES = "_via_img_metadata"
# Names of attributes that hold a label, in lower case.
_LABELS = {
    "label",
    "class",
    "class_name",
    "name",
    "category",
    "type",
    "species",
}
# The fewest points of what is drawn point by point.
_FEWEST = {"polygon": 3, "polyline": 2}


def read_via(path, content, faults):
    """Read the shapes of all images of a file.

    Args:
        path, content, faults: As for `read_labelme`.

    Returns:
        List of `AnnotatedImage`.
    """
    start = ""
    fields = _fields(content)
    if any(str(key).startswith("_via_") for key in fields):
        content, start = fields.get(_IMAGES), f"[{quote(_IMAGES)}]"
    entries = to_dict(content, start or "top level", faults) or {}
    found = (
        _read_image(path, value, f"{start}[{quote(key)}]", faults)
        for key, value in entries.items()
    )
    images = [image for image in found if image is not None]
    _label_shapes(images)
    return images


def _label_shapes(images):
    """Give all shapes of a file the label that one attribute tells.

    A region without it has none, whatever else is said of it.
    """
    shapes = [shape for image in images for shape in image.shapes]
    name = _label_attribute(
        {name for each in shapes for name in each.attributes}
    )
    for image in images:
        image.shapes[:] = [
            dataclasses.replace(shape, label=shape.attributes.get(name))
            for shape in image.shapes
        ]


def _label_attribute(names):
    """Give the attribute that is the label, or `None` if several may be it."""
    named = {name for name in names if name.lower() in _LABELS}
    exact = {name for name in named if name.lower() == "label"}
    likely = exact or named or names
    return next(iter(likely)) if len(likely) == 1 else None


def _read_image(path, value, place, faults):
    fields = to_dict(value, place, faults)
    if fields is None:
        return None
    name = read_text_value(fields, "filename", place, faults)
    regions = fields.get("regions")
    if isinstance(regions, tuple):  # version 1
        pairs = to_dict(regions, f'{place}["regions"]', faults) or {}
        items = [(quote(key), region) for key, region in pairs.items()]
    else:
        items = enumerate(read_list(fields, "regions", place, faults) or [])
    shapes = [
        _read_region(region, f'{place}["regions"][{key}]', faults)
        for key, region in items
    ]
    if name is None:
        return None
    return AnnotatedImage(
        label_file=path,
        names=(name,),
        shapes=[shape for shape in shapes if shape is not None],
        place=place,
    )


def _read_region(value, place, faults):
    region = to_dict(value, place, faults)
    if region is None:
        return None
    where = f'{place}["shape_attributes"]'
    fields = to_dict(region.get("shape_attributes"), where, faults)
    attributes = _read_attributes(region, place, faults)
    if fields is None or attributes is None:
        return None
    name = fields.get("name")
    if not isinstance(name, str) or name not in _READERS:
        faults.append(
            f'{where}["name"]: found {show(name)}, expected one of '
            f"{few(list(_READERS), len(_READERS))}. Draw it as one of these, "
            "or remove it."
        )
        return None
    kind, read = _READERS[name]
    points = read(fields, where, faults)
    if points is None:
        return None
    return Shape(
        kind=kind,
        points=points,
        label=None,
        place=place,
        instance=place,
        attributes=attributes,
    )


def _read_attributes(region, place, faults):
    """Give the texts of a region's attributes, by their names."""
    pairs = region.get("region_attributes", ())
    attributes = to_dict(pairs, f'{place}["region_attributes"]', faults)
    if attributes is None:
        return None
    values = {name: _as_text(value) for name, value in attributes.items()}
    return {name: value for name, value in values.items() if value}


def _as_text(value):
    """Give the text of an attribute; boxes to tick are an object of options."""
    ticked = [name for name, is_on in _fields(value).items() if is_on]
    if len(ticked) == 1:
        return ticked[0]
    return value.strip() if isinstance(value, str) else None


def _read_box(fields, place, faults):
    keys = ("x", "y", "width", "height")
    numbers = read_numbers(fields, keys, place, faults)
    if numbers is None:
        return None
    x, y, width, height = numbers
    if width < 0 or height < 0:
        faults.append(
            f"{place}: found the width {width:.15g} and height {height:.15g}, "
            "expected none below 0. Draw it again."
        )
        return None
    return as_shape_points([x, x + width], [y, y + height])


def _read_ellipse(radii, fields, place, faults):
    """Read a circle or ellipse, whose `theta` turns it, in radians."""
    numbers = read_numbers(fields, ("cx", "cy", *radii), place, faults)
    theta = (
        read_numbers(fields, ("theta",), place, faults)
        if "theta" in fields
        else [0.0]
    )
    if numbers is None or theta is None:
        return None
    x, y, first, second = [*numbers, numbers[-1]][:4]
    cos, sin = math.cos(theta[0]), math.sin(theta[0])
    return as_shape_points(
        [x, x + first * cos, x - second * sin],
        [y, y + first * sin, y + second * cos],
    )


def _read_point(fields, place, faults):
    numbers = read_numbers(fields, ("cx", "cy"), place, faults)
    return None if numbers is None else np.array([numbers[::-1]])


def _read_corners(name, fields, place, faults):
    axes = []
    for key in ("all_points_x", "all_points_y"):
        values = read_list(fields, key, place, faults)
        if values is None or not are_numbers(
            values, f"{place}[{quote(key)}]", faults
        ):
            return None
        axes.append(values)
    xs, ys = axes
    if len(xs) != len(ys) or len(xs) < _FEWEST[name]:
        faults.append(
            f"{place}: found {len(xs)} numbers in all_points_x and {len(ys)} "
            f"in all_points_y, expected as many, and {_FEWEST[name]} or more "
            f"of a {name}. Draw it again, or remove it."
        )
        return None
    points = as_shape_points(xs, ys)
    return open_ring(points) if name == "polygon" else points


# Kind of each name of a shape, and what reads its points.
_READERS = {
    "rect": ("box", _read_box),
    "polygon": ("polygon", functools.partial(_read_corners, "polygon")),
    "polyline": ("line", functools.partial(_read_corners, "polyline")),
    "circle": ("ellipse", functools.partial(_read_ellipse, ("r",))),
    "ellipse": ("ellipse", functools.partial(_read_ellipse, ("rx", "ry"))),
    "point": ("point", _read_point),
}


def _fields(content):
    return dict(content) if isinstance(content, tuple) else {}
