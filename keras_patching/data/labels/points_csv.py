"""Points in one table: of one row per image, or of one row per point.

Which columns there are, and how cells are separated, is known to `point_rows`.
"""

import dataclasses
import pathlib
import re

from keras_patching._faults import raise_faults
from keras_patching.data.labels.files import (
    check_unlabelled,
    unlabelled_faults,
)
from keras_patching.data.labels.forms import describe_text_form
from keras_patching.data.labels.image_names import ImageNames
from keras_patching.data.labels.point_labels import FoundPoint, to_point_labels
from keras_patching.data.labels.point_rows import (
    EXPECTED_CSV,
    UNIT_OF_IMAGEJ,
    describe_columns,
    read_rows,
)


def read_points_csv(label_file, images, unlabelled="error"):
    """Read the points of a folder's images from one table.

    The file has no header and one row per image, `name,x1,y1,x2,y2,...`, where
    a lone name means no objects. Or it has a header with the columns image, x
    and y, or as Fiji and others call them (see `point_columns`), and one point
    per row: columns in any order, others ignored; a row whose x and y are
    empty names an image without objects. Names are those of the image files,
    with or without suffix. Commas, semicolons (decimals may have commas then)
    or tabs separate values; text is UTF-8, or UTF-16 with a byte order mark.

    Args:
        label_file: Path of the file.
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
    labels, _ = read_points_table(label_file, images, unlabelled)
    return labels


def read_points_table(label_file, images, unlabelled):
    """Read as `read_points_csv`, and say which columns were read.

    Returns:
        The same dict, and a list of sentences.
    """
    check_unlabelled(unlabelled)
    path = pathlib.Path(label_file)
    names = ImageNames(images)
    table = read_rows(path, names)
    _check_image_column(path, table, names)
    points = {image: [] for image in images.values()}
    first_rows, faults = {}, []
    for row in table.rows:
        image, row_faults = _find_image(row.name, names, table), []
        if image is None:
            row_faults.append(_describe_unknown(row.name, names))
        else:
            first, filled = first_rows.setdefault(
                image, (row.line, bool(row.numbers))
            )
            is_next_point = table.columns and filled and row.numbers
            if first != row.line and not is_next_point:
                row_faults.append(
                    f"found {image.name} again, after line {first}, expected "
                    "all its points in one row, or in rows of x and y below "
                    "the header image,x,y. Join or remove the rows."
                )
        row_faults += row.faults
        faults += [f"{path}, line {row.line}: {fault}" for fault in row_faults]
        if not row_faults:
            points[image] += points_of(row)
    missing = [image for image in points if image not in first_rows]
    if unlabelled == "error":
        remedy = (
            "add a row with the name alone"
            if table.columns is None
            else "add a row with the name and x and y left empty"
        )
        faults += unlabelled_faults(path, missing, images, "row", remedy)
    raise_faults(faults, "Points that cannot be used", EXPECTED_CSV)
    used = [
        image
        for image in points
        if image in first_rows or unlabelled == "empty"
    ]
    labels = {
        image: to_point_labels(path, points[image], hint=hint_of(table))
        for image in used
    }
    return labels, describe_columns(path.name, table)


def points_of(row):
    """Give the list of `FoundPoint` of a `PointRow` without faults."""
    place = f"line {row.line}"
    pairs = zip(row.numbers[1::2], row.numbers[::2], strict=True)
    return [FoundPoint(y, x, place, row.label) for y, x in pairs]


def hint_of(table):
    """Say what may explain points of a table outside of their image."""
    is_imagej = table.columns is not None and table.columns.is_imagej
    return UNIT_OF_IMAGEJ if is_imagej else ""


def _check_image_column(path, table, names):
    """Refuse a header without a column that names images."""
    columns = table.columns
    if columns is None:
        return
    is_class = columns.is_image_label and not _names_images(table, names)
    if columns.image is None or is_class:
        found = f" of labels such as {table.rows[0].name!r}" if is_class else ""
        raise ValueError(
            f"{path}: found the header {','.join(table.header)}{found}, "
            "expected a column that names the image of each point: image, or "
            "Label as of ImageJ and Fiji (Analyze > Set Measurements > Display "
            "label). Or write a table for each image, called as the image, and "
            f"pass their folder. {EXPECTED_CSV}"
        )


def _names_images(table, names):
    return any(_find_image(row.name, names, table) for row in table.rows)


def _find_image(name, names, table):
    """Find the image of a row; ImageJ joins image, region and slice by ":"."""
    image = names.find(name)
    if image or not (table.columns and table.columns.is_image_label):
        return image
    found = {names.find(part) for part in name.split(":")} - {None}
    return found.pop() if len(found) == 1 else None


def _describe_unknown(name, names):
    if re.search(r"[,;\t]", name):
        return (
            f"found the name {name!r}, expected a name up to the first comma, "
            "semicolon or tab, as in the other rows. Separate the values of "
            "all rows alike."
        )
    if form := describe_text_form(name):
        return f"found {name!r}, expected the name of an image. {form}".strip()
    return names.describe_unknown(name, "row")


def read_image_table(path, image, names, faults, notes):
    """Read the points of a table of one image, below a header.

    Args:
        path: `pathlib.Path` of the file.
        image: Path of the image.
        names: `ImageNames` of all images.
        faults, notes: Lists that are added to.

    Returns:
        `PointLabels`.

    Raises:
        ValueError: It is no such table.
    """
    table = read_rows(path, names, may_be_empty=True)
    if table.columns is None:
        raise ValueError(
            f"{path}: has no header, expected one with the columns x and y, "
            "and a row for each point. Add it."
        )
    is_class = table.columns.is_image_label and not _names_images(table, names)
    points = []
    for row in table.rows:
        row_faults = list(row.faults)
        if is_class:
            row = dataclasses.replace(row, label=row.name)
        elif row.name and _find_image(row.name, names, table) != image:
            row_faults.append(
                f"found the name {row.name!r} in the table of {image.name}. "
                "Correct it, or rename the file."
            )
        faults += [f"{path}, line {row.line}: {fault}" for fault in row_faults]
        if not row_faults:
            points += points_of(row)
    notes += describe_columns(f"*{path.suffix}", table)
    return to_point_labels(path, points, hint=hint_of(table))
