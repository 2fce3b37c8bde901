"""Rows of the CSV files of points: cells to names and numbers.

A file is in one of two forms, of one row per image or of one row per point.
"""

import csv
import dataclasses
import io
import math

from keras_patching._faults import few
from keras_patching.data.labels.forms import describe_text_form
from keras_patching.data.labels.strict_json import (
    read_text,
)

_LONG_FORM = ("image", "x", "y")
EXPECTED_CSV = (
    "Expected a row name,x1,y1,x2,y2,... for each image, or the header "
    "image,x,y and then one point per row."
)


@dataclasses.dataclass(frozen=True)
class PointRow:
    """One row of the file.

    Attributes:
        line: Number of its line, from 1.
        name: Name of the image, as it is written.
        numbers: List of its coordinates x, y, x, y, ... as floats.
        faults: What is wrong with them, a list of sentences.
    """

    line: int
    name: str
    numbers: list[float]
    faults: list[str]


def read_rows(path, names):
    """Read the rows of a CSV file.

    Args:
        path: `pathlib.Path` of the file.
        names: `ImageNames`, by which a header is told from a row.

    Returns:
        List of `PointRow`, without the header, and whether there is one.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no CSV, its header is none of ours, or it is empty.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file. {EXPECTED_CSV}")
    rows = _split_rows(path)
    columns = _find_columns(path, rows, names)
    if columns is None:
        read = [_to_row(line, name, values) for line, (name, *values) in rows]
    else:
        (_, header), *rows = rows
        read = [_pick(line, cells, header, columns) for line, cells in rows]
    if not rows:
        raise ValueError(f"{path}: has no rows. {EXPECTED_CSV}")
    return read, columns is not None


def _pick(line, cells, header, columns):
    """Make a row of the cells below a header."""
    padded = cells + [""] * len(header)
    name, *values = [padded[column] for column in columns]
    faults = []
    if len(cells) > len(header):
        faults.append(
            f"found {len(cells)} values below a header of {len(header)}, "
            f"{','.join(header)}, expected no more. Remove what is too much; "
            "a decimal comma becomes a point, and text with a comma goes into "
            "quotation marks."
        )
    return _to_row(line, name, _trim(values), faults)


def _to_row(line, name, values, faults=()):
    numbers = [_to_number(value) for value in values]
    faults = [*faults, *_value_faults(values, numbers)]
    return PointRow(line, name, numbers, faults)


def _split_rows(path):
    """Split a CSV file into `(line, cells)`, without blank rows."""
    content = read_text(path)
    if content.lstrip().startswith(("<", "{", "[")):
        raise ValueError(
            f"{path}: is no CSV. {describe_text_form(content)}{EXPECTED_CSV}"
        )
    text = io.StringIO(content, newline="")
    reader = csv.reader(text, skipinitialspace=True)
    rows, line = [], 1
    try:
        for row in reader:
            if any("\n" in cell or "\r" in cell for cell in row):
                raise csv.Error("a quoted value runs over the end of the line")
            if cells := _trim(row):
                rows.append((line, cells))
            line = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(
            f"{path}, line {line}: cannot be read as CSV ({error}). Close or "
            "remove the quotation marks."
        ) from error
    return rows


def _trim(row):
    """Strip all cells, and drop empty ones at the end."""
    cells = [cell.strip() for cell in row]
    while cells and not cells[-1]:
        cells.pop()
    return cells


def _find_columns(path, rows, names):
    """Find the columns of the long form by its header; else `None`."""
    if not rows:
        return None
    line, cells = rows[0]
    header = [cell.lower() for cell in cells]
    counts = [header.count(column) for column in _LONG_FORM]
    if 0 in counts:
        if len(cells) > 1 and not _is_row(cells, names):
            raise ValueError(
                f"{path}, line {line}: found the header {','.join(cells)}, "
                "expected the columns image, x and y, or no header. Rename the "
                "columns, or remove the header."
            )
        return None
    if max(counts) > 1:
        raise ValueError(
            f"{path}, line {line}: found the header {','.join(cells)}, "
            "expected image, x and y once each. Rename the other columns."
        )
    return [header.index(column) for column in _LONG_FORM]


def _is_row(cells, names):
    """Tell a row from a header: it begins with an image, or holds a number."""
    is_number = [not math.isnan(_to_number(cell)) for cell in cells]
    return names.find(cells[0]) is not None or any(is_number)


def _to_number(cell):
    """Read a finite number; anything else is NaN."""
    try:
        number = float(cell.replace("_", "?"))  # Python reads 1_2 as 12
    except ValueError:
        return math.nan
    return number if math.isfinite(number) else math.nan


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
