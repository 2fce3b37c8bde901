"""Masks that are drawn from the shapes of LabelMe, COCO and VIA."""

import pathlib
import typing
import warnings

from keras_patching._faults import few, raise_faults
from keras_patching.data.images.image_io import read_headers
from keras_patching.data.images.listing import SUFFIXES, list_images
from keras_patching.data.labels.annotations import read_annotations
from keras_patching.data.labels.class_table_files import find_class_table
from keras_patching.data.labels.class_tables import ClassTable
from keras_patching.data.labels.drawing import DrawnShape
from keras_patching.data.labels.files import find_label_file
from keras_patching.data.labels.mask_classes import (
    given_classes,
    is_background,
)
from keras_patching.data.labels.mask_shape_places import masks_of_other_sizes
from keras_patching.data.labels.shapes import AnnotatedImage

_KINDS = ("polygon", "mask")
_WITH_AREA = (*_KINDS, "box", "ellipse")
# What LabelMe calls pixels that are not labelled.
_IGNORED = "__ignore__"
_EXPECTED = (
    "Expected a folder of masks, a folder of JSON files of LabelMe, or one "
    "JSON file of COCO or of the VGG Image Annotator."
)


class MaskShapes(typing.NamedTuple):
    """What masks are to be drawn from.

    Args:
        path: `pathlib.Path` of the file, or of the folder of files.
        images: Dict from the path of an image to `AnnotatedImage`.
        drawn: Dict from the path of an image to a list of `DrawnShape`.
        left_out: Names of the images without labels.
        classes: `MaskClasses`.
    """

    path: pathlib.Path
    images: dict[pathlib.Path, AnnotatedImage]
    drawn: dict[pathlib.Path, list[DrawnShape]]
    left_out: list[str]
    classes: object


def are_shapes(dirname, path):
    """Tell whether labels are shapes, and not masks that are files.

    Args:
        dirname: Folder of images.
        path: Folder or file of labels.
    """
    dirname, path = pathlib.Path(dirname), pathlib.Path(path)
    if path.suffix.lower() in (".json", ".geojson") and not path.is_dir():
        return True
    if not path.is_dir():
        return path.is_file()
    stems = {
        each.stem for each in path.iterdir() if each.suffix.lower() == ".json"
    }
    images = {
        each.stem
        for each in path.iterdir()
        if each.suffix.lower() in SUFFIXES and not each.name.startswith(".")
    }
    if dirname.is_dir() and path.samefile(dirname):
        return bool(stems & images)
    # LabelMe writes its files beside the images, which may be copies.
    return bool(stems) and images <= stems


def read_mask_shapes(
    dirname, path, num_classes, ignore_value, *given, unlabelled
):
    """Read the shapes of a folder of images, as what masks are drawn from.

    Args:
        dirname: Folder of images.
        path: Folder of JSON files of LabelMe, or JSON file of COCO or VIA.
        num_classes, ignore_value, *given: As for `given_classes`, without
            `found`.
        unlabelled: What images are that no file names.

    Returns:
        `MaskShapes`.

    Raises:
        FileNotFoundError: If something is missing.
        ValueError: Lists what cannot be used, with file and place.
    """
    images, path = list_images(dirname), pathlib.Path(path)
    table = find_class_table(path) if path.is_dir() else None
    if not path.is_dir():
        path = find_label_file(path, dirname, _EXPECTED)
        if path.suffix.lower() not in (".json", ".geojson"):
            raise ValueError(f"{path}: is a file. {_EXPECTED}")
    found = read_annotations(path, images, unlabelled, _KINDS)
    if found is None:
        raise ValueError(f"{path}: cannot be read as labels. {_EXPECTED}")
    classes = given_classes(num_classes, ignore_value, *given, table)
    if classes.names is None:
        names = _name_classes(path, found)
        table = table if names is None else ClassTable(str(path), names)
        classes = given_classes(num_classes, ignore_value, *given, table)
    _check_class_0(path, found, classes)
    faults = []
    drawn = {
        image: _draw(image, item, classes, faults)
        for image, item in found.images.items()
    }
    raise_faults(
        faults,
        "Shapes that no mask can be drawn of",
        "Correct the labels, or the arguments that the lines name.",
    )
    left_out = [i.name for i in images.values() if i not in found.images]
    return MaskShapes(path, found.images, drawn, left_out, classes)


