"""Reads the points of a folder of images, whatever format they are in.

`read_point_labels` chooses the format: `None` is a JSON file beside each image,
a file is CSV. That of a new format is a function like `read_points_csv`, which
gives `point_labels.to_point_labels` for the path of each image, and raises all
faults in one error. `read_points` and the loaders get it from here.
"""

import os
import pathlib

from keras_patching._faults import raise_faults
from keras_patching._types import NDArray
from keras_patching.data.images.image_io import read_headers
from keras_patching.data.images.listing import list_images
from keras_patching.data.labels.files import find_label_file
from keras_patching.data.labels.point_labels import check_points_inside
from keras_patching.data.labels.point_rows import EXPECTED_CSV
from keras_patching.data.labels.points_csv import read_points_csv
from keras_patching.data.labels.points_json import read_points_json


def read_points(
    dirname: str | os.PathLike,
    label_file: str | os.PathLike | None = None,
    unlabelled: str = "error",
) -> dict[str, NDArray]:
    """Read the points of a folder of images, to evaluate or draw them.

    They are checked as the loaders check them; of images only the headers are
    read.

    Args:
        dirname: Folder of images.
        label_file: CSV file in it, or its path; `None` reads the JSON file
            beside each image.
        unlabelled: What images are that the labels do not name, as for
            `load_heatmap_dataset_with_csv_from_directory`.

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
    labels, *_ = read_point_labels(dirname, label_file, unlabelled)
    headers, faults = read_headers(labels)
    faults += check_points_inside(labels, headers)
    raise_faults(faults, "Points that cannot be used", "Correct the labels.")
    return {path.name: each.points for path, each in labels.items()}


def read_point_labels(dirname, label_file, unlabelled):
    """Read the points of a folder of images with their places in the files.

    Args:
        dirname, label_file, unlabelled: As for `read_points`.

    Returns:
        Dict from the path of each image to `PointLabels`, the path that they
        were read from, and the names of the images left out.
    """
    images = list_images(dirname)
    if label_file is None:
        path = pathlib.Path(dirname) / "*.json"
        labels = read_points_json(images, unlabelled)
    else:
        path = find_label_file(label_file, dirname, EXPECTED_CSV)
        labels = read_points_csv(path, images, unlabelled)
    left_out = [i.name for i in images.values() if i not in labels]
    return labels, path, left_out
