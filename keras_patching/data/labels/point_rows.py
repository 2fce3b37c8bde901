"""Rows of the tables of points: cells to names and numbers.

A table is in one of two forms, of one row per image without a header, or of
one row per point below one.
"""

import dataclasses
import math

from keras_patching._faults import few
from keras_patching.data.labels.point_columns import PointColumns, find_columns
from keras_patching.data.labels.tables import (
    DELIMITERS,
    find_decimal_mark,
    read_table,
    to_number,
    trim,
)

UNIT_OF_IMAGEJ = (
    "If ImageJ or Fiji showed the image in another unit, such as µm, remove it "
    "(Analyze > Set Scale > Click to Remove Scale), and measure again."
)
EXPECTED_CSV = (
    "Expected a row name,x1,y1,x2,y2,... for each image, or the header "
    "image,x,y, its columns in any order, and then one point per row."
)


@dataclasses.dataclass(frozen=True)
class PointRow:
    """One row of the file.

    Attributes:
        line: Number of its line, from 1.
        name: Name of the image, as it is written.
        numbers: List of its coordinates x, y, x, y, ... as floats.
        faults: What is wrong with them, a list of sentences.
        label: Class of its points, or `None`.
    """

    line: int
    name: str
    numbers: list[float]
    faults: list[str]
    label: str | None = None


@dataclasses.dataclass(frozen=True)
class PointTable:
    """A table of points.

    Attributes:
        rows: List of `PointRow`, without the header.
        header: Its header, a list of cells, or `None`.
        columns: `PointColumns` of the header, or `None`.
        delimiter: What separates cells.
        decimal_mark: "." or ",".
    """

    rows: list[PointRow]
    header: list[str] | None
    columns: PointColumns | None
    delimiter: str
    decimal_mark: str


def read_rows(path, names, may_be_empty=False):
    """Read the rows of a table of points.

    Args:
        path: `pathlib.Path` of the file.
        names: `ImageNames`, by which a header is told from a row.
        may_be_empty: Whether a header alone will do.

    Returns:
        `PointTable`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no table, its header is none of ours, or it is empty.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file. {EXPECTED_CSV}")

    def fits(rows):
        has_header = bool(rows) and _has_axes(rows[0][1])
        return has_header or any(
            len(cells) > 1 and names.find(cells[0]) for _, cells in rows
        )

    rows, delimiter = read_table(path, EXPECTED_CSV, fits)
    columns = _find_columns(path, rows, names)
    header = None
    if columns is not None:
        (_, header), *rows = rows
    if not rows and not (may_be_empty and header):
        raise ValueError(f"{path}: has no rows. {EXPECTED_CSV}")
    picked = [_pick(cells, header, columns) for _, cells in rows]
    values = [
        (line, value)
        for (line, _), (_, values, *_) in zip(rows, picked, strict=True)
        for value in values
    ]
    mark = find_decimal_mark(path, values, delimiter)
    read = [
        _to_row(line, *row, mark)
        for (line, _), row in zip(rows, picked, strict=True)
    ]
    return PointTable(read, header, columns, delimiter, mark)


def describe_columns(name, table):
    """Say which columns of a table were read, in a list of sentences.

    Args:
        name: What the file, or all such files, are called.
        table: `PointTable`.
    """
    columns = table.columns
    if columns is None:
        return []
    indices = (columns.image, columns.x, columns.y, columns.label)
    read = [table.header[index] for index in indices if index is not None]
    unread = f", not {few(columns.unread, 20, str)}" if columns.unread else ""
    notes = [
        f"{name}: read the columns {', '.join(read)}{unread}; separated "
        f"by {DELIMITERS[table.delimiter]}, decimals after a "
        f"{'comma' if table.decimal_mark == ',' else 'point'}."
    ]
    if columns.is_imagej:
        notes.append(f"{name}: x and y are taken as pixels. {UNIT_OF_IMAGEJ}")
    return notes


def _pick(cells, header, columns):
    """Give name, values, faults and label of a row."""
    if columns is None:
        return cells[0], cells[1:], [], None
    padded = cells + [""] * len(header)
    faults = []
    if len(cells) > len(header):
        faults.append(
            f"found {len(cells)} values below a header of {len(header)}, "
            f"{','.join(header)}, expected no more. Remove what is too much; "
            "a decimal comma becomes a point, and text with a comma goes into "
            "quotation marks."
        )
    name = "" if columns.image is None else padded[columns.image]
    label = None if columns.label is None else padded[columns.label]
    return name, trim([padded[columns.x], padded[columns.y]]), faults, label


def _to_row(line, name, values, faults, label, mark):
    numbers = [to_number(value, mark) for value in values]
    faults = [*faults, *_value_faults(values, numbers)]
    return PointRow(line, name, numbers, faults, label)


def _has_axes(cells):
    try:
        return find_columns(cells) is not None
    except ValueError:
        return True


def _find_columns(path, rows, names):
    """Find the columns of a header; `None` if there is none."""
    if not rows:
        return None
    line, cells = rows[0]
    try:
        columns = find_columns(cells)
    except ValueError as error:
        raise ValueError(f"{path}, line {line}: {error}") from error
    if columns is None and len(cells) > 1 and not _is_row(cells, names):
        via = (
            " It is CSV of the VGG Image Annotator: export it as JSON."
            if "region_shape_attributes" in cells
            else ""
        )
        raise ValueError(
            f"{path}, line {line}: found the header {','.join(cells)}, "
            f"expected the columns image, x and y, or no header.{via} Rename "
            "the columns, or remove the header."
        )
    return columns


def _is_row(cells, names):
    """Tell a row from a header: it begins with an image, or holds a number."""
    is_number = [
        not math.isnan(to_number(cell, mark)) for cell in cells for mark in ".,"
    ]
    return names.find(cells[0]) is not None or any(is_number)


def _value_faults(values, numbers):
    faults = []
    pairs = zip(values, numbers, strict=True)
    if wrong := [value for value, number in pairs if math.isnan(number)]:
        faults.append(
            f"found {few(wrong)} as coordinates, expected finite numbers "
            "such as 12 or 12.5. Correct them."
        )
    if len(values) % 2:
        faults.append(
            f"found {len(values)} coordinates, expected pairs of x and y. Add "
            "what is missing, or remove what is too many."
        )
    return faults
