"""Boxes in a table: CSV with a header and one box per row.

`image,xmin,ymin,xmax,ymax,label`, in any order and by the names that tools
give these columns; others are left out. Instead of the second corner there may
be `width` and `height` of the box. A row whose numbers are empty names an image
without objects.
"""

import math
import re

from keras_patching._faults import few
from keras_patching.data.labels.box_entries import (
    BoxEntry,
    BoxFile,
    BoxObject,
    describe_corners,
)
from keras_patching.data.labels.tables import (
    find_decimal_mark,
    read_table,
    to_number,
)

EXPECTED_CSV = (
    "Expected the header image,xmin,ymin,xmax,ymax,label and then one box per "
    "row, in pixels."
)
# What columns are called, in small letters and without what parts words.
_NAMES = {
    "image": "image filename file imagename imagefile imageid imagepath path",
    "x1": "xmin x1 left bboxxmin xtl minx bx",
    "y1": "ymin y1 top bboxymin ytl miny by",
    "x2": "xmax x2 right bboxxmax xbr maxx",
    "y2": "ymax y2 bottom bboxymax ybr maxy",
    "label": "label class classname labelname category name species",
    "width": "width w bboxwidth boxwidth",
    "height": "height h bboxheight boxheight",
}
_CORNER = ["x1", "y1", "x2", "y2"]
_CORNER_AND_SIZE = ["x1", "y1", "width", "height"]


def read_boxes_csv(path, names, faults):
    """Read the boxes of all images of a table.

    Args:
        path: `pathlib.Path` of the file.
        names: `ImageNames` of all images.
        faults: List that what is wrong is added to, with file and place.

    Returns:
        A `BoxFile`.

    Raises:
        ValueError: It is no table, or has no columns of boxes.
    """
    rows, delimiter = read_table(path, EXPECTED_CSV, _has_header)
    columns = _find_columns(path, rows)
    rows = [(line, _pick(cells, columns)) for line, cells in rows[1:]]
    keys = _keys_of_box(columns)
    cells = [(line, row[key]) for line, row in rows for key in keys]
    mark = find_decimal_mark(path, cells, delimiter)
    entries = {}
    for line, row in rows:
        place = f"line {line}"
        image = names.find(row["image"])
        if image is None:
            unknown = names.describe_unknown(row["image"], "row")
            faults.append(f"{path}, {place}: {unknown}")
            continue
        entry = entries.setdefault(
            image, BoxEntry(path, image, [], _size(row, keys), place)
        )
        try:
            box = _read_box(row, keys, mark, place)
            if _size(row, keys) != entry.declared_size:
                raise ValueError(
                    f"found another size of {image.name} than in "
                    f"{entry.place}. Correct width and height."
                )
        except ValueError as error:
            faults.append(f"{path}, {place}: {error}")
            continue
        if box is not None:
            entry.objects.append(box)
    return BoxFile(
        list(entries.values()),
        noun="row",
        remedy="add a row with the name of the image and no numbers for each",
    )


def _has_header(rows):
    return bool(rows) and {"image", "x1", "y1"} <= _match(rows[0][1]).keys()


def _match(header):
    """Give a dict from what columns hold to all columns that may."""
    found = {}
    for index, cell in enumerate(header):
        plain = re.sub(r"[\W_]+", "", cell.lower())
        for key, known in _NAMES.items():
            if plain in known.split():
                found.setdefault(key, []).append(index)
    return found


def _find_columns(path, rows):
    """Give a dict from what columns hold to their indices."""
    header = rows[0][1] if rows else []
    found = _match(header)
    if not {"image", *_keys_of_box(found)} <= found.keys():
        hint = ""
        if "region_shape_attributes" in header:
            hint = " It is of the VGG Image Annotator: export JSON there."
        if {"x", "y"} <= {cell.lower() for cell in header}:
            hint = (
                " Of x, y, width and height it is not clear whether x and y "
                "are a corner: if they are, call them xmin and ymin."
            )
        raise ValueError(
            f"{path}, line 1: found the columns {few(header, 12) or 'none'}."
            f"{hint} {EXPECTED_CSV}"
        )
    for indices in found.values():
        if len(indices) > 1:
            listed = few([header[index] for index in indices])
            raise ValueError(
                f"{path}, line 1: found the columns {listed}, expected one of "
                "these. Rename or remove the others."
            )
    return {key: index for key, (index,) in found.items()}


def _keys_of_box(columns):
    """Give the keys of a box: beside a second corner sizes are the image's."""
    return _CORNER if {"x2", "y2"} & columns.keys() else _CORNER_AND_SIZE


def _pick(cells, columns):
    """Give a dict of the cells of a row by what they hold."""
    return {
        key: cells[index] if index < len(cells) else ""
        for key, index in columns.items()
    }


def _size(row, keys):
    """Give `(height, width)` of the image that a row declares, or `None`.

    Beside two corners, width and height are those of the image.
    """
    size = [to_number(row.get(key, "")) for key in ("height", "width")]
    is_size = all(number > 0 and number.is_integer() for number in size)
    return tuple(map(int, size)) if keys == _CORNER and is_size else None


def _read_box(row, keys, mark, place):
    """Give a `BoxObject`, or `None` of a row whose numbers are empty.

    Raises:
        ValueError: What is wrong, without its place.
    """
    cells = [row[key] for key in keys]
    if not any(cells):
        return None
    numbers = [to_number(cell, mark) for cell in cells]
    for cell, number in zip(cells, numbers, strict=True):
        if math.isnan(number):
            raise ValueError(
                f"found {cell!r}, expected a finite number. Correct it, or "
                "leave all numbers empty for an image without objects."
            )
    x1, y1, x2, y2 = numbers
    if keys == _CORNER_AND_SIZE:
        x2, y2 = x1 + x2, y1 + y2
    if fault := describe_corners(x1, y1, x2, y2):
        raise ValueError(fault)
    return BoxObject((y1, x1, y2, x2), row.get("label") or None, place)
