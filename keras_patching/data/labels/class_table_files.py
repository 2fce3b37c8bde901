"""Reads tables of classes that lie beside masks: names, colours, values.

Read are `classes.csv`, CamVid's `class_dict.csv` and Roboflow's `_classes.csv`,
which have a header; CamVid's `label_colors.txt`, whose lines are of red, green,
blue and a name; and CVAT's `labelmap.txt`, of `name:red,green,blue:parts:...`.
"""

import collections
import csv
import pathlib
import re

from keras_patching._faults import raise_faults
from keras_patching.data.labels.class_tables import ClassTable
from keras_patching.data.labels.strict_json import read_text

NAMES = (
    "classes.csv",
    "class_dict.csv",
    "_classes.csv",
    "label_colors.txt",
    "labelmap.txt",
)
_COLUMNS = {
    "name": ("name", "class", "class_name", "label"),
    "id": (
        "id",
        "value",
        "class_id",
        "pixel value",
        "label_id",
        "index",
        "idx",
        "class_index",
    ),
    "r": ("r", "red"),
    "g": ("g", "green"),
    "b": ("b", "blue"),
}
_EXPECTED = (
    "Expected the header name,r,g,b, or name,id, or name,id,r,g,b, and a row "
    "per class, that of the background first; or without a header rows such "
    "as `64 128 64 Animal`."
)
_LINE = re.compile(r"\s*(?P<r>\d+)\s+(?P<g>\d+)\s+(?P<b>\d+)\s+(?P<name>\S.*)")
_CVAT_LINE = re.compile(r"(?P<name>[^:#]+):(?P<r>\d+),(?P<g>\d+),(?P<b>\d+):.*")


def find_class_table(folder):
    """Find the table in a folder of masks.

    Returns:
        `ClassTable`, or `None` if there is no such file.

    Raises:
        ValueError: If there are several, or it cannot be read.
    """
    folder = pathlib.Path(folder)
    found = [folder / name for name in NAMES if (folder / name).is_file()]
    if len(found) > 1:
        listed = " and ".join(path.name for path in found)
        raise ValueError(
            f"{folder}: holds {listed}, expected one table of classes. Remove "
            "all but one."
        )
    return read_class_table(found[0]) if found else None


def read_class_table(path):
    """Read a table of classes.

    Args:
        path: Path of a file in one of the forms that the module tells.

    Returns:
        `ClassTable`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: Lists what is wrong with its lines.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file. {_EXPECTED}")
    lines = read_text(path).splitlines()
    written = [line for line in lines if line.strip()]
    of_cvat = path.name == "labelmap.txt"
    if of_cvat or (written and _LINE.fullmatch(written[0])):
        rows, faults = _read_lines(
            path, lines, _CVAT_LINE if of_cvat else _LINE
        )
    else:
        rows, faults = _read_rows(path, lines)
    if not faults:
        faults = _find_twice(path, rows)
    raise_faults(faults, "A table of classes that cannot be used", _EXPECTED)
    first = rows[0]
    return ClassTable(
        str(path),
        [row["name"] for row in rows] if "name" in first else None,
        [row["color"] for row in rows] if "color" in first else None,
        [row["id"] for row in rows] if "id" in first else None,
    )


def _read_lines(path, lines, form):
    rows, faults = [], []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        where = f"{path}, line {number}"
        match = form.fullmatch(line)
        if match is None:
            faults.append(
                f"{where}: found {line!r}, expected red, green, blue and a "
                "name, as in the other lines."
            )
        else:
            rows.append(_checked(match.groupdict(), where, faults))
    return rows, faults or ([] if rows else [f"{path}: has no rows."])


def _read_rows(path, lines):
    head = lines[0] if lines else ""
    delimiter = max(",;\t", key=head.count)
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
    rows, faults, columns = [], [], None
    try:
        lines_of_cells = [(reader.line_num, cells) for cells in reader]
    except csv.Error as error:
        where = f"{path}, line {reader.line_num}"
        return [], [f"{where}: cannot be read as CSV ({error})."]
    for line, cells in lines_of_cells:
        if not any(cell.strip() for cell in cells):
            continue
        where = f"{path}, line {line}"
        cells = [cell.strip() for cell in cells]
        if columns is None:
            columns = _read_header(cells)
            if columns is None:
                return [], [f"{where}: found the columns {cells}."]
        elif len(cells) <= max(columns.values()):
            faults.append(f"{where}: found {cells}, which lacks columns.")
        else:
            row = {name: cells[place] for name, place in columns.items()}
            rows.append(_checked(row, where, faults))
    if not rows and not faults:
        faults.append(f"{path}: has no rows.")
    return rows, faults


def _read_header(cells):
    """Give the place of each column that is known, or `None`."""
    lowered = [cell.lower() for cell in cells]
    places = {
        column: lowered.index(name)
        for column, names in _COLUMNS.items()
        for name in names[::-1]
        if name in lowered
    }
    channels = [each for each in "rgb" if each in places]
    return None if len(channels) in (1, 2) else places or None


def _checked(row, where, faults):
    """Give name, colour and id of a row, as far as it has them."""
    checked = {}
    if "name" in row:
        checked["name"] = row["name"].strip()
        if not checked["name"]:
            faults.append(f"{where}: has no name.")
    if "r" in row:
        color = [row[each] for each in "rgb"]
        if all(re.fullmatch(r"\d{1,3}", c) and int(c) < 256 for c in color):
            checked["color"] = tuple(map(int, color))
        else:
            faults.append(
                f"{where}: found the color {', '.join(color)}, expected whole "
                "numbers from 0 to 255."
            )
    if "id" in row:
        if re.fullmatch(r"-?\d{1,9}", row["id"]):
            checked["id"] = int(row["id"])
        else:
            faults.append(
                f"{where}: found the id {row['id']!r}, expected a whole number."
            )
    return checked


def _find_twice(path, rows):
    faults = []
    for column in ("name", "color", "id"):
        counts = collections.Counter(
            row[column] for row in rows if column in row
        )
        twice = [each for each, count in counts.items() if count > 1]
        faults += [
            f"{path}: found the {column} {each} more than once, expected each "
            "once."
            for each in sorted(twice, key=str)
        ]
    return faults
