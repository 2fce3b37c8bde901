"""Reads the files of annotation tools that hold shapes of several kinds.

COCO and the VGG Image Annotator write one JSON file for all images, LabelMe
one for each, beside the images or in a folder of their own. `read_annotations`
tells by their content which it is, and gives for each image that they name an
`AnnotatedImage`: a list of `shapes.Shape`, with kind, label, points and place.
Boxes, points or masks are made of the shapes elsewhere.
"""

import pathlib
import typing
import warnings

import numpy as np

from keras_patching._faults import few, raise_faults
from keras_patching.data.labels.coco import read_coco
from keras_patching.data.labels.files import (
    check_unlabelled,
    unlabelled_faults,
)
from keras_patching.data.labels.forms import is_coco, is_labelme, is_via
from keras_patching.data.labels.image_names import ImageNames
from keras_patching.data.labels.labelme import read_labelme
from keras_patching.data.labels.map_labels import read_map_labels
from keras_patching.data.labels.points_geojson import is_geojson
from keras_patching.data.labels.shapes import KINDS, AnnotatedImage
from keras_patching.data.labels.strict_json import load_any_json
from keras_patching.data.labels.via import read_via


class Annotations(typing.NamedTuple):
    """The annotations of a data set.

    Args:
        images: Dict from image path to `AnnotatedImage`.
        class_names: Names of the classes: of COCO in the order of their
            identities, whether or not they occur; else all labels, sorted.
        is_listed: Whether the file lists its classes, in an order of its own.
    """

    images: dict[pathlib.Path, AnnotatedImage]
    class_names: tuple[str, ...]
    is_listed: bool = False

    def has_shapes_of(self, label):
        """Tell whether a shape has this label."""
        shapes = (s for item in self.images.values() for s in item.shapes)
        return any(shape.label == label for shape in shapes)


def read_annotations(path, images, unlabelled="error", kinds=KINDS):
    """Read the shapes of a folder's images from a file, or files, of a tool.

    Args:
        path: `pathlib.Path` of a JSON file of COCO or VIA, or of a folder of
            JSON files of LabelMe.
        images: Dict from stem to path, of `list_images`.
        unlabelled: What images are that the files do not name: an "error";
            left out, "skip"; or without objects, "empty".
        kinds: Kinds of shapes that are wanted, of which COCO holds each
            object in several; other shapes are given too by other tools.

    Returns:
        `Annotations`, in the order of `images`; or `None` if it is no file of
        these tools.

    Raises:
        ValueError: Lists everything in the files that cannot be used, and
            images that they do not name if these are an error.

    Example:

    >>> images = keras_patching.data.list_images("trays/images")
    >>> found = read_annotations(pathlib.Path("trays/labels.json"), images)
    >>> found is None  # no file of these tools: read it as another form
    True
    """
    check_unlabelled(unlabelled)
    names, faults, is_listed = ImageNames(images), [], False
    if path.is_dir():
        found = load_labelme_folder(path, names, faults)
    else:
        content = load_any_json(path)
        is_listed = is_coco(content)
        found = annotations_of(path, content, faults, kinds, names)
    if found is None:
        raise_faults(faults, f"Files that cannot be read: {path}", "Mend them.")
        return None
    found, class_names = found
    by_image = pair_annotations(found, names, faults)
    missing = [image for image in images.values() if image not in by_image]
    if unlabelled == "error" and (by_image or not faults):
        faults += describe_unannotated(path, missing, images)
    raise_faults(
        faults, f"Annotations that cannot be used: {path}", "Correct them."
    )
    if unlabelled == "empty":
        by_image |= {
            image: AnnotatedImage(label_file=path, names=(), shapes=[])
            for image in missing
        }
    return Annotations(
        {i: by_image[i] for i in images.values() if i in by_image},
        class_names,
        is_listed,
    )


