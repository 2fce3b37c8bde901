"""Reads the boxes of a folder of images, whatever format they are in.

`read_box_file` tells the format by the content of what it is given. A new one
is a function like `read_boxes_voc`, which gives a `box_entries.BoxFile`.
"""

import dataclasses
import os
import pathlib
from collections.abc import Sequence

from keras_patching._checks import check_class_names
from keras_patching._faults import few, raise_faults
from keras_patching._types import NDArray
from keras_patching.data.images.image_io import read_headers
from keras_patching.data.images.listing import list_images
from keras_patching.data.labels.box_clipping import clip_boxes
from keras_patching.data.labels.box_entries import (
    DEFAULT_NAMES,
    BoxEntry,
    choose_class_names,
    find_faults,
    warn_of_empty,
)
from keras_patching.data.labels.box_formats import EXPECTED, read_format
from keras_patching.data.labels.box_labels import (
    BoxLabels,
    check_boxes_inside,
    to_box_labels,
)
from keras_patching.data.labels.boxes_json import OBJECTS_KEY
from keras_patching.data.labels.files import (
    check_unlabelled,
    find_label_file,
    unlabelled_faults,
)
from keras_patching.data.labels.image_names import ImageNames


@dataclasses.dataclass(frozen=True)
class BoxData:
    """The boxes of a folder of images.

    Attributes:
        labels: Dict from the path of each image to `BoxLabels`.
        path: `pathlib.Path` of the file or folder they were read from.
        class_names: Tuple of the names of the classes.
        left_out: Names of the images left out.
        notes: Sentences on how they were read, for a loader to print.
    """

    labels: dict[pathlib.Path, BoxLabels]
    path: pathlib.Path
    class_names: tuple[str, ...]
    left_out: list[str]
    notes: list[str]


def read_boxes(
    label_file: str | os.PathLike,
    image_dir: str | os.PathLike,
    class_names: Sequence[str] = ("plant",),
    objects_key: str = OBJECTS_KEY,
    unlabelled: str = "error",
    clip: bool = False,
) -> dict[str, dict[str, NDArray]]:
    """Read the boxes of a folder of images, to evaluate or draw them.

    They are checked as the loader checks them; of images only the headers are
    read.

    Args:
        label_file, image_dir, objects_key, unlabelled, clip: As for
            `load_yolo_dataset_from_directory`.
        class_names: Names of the classes in the order of the model that they
            are for: `model.class_names`.

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
    found = read_box_labels(
        image_dir, label_file, class_names, objects_key, unlabelled
    )
    headers, faults = read_headers(found.labels)
    labels, _ = clip_boxes(found.labels, headers, clip)
    faults += check_boxes_inside(labels, headers)
    raise_faults(faults, "Boxes that cannot be used", "Correct the labels.")
    return {
        path.name: {"boxes": each.boxes, "labels": each.labels}
        for path, each in labels.items()
    }


def read_box_labels(dirname, label_file, class_names, objects_key, unlabelled):
    """Find the labels of a folder of images, and read their boxes.

    Args:
        dirname, label_file, class_names, objects_key, unlabelled: As for
            `read_boxes`.

    Returns:
        `BoxData`.
    """
    images = list_images(dirname)
    path = find_label_file(label_file, dirname, EXPECTED, folders=True)
    return read_box_file(path, images, class_names, objects_key, unlabelled)


def read_box_file(
    path,
    images,
    class_names=None,
    objects_key=OBJECTS_KEY,
    unlabelled="error",
):
    """Read the boxes of a folder's images from a file, or a folder of files.

    Args:
        path: Path of the file or folder.
        images: Dict from stem to path, of `list_images`.
        class_names: Names of the classes; a box has the index of its own.
            `None` takes those of the labels.
        objects_key: Key of the list of objects of an image, in our own form.
        unlabelled: What images are that the labels do not name: an "error";
            left out, "skip"; or without objects, "empty".

    Returns:
        `BoxData`, in the order of `images`. Boxes without area are left out,
        and one warning counts them.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: Lists everything in the labels that cannot be used, and
            images without an entry if these are an error.

    Example:

    >>> images = keras_patching.data.list_images("trays/images")
    >>> found = read_box_file("trays/labels.json", images)
    >>> found.labels[pathlib.Path("trays/images/tray_0.jpg")].boxes.shape
    (2, 4)
    """
    check_unlabelled(unlabelled)
    if class_names is not None:
        check_class_names(class_names)
    path, faults = pathlib.Path(path), []
    found, expected = read_format(
        path, images, ImageNames(images), class_names, objects_key, faults
    )
    chosen = choose_class_names(class_names, found)
    faults += find_faults(found, chosen, class_names is not None)
    by_image = {entry.image: entry for entry in found.entries}
    missing = [image for image in images.values() if image not in by_image]
    if unlabelled == "error" and (found.entries or not faults):
        faults += unlabelled_faults(
            path, missing, images, found.noun, found.remedy
        )
    raise_faults(faults, "Boxes that cannot be used", expected)
    if not found.entries:
        raise ValueError(f"{path}: has no entries. {expected}")
    warn_of_empty(path, found.entries)
    if unlabelled == "empty":
        by_image |= {image: BoxEntry(path, image) for image in missing}
    labels = {
        image: to_box_labels(by_image[image], chosen)
        for image in images.values()
        if image in by_image
    }
    notes = list(found.notes)
    if class_names is None and chosen != DEFAULT_NAMES:
        notes.append(f"Classes, by the labels: {few(chosen, 20, str)}.")
    left_out = [i.name for i in images.values() if i not in labels]
    return BoxData(labels, path, chosen, left_out, notes)