def _name_classes(path, found):
    """Give the names of classes that the labels tell, or `None`.

    Raises:
        ValueError: If there are several, and nothing tells their order.
    """
    labels = [name for name in found.class_names if name != _IGNORED]
    grounds = [name for name in labels if is_background(name)]
    others = [name for name in labels if not is_background(name)]
    names = [*(grounds or ["background"])[:1], *others]
    if len(others) > 1 and not found.is_listed:
        raise ValueError(
            f"{path}: has the labels {few(others, 20)}, and nothing tells "
            "which class each is. Name them in the order of classes, what is "
            f"of none first: class_names={tuple(names)}."
        )
    return names if others else None


def _check_class_0(path, found, classes):
    """Tell where class 0, which is where no shape is, may be an object.

    Raises:
        ValueError: If another class is called background.
    """
    names = classes.names
    if names is None or is_background(names[0]):
        return
    grounds = [name for name in names if is_background(name)]
    others = [name for name in names if name not in grounds]
    right = tuple([*(grounds or ["background"])[:1], *others])
    if grounds:
        raise ValueError(
            f"{path}: pixels where no shape is are of class 0, {names[0]!r}, "
            f"and {grounds[0]!r} is another. Pass it first: "
            f"class_names={right}."
        )
    if found.has_shapes_of(names[0]):
        warnings.warn(
            f"{path}: pixels where no shape is are of class 0, {names[0]!r}, "
            "as are the shapes of this label. If these pixels are of no "
            f"class, name it first: class_names={right}.",
            stacklevel=4,
        )


def _draw(image, item, classes, faults):
    """Give the list of `DrawnShape` of an image."""
    drawn, before = [], len(faults)
    if any(shape.image_size for shape in item.shapes):
        # Few run lengths may be of a mask that fills the memory.
        headers, unreadable = read_headers([image])
        faults += unreadable
        for header in headers.values():
            faults += masks_of_other_sizes(item, image, header)
    if len(faults) > before:
        return drawn
    for shape in item.shapes:
        where = f"{item.label_file}, {shape.place}"
        value = _value_of(shape, classes, where, faults)
        if shape.kind not in _WITH_AREA:
            faults.append(
                f"{where}: found a {shape.kind}, which has no area. Remove it, "
                "or draw its outline as a polygon."
            )
        elif value is not None:
            try:
                drawn.append(DrawnShape.of(shape, value))
            except (ValueError, TypeError) as error:
                faults.append(
                    f"{where}: cannot be decoded ({error}). Export it again, "
                    "or remove it."
                )
    return drawn


def _value_of(shape, classes, where, faults):
    """Give the class of a shape, or `None` and a fault."""
    if shape.crowd or shape.label == _IGNORED:
        what = "a crowd (iscrowd)" if shape.crowd else f"the label {_IGNORED}"
        if classes.ignore_value is None:
            faults.append(
                f"{where}: found {what}, pixels of which nothing is known. "
                "Pass ignore_value=255, which leaves them out of the training, "
                "or remove it."
            )
        return classes.ignore_value
    names = classes.names or []
    if shape.label in names:
        return names.index(shape.label)
    if shape.label is None and classes.num_classes == 2:
        return 1
    faults.append(
        f"{where}: found "
        + ("no label" if shape.label is None else f"the label {shape.label!r}")
        + f", expected one of {few(names, 20)}. Correct it, or name all "
        "classes, what is of none first, by class_names=."
    )
    return None
