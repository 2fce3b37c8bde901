"""Reads the boxes of a folder of images, whatever format they are in."""

import os
from collections.abc import Sequence

from keras_patching._faults import raise_faults
from keras_patching._types import NDArray
from keras_patching.data.images.image_io import read_headers
from keras_patching.data.images.listing import list_images
from keras_patching.data.labels.box_labels import check_boxes_inside
from keras_patching.data.labels.boxes_json import expected_json, read_boxes_json
from keras_patching.data.labels.files import find_label_file


def read_boxes(
    label_file: str | os.PathLike,
    image_dir: str | os.PathLike,
    class_names: Sequence[str] = ("plant",),
    objects_key: str = "objects",
    unlabelled: str = "error",
) -> dict[str, dict[str, NDArray]]:
    """Read the boxes of a folder of images, to evaluate or draw them.

    They are checked as the loader checks them; of images only the headers are
    read.

    Args:
        label_file, image_dir, class_names, objects_key, unlabelled: As for
            `load_yolo_dataset_from_directory`.

    Returns:
        Dict from the name of each image to `{"boxes": float64 (n, 4), "labels":
        int64 (n,)}`, xyxy in pixels.

    Raises:
        FileNotFoundError: If something is missing.
        ValueError: If labels or headers of images cannot be used; lists them.

    Example:

    >>> boxes = keras_patching.read_boxes("trays/labels.json", "trays/images")
    >>> boxes["tray_0.jpg"]["boxes"].shape
    (2, 4)
    """
    labels, *_ = read_box_labels(
        image_dir, label_file, class_names, objects_key, unlabelled
    )
    headers, faults = read_headers(labels)
    faults += check_boxes_inside(labels, headers)
    raise_faults(faults, "Boxes that cannot be used", "Correct the labels.")
    return {
        path.name: {"boxes": each.boxes, "labels": each.labels}
        for path, each in labels.items()
    }


def read_box_labels(dirname, label_file, class_names, objects_key, unlabelled):
    """Read the boxes of a folder of images with their places in the file.

    Args:
        dirname, label_file, class_names, objects_key, unlabelled: As for
            `read_boxes`.

    Returns:
        Dict from the path of each image to `BoxLabels`, the path of the file,
        and the names of the images left out.
    """
    images = list_images(dirname)
    path = find_label_file(label_file, dirname, expected_json(objects_key))
    labels = read_boxes_json(path, images, class_names, objects_key, unlabelled)
    left_out = [i.name for i in images.values() if i not in labels]
    return labels, path, left_out