def annotations_of(path, content, faults, kinds=KINDS, names=None):
    """Read the images and shapes of the content of a JSON file.

    Args:
        path: `pathlib.Path` of the file.
        content: What `strict_json.load_any_json` reads.
        faults: List that what is wrong is added to, with file and place.
        kinds: Kinds of shapes that are wanted.
        names: `ImageNames` of all images, where the file may be of all: then
            GeoJSON that is not called as one of them is of maps.

    Returns:
        List of `AnnotatedImage`, and tuple of the names of classes; or `None`
        if it is of another form.
    """
    slips = []
    if is_coco(content):
        found, class_names = read_coco(path, content, slips, kinds)
    elif is_labelme(content):
        found = read_labelme(path, content, slips)
        class_names = _labels_of(found)
    elif is_via(content):
        found = read_via(path, content, slips)
        class_names = _labels_of(found)
    elif names is not None and _is_of_maps(path, content, names):
        found = read_map_labels(path, content, names.images, slips, kinds)
        class_names = _labels_of(found)
    else:
        return None
    slips += [
        f"{shape.place}: reaches to where no image does. Correct its numbers."
        for item in found
        for shape in item.shapes
        if not np.isfinite(shape.points).all()
    ]
    faults += [f"{path}, {slip}" for slip in slips]
    return found, class_names


def _is_of_maps(path, content, names):
    """Tell GeoJSON of all images from that of one, which is called as it."""
    has_crs = isinstance(content, tuple) and "crs" in dict(content)
    return is_geojson(content) and (has_crs or not names.find_stem(path.stem))


def load_labelme_folder(folder, names, faults):
    """Read the images and shapes of a folder's JSON files of LabelMe.

    Other JSON files there are left out with a warning, unless they are called
    as an image.

    Args:
        folder: `pathlib.Path` of the folder.
        names: `ImageNames` of all images.
        faults: List that what is wrong is added to, with file and place.

    Returns:
        List of `AnnotatedImage`, and tuple of the names of classes; or `None`
        if no file is of LabelMe.
    """
    found, others, slips, strays = [], [], [], []
    for path in sorted(folder.glob("*.[jJ][sS][oO][nN]")):
        if path.name.startswith(".") or not path.is_file():
            continue
        try:
            content = load_any_json(path)
        except (ValueError, OSError) as error:
            slips.append(str(error))
            continue
        if is_labelme(content):
            found += annotations_of(path, content, slips)[0]
        elif names.find(path.stem):
            strays.append(path)
        else:
            others.append(path.name)
    others_are = ", as others are here" if found else ""
    faults += slips
    faults += [f"{each}: is no file of LabelMe{others_are}." for each in strays]
    if not found:
        return None
    if others:
        warnings.warn(
            f"{folder}: left out {few(others)}, which are no files of LabelMe "
            "and not called as an image.",
            stacklevel=4,
        )
    return found, _labels_of(found)


def _labels_of(found):
    labels = {shape.label for item in found for shape in item.shapes}
    return tuple(sorted(labels - {None}))


def pair_annotations(found, names, faults):
    """Find the image of each item.

    Args:
        found: List of `AnnotatedImage`.
        names: `ImageNames` of all images.
        faults: List that what is wrong is added to, with file and place.

    Returns:
        Dict from image path to `AnnotatedImage`, without items that have no
        image.
    """
    by_image = {}
    for item in found:
        if not item.names:
            continue  # which is a fault already
        where = f"{item.label_file}, {item.place}".removesuffix(", ")
        images = [names.find(name) for name in item.names]
        known = list(dict.fromkeys(image for image in images if image))
        if not known:
            unknown = names.describe_unknown(item.names[-1], "entry")
            faults.append(f"{where}: {unknown}")
        elif len(known) > 1:
            faults.append(
                f"{where}: may be of {known[0].name}, as the file is called, "
                f"or of {known[1].name}, as it says. Rename the file, or "
                'correct "imagePath".'
            )
        elif known[0] in by_image:
            before = by_image[known[0]]
            faults.append(
                f"{where}: found {known[0].name} again, after "
                f"{before.place or before.label_file}, expected one entry per "
                "image. Join or remove them."
            )
        else:
            by_image[known[0]] = item
    return by_image


def describe_unannotated(path, missing, images):
    """Say that images are not named, in a list of one fault or none."""
    is_labelme_folder = path.is_dir()
    noun = "JSON file" if is_labelme_folder else "entry"
    remedy = (
        "save each without shapes in LabelMe"
        if is_labelme_folder
        else "add an entry without shapes for each"
    )
    return unlabelled_faults(path, missing, images, noun, remedy)
