"""Tables of classes that lie beside masks: names, colours and values.

Read are `classes.csv`, CamVid's `class_dict.csv` and Roboflow's `_classes.csv`,
which have a header; CamVid's `label_colors.txt`, whose lines are of red, green,
blue and a name; and CVAT's `labelmap.txt`, of `name:red,green,blue:parts:...`.
"""

import csv
import dataclasses
import pathlib
import re

from keras_patching._faults import few, raise_faults
from keras_patching.data.labels.strict_json import read_text

NAMES = (
    "classes.csv",
    "class_dict.csv",
    "_classes.csv",
    "label_colors.txt",
    "labelmap.txt",
)
_MOST_LISTED = 5
# What a table is called that was not read from a file.
ARGUMENTS = "`class_names` or `class_colors`"
_COLUMNS = {
    "name": ("name", "class", "class_name", "label"),
    "id": ("id", "value", "class_id", "pixel value"),
    "r": ("r", "red"),
    "g": ("g", "green"),
    "b": ("b", "blue"),
}
_EXPECTED = (
    "Expected the header name,r,g,b, or name,id, or name,id,r,g,b, and a row "
    "per class, that of the background first; or without a header rows such "
    "as `64 128 64 Animal`."
)
_LINE = re.compile(
    r"\s*(?P<r>\d+)\s+(?P<g>\d+)\s+(?P<b>\d+)\s+(?P<name>\S.*?)\s*"
)
_CVAT_LINE = re.compile(r"(?P<name>[^:#]+):(?P<r>\d+),(?P<g>\d+),(?P<b>\d+):.*")


@dataclasses.dataclass(frozen=True)
class ClassTable:
    """What is known of each class, in order; what is not known is `None`.

    Attributes:
        where: File, or what else it is called in messages.
        names: List of names.
        colors: List of RGB tuples.
        values: List of values of pixels in masks.
        ignored: RGB of unlabelled pixels.
    """

    where: str
    names: list[str] | None = None
    colors: list[tuple[int, int, int]] | None = None
    values: list[int] | None = None
    ignored: tuple[int, int, int] | None = None

    def __len__(self):
        columns = (self.names, self.colors, self.values)
        return max((len(column) for column in columns if column), default=0)

    @property
    def all_colors(self):
        """Colours of classes, and that of unlabelled pixels behind them."""
        if self.colors is None or self.ignored is None:
            return self.colors
        return [*self.colors, self.ignored]

    def named(self, names):
        """Give it with names; colours that have names take their order."""
        if self.names is None:
            return dataclasses.replace(self, names=names)
        if self.where != ARGUMENTS or set(self.names) != set(names):
            self._check_same("names", self.names, names)
            return self
        colors = dict(zip(self.names, self.colors, strict=True))
        return dataclasses.replace(
            self, names=names, colors=[colors[name] for name in names]
        )

    def joined(self, found):
        """Give it with what another table knows; they must not differ."""
        columns = {}
        for column in ("names", "colors", "values", "ignored"):
            own, other = getattr(self, column), getattr(found, column)
            if own is not None and other is not None:
                found._check_same(column, other, own)
            columns[column] = other if own is None else own
        return ClassTable(found.where, **columns)

    def _check_same(self, column, found, expected):
        if found != expected:
            raise ValueError(
                f"{self.where}: found the {column} {found} of classes, "
                f"expected those that were passed or that the model has, in "
                f"their order: {expected}. Correct one of them, or leave them "
                "out of the arguments."
            )

    def without_ignored(self, num_classes, ignore_value):
        """Give it without the row that is of unlabelled pixels, if any.

        That is the row of `ignore_value`; or the last of one too many.
        """
        count = len(self)
        if ignore_value is None or num_classes == count:
            return self
        if self.values is not None:
            is_there = ignore_value in self.values and ignore_value >= count - 1
            place = self.values.index(ignore_value) if is_there else None
        else:
            place = count - 1 if num_classes == count - 1 else None
        if place is None:
            return self
        columns = {}
        for column in ("names", "colors", "values"):
            entries = getattr(self, column)
            if entries is not None:
                entries = [*entries[:place], *entries[place + 1 : count]]
            columns[column] = entries
        ignored = self.colors and self.colors[place]
        return ClassTable(self.where, **columns, ignored=ignored)

    def check_length(self, num_classes):
        """Refuse it where it is of another number of classes."""
        for column in ("names", "colors", "values"):
            entries = getattr(self, column)
            if entries is None or len(entries) == num_classes:
                continue
            listed = few(entries, _MOST_LISTED, str)
            raise ValueError(
                f"{self.where}: has {len(entries)} {column} of classes "
                f"({listed}), expected as many as `num_classes`, that of the "
                "background first. One more is of unlabelled pixels, and needs "
                f"`ignore_value`. Received: num_classes={num_classes}"
            )


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
    for cells in reader:
        if not any(cell.strip() for cell in cells):
            continue
        where = f"{path}, line {reader.line_num}"
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
        checked["name"] = row["name"]
        if not row["name"]:
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
        entries = [row[column] for row in rows if column in row]
        twice = {each for each in entries if entries.count(each) > 1}
        faults += [
            f"{path}: found the {column} {each} more than once, expected each "
            "once."
            for each in sorted(twice, key=str)
        ]
    return faults
