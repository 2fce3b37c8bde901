"""Labels of objects as points: CSV or JSON files to one array per image.

The same points give equal arrays from every format: float64, in the order of
(y, x), with exact duplicates kept, since they count as two objects. Each point
knows its place in its file, for messages.
"""

import csv
import dataclasses
import io
import math
import pathlib
import re
import reprlib

import numpy as np

from keras_patching.data.faults import raise_faults
from keras_patching.data.label_files import (
    by_file_and_stem,
    few,
    load_json,
    read_text,
    tell_unknown,
    to_dict,
)

_LONG_FORM = ("image", "x", "y")
_EXPECTED_CSV = (
    "Expected a row name,x1,y1,x2,y2,... for each image, or the header "
    "image,x,y and then one point per row."
)
_EXPECTED_JSON = (
    'Expected {"x": {"p1": x1, ...}, "y": {"p1": y1, ...}} for each image, '
    'and {"x": {}, "y": {}} if it holds no objects.'
)


@dataclasses.dataclass(frozen=True, eq=False)
class PointLabels:
    """The points of one image.

    Args:
        label_file: `pathlib.Path` of the file they were read from.
        points: Float64 array `(points, 2)` of (y, x) in pixels, sorted; pixel
            `i` has its centre at `i`.
        places: For each point its place in that file: `"line 3"` in CSV,
            `"key 'p1'"` in JSON.
    """

    label_file: pathlib.Path
    points: np.ndarray
    places: tuple[str, ...]


def read_points_csv(label_file, images):
    """Read the points of all images of a folder from one CSV file.

    The file has no header and one row per image, `name,x1,y1,x2,y2,...`, where
    a lone name means no objects. Or it has the header `image,x,y` and one
    point per row: columns in any order, others ignored, and images without a
    row, or with one whose x and y are empty, have no objects. Names are those
    of the image files, with or without suffix.

    Args:
        label_file: Path of the CSV file, in UTF-8.
        images: Dict from stem to path, of `list_images`.

    Returns:
        Dict from image path to `PointLabels`, in the order of `images`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: Lists all rows that cannot be used, and images without a
            row.

    Example:
    >>> labels = read_points_csv("points.csv", list_images("cells"))
    >>> labels[pathlib.Path("cells/a.png")].points.shape
    (31, 2)
    """
    path = pathlib.Path(label_file)
    rows, long_form = _read_rows(path)
    names = by_file_and_stem(images)
    points = {image: [] for image in images.values()}
    first_rows, faults = {}, []
    for line, name, values in rows:
        image, row_faults = names.get(name), []
        if image is None:
            row_faults.append(_tell_unknown(name, images))
        else:
            first, filled = first_rows.setdefault(image, (line, bool(values)))
            if first != line and not (long_form and filled and values):
                row_faults.append(
                    f"found {image.name} again, after line {first}, expected "
                    "all its points in one row, or in rows of x and y below "
                    "the header image,x,y. Join or remove the rows."
                )
        numbers = [_to_number(value) for value in values]
        row_faults += _value_faults(values, numbers)
        faults += [f"{path}, line {line}: {fault}" for fault in row_faults]
        if not row_faults:
            pairs = zip(numbers[1::2], numbers[::2], strict=True)
            points[image] += [(y, x, f"line {line}") for y, x in pairs]
    faults += [
        f"{path}: has no row for {image.name}. Add one, with the lone name if "
        "it holds no objects."
        for image in points
        if image not in first_rows and not long_form
    ]
    raise_faults(faults, "Points that cannot be used", _EXPECTED_CSV)
    return {image: _to_labels(path, found) for image, found in points.items()}


def read_points_json(images):
    """Read the points of all images of a folder from the JSON files beside.

    `<stem>.json` holds `{"x": {"p1": x1, ...}, "y": {"p1": y1, ...}}`; the
    keys of the points are arbitrary, and the same in x and y.

    Args:
        images: Dict from stem to path, of `list_images`.

    Returns:
        Dict from image path to `PointLabels`, in the order of `images`.

    Raises:
        ValueError: Lists all files and keys that cannot be used, images
            without a JSON file and JSON files without an image.

    Example:
    >>> labels = read_points_json(list_images("cells"))
    >>> labels[pathlib.Path("cells/a.png")].points.shape
    (31, 2)
    """
    folder = next(iter(images.values())).parent
    files = {
        path.stem: path
        for path in sorted(folder.glob("*.json"))
        if path.is_file() and not path.name.startswith(".")
    }
    faults = [
        f"{image}: has no {stem}.json beside it. Add it."
        for stem, image in images.items()
        if stem not in files
    ] + [
        f"{path}: has no image beside it. Add it, or move this file away."
        for stem, path in files.items()
        if stem not in images
    ]
    labels = {
        image: _to_labels(files[stem], _read_json(files[stem], faults))
        for stem, image in images.items()
        if stem in files
    }
    raise_faults(faults, "Points that cannot be used", _EXPECTED_JSON)
    return labels


