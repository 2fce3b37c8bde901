"""Points in one CSV file: of one row per image, or of one row per point.

How cells are separated, and which headers there are, is known to `point_rows`.
"""

import pathlib
import re

from keras_patching._faults import raise_faults
from keras_patching.data.labels.files import (
    check_unlabelled,
    describe_unlabelled,
)
from keras_patching.data.labels.forms import describe_text_form
from keras_patching.data.labels.image_names import ImageNames
from keras_patching.data.labels.point_labels import to_point_labels
from keras_patching.data.labels.point_rows import EXPECTED_CSV, read_rows


def read_points_csv(label_file, images, unlabelled="error"):
    """Read the points of a folder's images from one CSV file.

    The file has no header and one row per image, `name,x1,y1,x2,y2,...`, where
    a lone name means no objects. Or it has the header `image,x,y` and one
    point per row: columns in any order, others ignored; a row whose x and y
    are empty names an image without objects. Names are those of the image
    files, with or without suffix.

    Args:
        label_file: Path of the CSV file, in UTF-8.
        images: Dict from stem to path, of `list_images`.
        unlabelled: What images are that the file does not name: an "error";
            left out, "skip"; or without objects, "empty".

    Returns:
        Dict from image path to `PointLabels`, in the order of `images`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: Lists all rows that cannot be used, and images without a
            row if these are an error.

    Example:

    >>> images = keras_patching.data.list_images("cells")
    >>> labels = read_points_csv("cells/points.csv", images)
    >>> labels[pathlib.Path("cells/slide_0.jpg")].points.shape
    (2, 2)
    """
    check_unlabelled(unlabelled)
    path = pathlib.Path(label_file)
    names = ImageNames(images)
    rows, long_form = read_rows(path, names)
    points = {image: [] for image in images.values()}
    first_rows, faults = {}, []
    for row in rows:
        image, row_faults = names.find(row.name), []
        if image is None:
            row_faults.append(_describe_unknown(row.name, names))
        else:
            first, filled = first_rows.setdefault(
                image, (row.line, bool(row.numbers))
            )
            if first != row.line and not (long_form and filled and row.numbers):
                row_faults.append(
                    f"found {image.name} again, after line {first}, expected "
                    "all its points in one row, or in rows of x and y below "
                    "the header image,x,y. Join or remove the rows."
                )
        place, row_faults = f"line {row.line}", row_faults + row.faults
        faults += [f"{path}, {place}: {fault}" for fault in row_faults]
        if not row_faults:
            pairs = zip(row.numbers[1::2], row.numbers[::2], strict=True)
            points[image] += [(y, x, place) for y, x in pairs]
    missing = [image for image in points if image not in first_rows]
    if unlabelled == "error":
        remedy = (
            "add a row with the name alone"
            if not long_form
            else "add a row with the name and x and y left empty"
        )
        faults += [
            f"{path}: {fault}"
            for fault in describe_unlabelled(missing, images, "row", remedy)
        ]
    raise_faults(faults, "Points that cannot be used", EXPECTED_CSV)
    used = [
        image
        for image in points
        if image in first_rows or unlabelled == "empty"
    ]
    return {image: to_point_labels(path, points[image]) for image in used}


def _describe_unknown(name, names):
    if re.search(r"[;\t]", name):
        return (
            f"found the name {name!r}, expected a name up to the first comma. "
            "Separate values by commas, and write decimals with a point."
        )
    if form := describe_text_form(name):
        return f"found {name!r}, expected the name of an image. {form}".strip()
    return names.describe_unknown(name, "row")
