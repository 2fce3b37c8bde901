"""Reads the points of a folder of images, whatever format they are in.

`read_point_labels` chooses the format, by content: `None` or a folder is a file
for each image, a file is of all images: a table or JSON. That of a new format
is a function like `read_points_table`, which gives
`point_labels.to_point_labels` for the path of each image, and raises all faults
in one error. `read_points` and the loaders get it from here.
"""

import dataclasses
import os
import pathlib
from collections.abc import Sequence

from keras_patching._checks import check_class_names
from keras_patching._faults import raise_faults
from keras_patching._types import NDArray
from keras_patching.data.images.image_io import read_headers
from keras_patching.data.images.listing import list_images
from keras_patching.data.labels.dots import read_dots
from keras_patching.data.labels.files import find_label_file
from keras_patching.data.labels.point_labels import (
    PointLabels,
    check_points_inside,
    choose_classes,
)
from keras_patching.data.labels.point_rows import EXPECTED_CSV
from keras_patching.data.labels.points_csv import read_points_table
from keras_patching.data.labels.points_files import read_points_files
from keras_patching.data.labels.points_json import read_points_json
from keras_patching.data.labels.strict_json import begins_like_json


@dataclasses.dataclass(frozen=True)
class PointData:
    """The points of a folder of images.

    Attributes:
        labels: Dict from the path of each image to `PointLabels`.
        path: Path that they were read from, or a pattern of paths.
        left_out: Names of the images in the folder that have none.
        notes: List of sentences: what was read, and what was not.
    """

    labels: dict[pathlib.Path, PointLabels]
    path: pathlib.Path
    left_out: list[str]
    notes: list[str]


def read_points(
    dirname: str | os.PathLike,
    label_file: str | os.PathLike | None = None,
    unlabelled: str = "error",
    *,
    classes: Sequence[str] | None = None,
    dots: str | None = None,
) -> dict[str, NDArray]:
    """Read the points of a folder of images, to evaluate or draw them.

    They are checked as the loaders check them; of images only the headers are
    read.

    Args:
        dirname: Folder of images.
        label_file: As for `load_heatmap_dataset_with_csv_from_directory`; or
            `None`, which reads the JSON file beside each image; or with `dots`
            a folder of dot images.
        unlabelled: What images are that the labels do not name, as there.
        classes: Names of the classes that are read, as there.
        dots: What a dot is, as for
            `load_heatmap_dataset_with_heatmap_files_from_directory`.

    Returns:
        Dict from the name of each image to float64 `(n, 2)`, `(y, x)` in
        pixels.

    Raises:
        FileNotFoundError: If something is missing.
        ValueError: If labels or headers of images cannot be used; lists them.

    Example:

    >>> points = keras_patching.read_points("cells", "points.csv")
    >>> points["slide_0.jpg"].shape
    (2, 2)
    """
    reading = dirname, label_file, unlabelled, classes
    if dots is None:
        labels = read_point_labels(*reading).labels
    else:
        labels = _read_dots(*reading, dots).labels
    headers, faults = read_headers(labels)
    faults += check_points_inside(labels, headers)
    raise_faults(faults, "Points that cannot be used", "Correct the labels.")
    return {path.name: each.points for path, each in labels.items()}


def read_point_labels(dirname, label_file, unlabelled, classes=None):
    """Read the points of a folder of images with their places in the files.

    Args:
        dirname, label_file, unlabelled, classes: As for `read_points`.

    Returns:
        `PointData`.
    """
    if classes is not None:
        classes = check_class_names(classes, "classes")
    images = list_images(dirname)
    path, notes = _find_path(label_file, dirname), []
    if label_file is None:
        labels, notes = read_points_files(images, unlabelled, classes=classes)
    elif path.is_dir():
        labels, notes = read_points_files(images, unlabelled, path, classes)
    elif begins_like_json(path):
        labels = read_points_json(path, images, unlabelled, classes)
    else:
        labels, notes = read_points_table(path, images, unlabelled)
    if classes is not None:
        labels = choose_classes(labels, classes)
    left_out = [i.name for i in images.values() if i not in labels]
    return PointData(labels, path, left_out, notes)


def read_dot_labels(dirname, dot_dirname, dots):
    """Read the points of a folder of images from a folder of dot images.

    Returns:
        `PointData`.
    """
    labels = read_dots(dirname, dot_dirname, dots)
    return PointData(labels, pathlib.Path(dot_dirname), [], [])


def _read_dots(dirname, label_file, unlabelled, classes, dots):
    if label_file is None or unlabelled != "error" or classes is not None:
        raise ValueError(
            "Of dot images each image has one, without classes: pass their "
            "folder, and neither `unlabelled` nor `classes`. Received: "
            f"label_file={label_file!r}, unlabelled={unlabelled!r}, "
            f"classes={classes!r}"
        )
    return read_dot_labels(dirname, label_file, dots)


def _find_path(label_file, dirname):
    if label_file is None:
        return pathlib.Path(dirname) / "*.json"
    return find_label_file(label_file, dirname, EXPECTED_CSV, folders=True)
