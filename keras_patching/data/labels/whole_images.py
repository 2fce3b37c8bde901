"""Whole images and what is true of each, in the forms that people have them.

Images are a folder, a list of paths, or arrays. What is true is a list in the
same order, or a dict from the name of an image, as `read_points` and
`read_boxes` give it; masks may be a folder too.
"""

import os
import pathlib

import keras
import numpy as np

from keras_patching._faults import raise_faults
from keras_patching.data.images.image_io import read_header
from keras_patching.data.images.listing import list_images
from keras_patching.data.images.opened_image import OpenedImage
from keras_patching.data.labels.pairing import pair_by_stem


def check_no_batches(data, name):
    """Refuse the batches of a data set where images are taken one by one.

    Args:
        data: What is given for images, or for what is true of them.
        name: Name of the argument.

    Raises:
        ValueError: Says what to pass.
    """
    if isinstance(data, keras.utils.PyDataset):
        raise ValueError(
            f"`{name}` must be whole, one by one, and a data set gives batches "
            "of images with labels: pass the folder or the list that it was "
            f"loaded from. Received: {name}={type(data).__name__}"
        )


def list_whole_images(images):
    """Return whole images as a list of arrays and paths.

    Args:
        images: Folder, list of paths or of arrays `(height, width, channels)`
            or `OpenedImage` of any sizes, or an array `(images, height,
            width, channels)`.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If it is none of these, or there are none.
    """
    if _is_path(images):
        if pathlib.Path(images).is_file():
            raise ValueError(
                "`images` must be a folder or a list. For one file pass "
                f"[{str(images)!r}]. Received: images={str(images)!r}"
            )
        return list(list_images(images).values())
    check_no_batches(images, "images")
    images = [*images]
    if not images:
        raise ValueError("There must be at least one image. Received: none")
    for index, image in enumerate(images):
        is_image = _is_path(image) or isinstance(image, OpenedImage)
        if not is_image and np.ndim(image) != 3:
            raise ValueError(
                "Whole images must be paths or arrays (height, width, "
                "channels); pass one image as [image]. Received: "
                f"images[{index}] of shape {np.shape(image)}"
            )
    return images


def pair_whole_images(images, targets, noun, folder=False):
    """Pair whole images with what is true of each.

    Args:
        images: As for `list_whole_images`.
        targets: List, array or dict; see above.
        noun: What targets are, for messages: "masks".
        folder: Whether targets may be a folder of files, paired by name
            without suffix.

    Returns:
        List of pairs of an image, array or path, and its target.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If images and targets do not pair; lists them.

    Example:

    >>> points = keras_patching.read_points("cells", "points.csv")
    >>> pairs = pair_whole_images("cells", points, "points")
    >>> len(pairs)
    3
    """
    found = list_whole_images(images)
    if _is_path(targets):
        if not folder:
            raise ValueError(
                f"`targets` must be {noun}, as `read_{noun}` gives them for a "
                "folder or a file of labels. "
                f"Received: targets={str(targets)!r}"
            )
        if _is_path(images):
            return pair_by_stem(images, targets, "mask")
        masks = list_images(targets).values()
        targets = {path.stem: path for path in masks}
        return _pair_by_name(found, targets, noun, lambda path: path.stem)
    if isinstance(targets, dict):
        if "boxes" in targets:
            raise ValueError(
                "`targets` must be a dict of boxes and labels per image: a "
                "list of them, or a dict from the names of images. For one "
                f"image pass [targets]. Received: keys {sorted(targets)}"
            )
        return _pair_by_name(found, targets, noun, lambda path: path.name)
    check_no_batches(targets, "targets")
    targets = [*targets]
    if len(targets) != len(found):
        raise ValueError(
            "`images` and `targets` must be as many. "
            f"Received: {len(found)} images, {len(targets)} targets"
        )
    return list(zip(found, targets, strict=True))


def _pair_by_name(images, targets, noun, name_of):
    if not all(map(_is_path, images)):
        raise ValueError(
            f"{noun.capitalize()} by the names of images need images that are "
            "files: pass their folder or paths, or a list of targets in the "
            "order of the images. Received: arrays"
        )
    named = {}
    for image in map(pathlib.Path, images):
        if name_of(image) in named:
            raise ValueError(
                f"Two images have the name {name_of(image)!r}: "
                f"{named[name_of(image)]} and {image}. Pass a list of targets "
                "in the order of the images."
            )
        named[name_of(image)] = image
    targets = {str(name): target for name, target in targets.items()}
    faults = [
        f"{path}: has no {noun}."
        for name, path in named.items()
        if name not in targets
    ]
    faults += [
        f"{name}: has {noun} and is not among the images."
        for name in targets
        if name not in named
    ]
    raise_faults(
        faults,
        f"Images and {noun} do not pair by name",
        "Add what is missing, or leave out the others.",
    )
    return [(path, targets[name]) for name, path in named.items()]


def describe_target(image, index):
    """Return what the target of an image is called, and its size.

    Args:
        image: Path or array.
        index: Its number.

    Returns:
        Text for messages, and `(height, width)` of the image.
    """
    if _is_path(image):
        return f"targets of {image}", tuple(read_header(image).size)
    size = image.shape if isinstance(image, OpenedImage) else np.shape(image)
    return f"targets[{index}]", tuple(size[:2])


def _is_path(value):
    return isinstance(value, (str, os.PathLike))