def check_points_inside(labels, sizes):
    """Find points outside their image.

    Inside is `0 <= x < width` and `0 <= y < height`.

    Args:
        labels: Dict from image path to `PointLabels`.
        sizes: Dict from image path to `(height, width)` in pixels. Images
            without a size are not checked.

    Returns:
        A list of faults, one per point outside, for `raise_faults`.
    """
    faults = []
    for image, size in sizes.items():
        label = labels[image]
        inside = ((label.points >= 0) & (label.points < size)).all(axis=1)
        for index in np.flatnonzero(~inside):
            y, x = label.points[index]
            faults.append(
                f"{label.label_file}, {label.places[index]}: the point "
                f"x={x:.15g}, y={y:.15g} lies outside {image}, whose size "
                f"(height, width) is {tuple(size)}."
            )
    return faults


def _to_labels(path, found):
    """Sort `(y, x, place)` by y and x."""
    found = sorted(found, key=lambda point: point[:2])
    points = np.array([point[:2] for point in found], "float64").reshape(-1, 2)
    points += 0.0  # -0.0 becomes 0.0: equal points have equal bytes
    return PointLabels(path, points, tuple(place for *_, place in found))


def _read_rows(path):
    """Read `(line, name, values)` of all rows, and whether in long form."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file. {_EXPECTED_CSV}")
    rows = _split_rows(path)
    columns = _find_columns(path, rows)
    if columns is not None:
        width = max(columns) + 1
        padded = [(line, row + [""] * width) for line, row in rows[1:]]
        rows = [(line, [row[i] for i in columns]) for line, row in padded]
    if not rows:
        raise ValueError(f"{path}: has no rows. {_EXPECTED_CSV}")
    read = [(line, name, _trim(values)) for line, (name, *values) in rows]
    return read, columns is not None


def _split_rows(path):
    """Split a CSV file into `(line, cells)`, without blank rows."""
    text = io.StringIO(read_text(path), newline="")
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


def _find_columns(path, rows):
    """Find the columns of the long form by its header; else `None`."""
    if not rows:
        return None
    line, cells = rows[0]
    header = [cell.lower() for cell in cells]
    counts = [header.count(column) for column in _LONG_FORM]
    if 0 in counts:
        return None
    if max(counts) > 1:
        raise ValueError(
            f"{path}, line {line}: found the header {','.join(cells)}, "
            "expected image, x and y once each. Rename the other columns."
        )
    return [header.index(column) for column in _LONG_FORM]


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


def _tell_unknown(name, images):
    if re.search(r"[;\t]", name):
        return (
            f"found the name {name!r}, expected a name up to the first comma. "
            "Separate values by commas."
        )
    return tell_unknown(name, images, "row")


def _read_json(path, faults):
    """Read `(y, x, place)` of all points; what is wrong goes to `faults`."""
    try:
        content = load_json(path)
    except (ValueError, OSError) as error:
        faults.append(str(error))
        return []
    axes = to_dict(content, path, faults)
    if axes is None:
        return []
    xs, ys = (_read_axis(axes, axis, path, faults) for axis in "xy")
    if xs is None or ys is None:
        return []
    for axis, keys, others in (("x", xs, ys), ("y", ys, xs)):
        if lone := [key for key in keys if key not in others]:
            faults.append(
                f"{path}: found the keys {few(lone)} in {axis} alone, "
                "expected the same keys in x and y. Add or remove them."
            )
    return [(ys[key], xs[key], f"key {key!r}") for key in xs if key in ys]


def _read_axis(axes, axis, path, faults):
    if axis not in axes:
        found = few(list(axes)) or "none"
        faults.append(f"{path}: has no key {axis!r}, found {found}. Add it.")
        return None
    values = to_dict(axes[axis], f"{path}, key {axis!r}", faults)
    for key, value in (values or {}).items():
        if not isinstance(value, float) or not math.isfinite(value):
            faults.append(
                f"{path}, key {axis}[{key!r}]: found {reprlib.repr(value)}, "
                "expected a finite number, without quotation marks. Mend it."
            )
            values[key] = math.nan
    return values
