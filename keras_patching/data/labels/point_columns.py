"""Tells by the header of a table which columns hold points, and of what.

Names are those of Fiji and ImageJ, QuPath, TrackMate and people's own.
"""

import dataclasses
import re

from keras_patching._faults import few

_IMAGE = ("image", "filename", "file", "image name", "file name", "img")
_CLASS = ("label", "class", "class name", "category", "classification")
# Kinds of axes, the surest first: ImageJ has both x and xm, the center of mass.
_AXES = (
    "{}",
    "{}m",
    "position {}",
    "pos {}",
    "centroid {}",
    "center {}",
    "{} position",
    "{} coordinate",
)
_SIZES = (("width", "height"), ("w", "h"))
_PIXELS = ("px", "pixel", "pixels")
_LENGTHS = (
    "µm",
    "um",
    "micron",
    "microns",
    "nm",
    "mm",
    "cm",
    "m",
    "in",
    "inch",
)
# Columns that ImageJ writes, and hardly anybody else beside points.
_IMAGEJ = {"area", "mean", "min", "max", "xm", "slice", "counter"}


@dataclasses.dataclass(frozen=True)
class PointColumns:
    """Where a table has what; each is the index of a column.

    Attributes:
        x, y: Coordinates.
        image: Name of the image, or `None`.
        label: Class of the point, or `None`.
        unread: Names of all other columns.
        is_imagej: Whether ImageJ may have written it.
        is_image_label: Whether the image is in a column called "label", where
            ImageJ joins names by colons.
    """

    x: int
    y: int
    image: int | None
    label: int | None
    unread: list[str]
    is_imagej: bool
    is_image_label: bool


def find_columns(header):
    """Find the columns of points.

    Args:
        header: List of the cells of the first row.

    Returns:
        `PointColumns`, or `None` where there are no columns x and y.

    Raises:
        ValueError: Which columns are meant is not clear, or their unit is no
            pixel; the message is a sentence without its place.
    """
    names = [_plain(cell) for cell in header]
    axes = _find_axes(names)
    if axes is None:
        return None
    x, y = axes
    _refuse_boxes(names)
    image = _find_one(header, names, _IMAGE)
    classes = [names.index(name) for name in _CLASS if name in names]
    is_image_label = image is None and "label" in names
    if is_image_label:
        image = classes.pop(0)
    label = classes[0] if classes else None
    if label is None and "counter" in names:
        label = names.index("counter")
    read = {x, y, image, label}
    return PointColumns(
        x=x,
        y=y,
        image=image,
        label=label,
        unread=[
            cell
            for index, cell in enumerate(header)
            if cell and index not in read
        ],
        is_imagej=is_image_label or bool(_IMAGEJ.intersection(names)),
        is_image_label=is_image_label,
    )


def _refuse_boxes(names):
    """Refuse x and y that may be a corner; ImageJ's are bx and by."""
    sizes = [each for each in _SIZES if set(each) <= set(names)]
    if sizes and "bx" not in names:
        raise ValueError(
            f"found the columns {' and '.join(sizes[0])} beside x and y, which "
            "may be the corner of a box then. If x and y are the points, "
            "remove these columns; if not, write the centers of the boxes, or "
            "load them by `load_yolo_dataset_from_directory`."
        )


def _find_axes(names):
    found = {}
    for kind in _AXES:
        pair = [_find_axis(names, kind.format(axis)) for axis in "xy"]
        if None not in pair:
            found[kind] = pair
    if not found:
        return None
    kinds = [_AXES[0]] if _AXES[0] in found else list(found)
    if len(kinds) > 1:
        listed = " and ".join(kind.format("x") for kind in kinds)
        raise ValueError(
            f"found the columns {listed}, expected one of x and one of y. "
            "Rename those that are meant x and y."
        )
    return found[kinds[0]]


def _find_axis(names, axis):
    """Give the index of an axis, or `None`; its unit may follow it."""
    units = {
        index: name.removeprefix(axis).strip()
        for index, name in enumerate(names)
        if name == axis or name.startswith(f"{axis} ")
    }
    for unit in units.values():
        if unit in _LENGTHS:
            raise ValueError(
                f"found the column {axis} {unit}, expected pixels. Divide the "
                "numbers by the size of a pixel, or remove the scale of the "
                "image and export again."
            )
    indices = [index for index, unit in units.items() if unit in ("", *_PIXELS)]
    if len(indices) > 1:
        raise ValueError(
            f"found the column {axis} {len(indices)} times, expected image, x "
            "and y once each. Rename the other columns."
        )
    return indices[0] if indices else None


def _find_one(header, names, known):
    """Give the index of the column that names the image, or `None`."""
    indices = [index for index, name in enumerate(names) if name in known]
    exact = [index for index in indices if names[index] == known[0]]
    chosen = exact or indices
    if len(chosen) > 1:
        listed = few([header[index] for index in chosen])
        raise ValueError(
            f"found the columns {listed}, expected one that names the image, "
            "once. Rename the other columns."
        )
    return chosen[0] if chosen else None


def _plain(cell):
    """Write the name of a column in small letters, words apart by spaces."""
    text = cell.lower().replace("\u03bc", "\u00b5")
    return " ".join(re.sub(r"[\s_()\[\]:]+", " ", text).split())
