"""Labels of objects as points: CSV or JSON files to one array per image.

The same points give equal arrays from every format: float64, in the order of
(y, x), with exact duplicates kept, since they count as two objects. Each point
knows its place in its file, for messages.
"""

import dataclasses
import math
import pathlib
import re
import reprlib

import numpy as np

from keras_patching._faults import raise_faults
from keras_patching.data.labels.image_names import ImageNames
from keras_patching.data.labels.label_files import (
    check_unlabelled,
    describe_unlabelled,
    few,
    load_json,
    to_dict,
)
from keras_patching.data.labels.label_forms import (
    describe_folder_form,
    describe_text_form,
    is_coco,
)
from keras_patching.data.labels.label_places import (
    are_fractions,
    are_inside,
    describe_fractions,
    describe_turned,
)
from keras_patching.data.labels.point_rows import EXPECTED_CSV, read_rows

EXPECTED_JSON = (
    'Expected {"x": {"p1": x1, ...}, "y": {"p1": y1, ...}} for each image, '
    'and {"x": {}, "y": {}} if it holds no objects.'
)


@dataclasses.dataclass(frozen=True, eq=False)
class PointLabels:
    """The points of one image.

    Args:
        label_file: `pathlib.Path` of the file they were read from.
        points: Float64 array `(points, 2)` of (y, x) in pixels, sorted; pixel
            `i` has its center at `i`.
        places: For each point its place in that file: `"line 3"` in CSV,
            `"key 'p1'"` in JSON.
    """

    label_file: pathlib.Path
    points: np.ndarray
    places: tuple[str, ...]


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
    >>> labels = read_points_csv("points.csv", list_images("cells"))
    >>> labels[pathlib.Path("cells/a.png")].points.shape
    (31, 2)
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
    return {image: _to_labels(path, points[image]) for image in used}


def read_points_json(images, unlabelled="error"):
    """Read the points of a folder's images from the JSON files beside them.

    `<stem>.json` holds `{"x": {"p1": x1, ...}, "y": {"p1": y1, ...}}`; the
    keys of the points are arbitrary, and the same in x and y.

    Args:
        images: Dict from stem to path, of `list_images`.
        unlabelled: What images without a JSON file are, as for
            `read_points_csv`.

    Returns:
        Dict from image path to `PointLabels`, in the order of `images`.

    Raises:
        ValueError: Lists all files and keys that cannot be used, JSON files
            without an image, and images without a JSON file if these are an
            error. Or there is no JSON file at all.

    Example:
    >>> labels = read_points_json(list_images("cells"))
    >>> labels[pathlib.Path("cells/a.png")].points.shape
    (31, 2)
    """
    check_unlabelled(unlabelled)
    folder = next(iter(images.values())).parent
    paths = [
        path
        for path in sorted(folder.glob("*.json"))
        if path.is_file() and not path.name.startswith(".")
    ]
    if not paths:
        raise ValueError(
            f"{folder}: has no JSON files beside its images. "
            f"{describe_folder_form(folder)}{EXPECTED_JSON}"
        )
    names, files, faults = ImageNames(images), {}, []
    for path in paths:
        image = names.find_stem(path.stem)
        if image is None:
            faults.append(
                f"{path}: has no image beside it.{names.hint(path.stem)} "
                "Rename it, add the image, or move this file away."
            )
        elif image in files:
            faults.append(
                f"{path}: is of {image.name}, as is {files[image].name}. "
                "Remove one of them."
            )
        else:
            files[image] = path
    missing = [image for image in images.values() if image not in files]
    if unlabelled == "error":
        remedy = 'add files that hold {"x": {}, "y": {}}'
        faults += [
            f"{folder}: {fault}"
            for fault in describe_unlabelled(
                missing, images, "JSON file", remedy
            )
        ]
    points = {image: _read_json(path, faults) for image, path in files.items()}
    raise_faults(faults, "Points that cannot be used", EXPECTED_JSON)
    if unlabelled == "empty":
        files |= {image: folder for image in missing}
    return {
        image: _to_labels(files[image], points.get(image, []))
        for image in images.values()
        if image in files
    }


def check_points_inside(labels, headers):
    """Find points outside their image, and points as fractions of it.

    Inside is `0 <= x < width` and `0 <= y < height`. Points that all lie in
    the corner pixel of their image, not in whole pixels, are fractions.

    Args:
        labels: Dict from image path to `PointLabels`.
        headers: Dict from image path to `ImageHeader`. Images without one are
            not checked.

    Returns:
        A list of faults for `raise_faults`, one per point outside. Where axes
        that are swapped or an EXIF orientation explain them, the first of an
        image says so.
    """
    faults = []
    for image, header in headers.items():
        label, size = labels[image], header.size
        if are_fractions(label.points):
            y, x = label.points[0]
            faults.append(
                f"{label.label_file}, {label.places[0]}: "
                f"{describe_fractions(f'x={x:.15g}, y={y:.15g}', image, size)}"
            )
            continue
        inside = are_inside(label.points, size)
        swapped = are_inside(label.points, size[::-1]).all()
        hint = describe_turned("points", swapped, image, header)
        for index in np.flatnonzero(~inside):
            y, x = label.points[index]
            faults.append(
                f"{label.label_file}, {label.places[index]}: the point "
                f"x={x:.15g}, y={y:.15g} lies outside {image}, whose size "
                f"(height, width) is {tuple(size)}.{hint}"
            )
            hint = ""
    return faults


def _to_labels(path, found):
    """Sort `(y, x, place)` by y and x."""
    found = sorted(found, key=lambda point: point[:2])
    points = np.array([point[:2] for point in found], "float64").reshape(-1, 2)
    points += 0.0  # -0.0 becomes 0.0: equal points have equal bytes
    return PointLabels(path, points, tuple(place for *_, place in found))


def _describe_unknown(name, names):
    if re.search(r"[;\t]", name):
        return (
            f"found the name {name!r}, expected a name up to the first comma. "
            "Separate values by commas, and write decimals with a point."
        )
    if form := describe_text_form(name):
        return f"found {name!r}, expected the name of an image. {form}".strip()
    return names.describe_unknown(name, "row")


def _read_json(path, faults):
    """Read `(y, x, place)` of all points; what is wrong goes to `faults`."""
    try:
        content = load_json(path)
    except (ValueError, OSError) as error:
        faults.append(str(error))
        return []
    if is_coco(content):
        faults.append(f"{path}: is a file of COCO, which holds boxes.")
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
