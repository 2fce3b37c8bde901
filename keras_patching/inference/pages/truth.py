"""What is true of images that are predicted, for the scores of a page."""

import contextlib
import os
import pathlib
from collections.abc import Mapping

from keras_patching._faults import raise_faults
from keras_patching._printing import printable
from keras_patching.data.images.image_io import read_header
from keras_patching.data.images.windows import open_windows
from keras_patching.data.labels.boxes import read_boxes
from keras_patching.data.labels.pairing import pair_by_stem
from keras_patching.data.labels.points import read_points
from keras_patching.models.segmentation.drawn_targets import with_drawn_targets


def read_truth(model, truth, images, choice):
    """Read what is true of images, as `evaluate_full_images` takes it.

    Args:
        model: Task model.
        truth: Path of a folder of masks, or of a file of shapes, points or
            boxes; or a dict from names of images to what is true of them.
            Images that it does not name have no scores.
        images: Dict from name without suffix to path.
        choice: `Choice` of which image of each file is meant.

    Returns:
        Dict from the name of each image that has a truth to it, checked.

    Raises:
        FileNotFoundError: If something is missing.
        ValueError: If labels cannot be used, or are of none of the images.
    """
    paths = {path.name: path for path in images.values()}
    named = truth
    if not isinstance(truth, Mapping):
        named = _read(model, pathlib.Path(truth), paths.values())
    known = {
        name: target
        for name, target in named.items()
        if name in paths and target is not None
    }
    if not known:
        raise ValueError(
            "`truth` must be of the images that are predicted, and is of none "
            f"of them: {printable(', '.join(sorted(paths)[:3]))}, ... "
            f"Received: truth of {printable(', '.join(sorted(named)[:3]))}, ..."
        )
    checked, faults = {}, []
    for name, target in known.items():
        try:
            size = _size_of(paths[name], choice)
        except (OSError, ValueError):
            continue  # What is wrong is said when it is predicted.
        try:
            checked[printable(name)] = model._check_full_target(
                target, f"truth of {paths[name]}", size
            )
        except ValueError as error:
            faults.append(str(error))
    raise_faults(faults, "A truth that cannot be used", "Correct the labels.")
    return checked


def _size_of(path, choice):
    if choice.is_plain:
        return tuple(read_header(path).size)
    with contextlib.closing(open_windows(path, choice)) as windows:
        return tuple(windows.shape[:2])


def _read(model, truth, paths):
    folders = {os.path.dirname(os.path.abspath(path)) for path in paths}
    if len(folders) > 1:
        raise ValueError(
            "`truth` can be a file or a folder where all images lie in one "
            "folder. Predict each folder on its own, or pass a dict from names "
            f"of images to what is true. Received: images of {len(folders)} "
            f"folders, truth={str(truth)!r}"
        )
    (folder,) = folders
    if model.task == "segmentation":
        classes = model._mask_classes
        drawn = with_drawn_targets(folder, truth, classes, unlabelled="skip")
        if drawn is not truth:
            return drawn
        pairs = pair_by_stem(folder, truth, "mask", unlabelled="skip")
        return {image.name: mask for image, mask in pairs}
    if model.task == "counting":
        return read_points(folder, truth, unlabelled="skip")
    names = model.class_names
    return read_boxes(truth, folder, names, unlabelled="skip")
