"""Boxes of COCO, of the VGG Image Annotator and of LabelMe, from their shapes.

A box is the extent of what was drawn; pieces that are one object in the file,
as a group of LabelMe, are one box.
"""

import warnings

import numpy as np

from keras_patching._faults import few
from keras_patching.data.labels.annotations import (
    annotations_of,
    load_labelme_folder,
    pair_annotations,
)
from keras_patching.data.labels.box_entries import (
    BoxEntry,
    BoxFile,
    BoxObject,
)
from keras_patching.data.labels.forms import is_coco
from keras_patching.data.labels.shapes import extent

# COCO holds the box of each object, whatever else it holds.
_KINDS = ("box",)


def read_boxes_of_shapes(path, content, names, faults):
    """Read the boxes of all images of a JSON file of a tool.

    Args:
        path: `pathlib.Path` of the file.
        content: What `strict_json.load_any_json` reads.
        names: `ImageNames` of all images.
        faults: List that what is wrong is added to, with file and place.

    Returns:
        A `BoxFile`, or `None` if it is no file of these tools.
    """
    found = annotations_of(path, content, faults, _KINDS, names)
    if found is None:
        return None
    images, class_names = found
    entries, crowds = _to_entries(images, names, faults)
    if crowds:
        warnings.warn(
            f"{path}: left out {crowds} crowds (iscrowd), which are no single "
            "objects.",
            stacklevel=5,
        )
    if not is_coco(content):
        return BoxFile(entries)
    remedy = 'add an item to "images" for each'
    return BoxFile(entries, class_names, remedy=remedy)


def read_boxes_labelme(folder, names, faults):
    """Read the boxes of the files of LabelMe in a folder.

    Args:
        folder: `pathlib.Path` of the folder.
        names: `ImageNames` of all images.
        faults: List that what is wrong is added to, with file and place.

    Returns:
        A `BoxFile`, or `None` if there are no files of LabelMe.
    """
    found = load_labelme_folder(folder, names, faults)
    if found is None:
        return None
    entries, _ = _to_entries(found[0], names, faults)
    return BoxFile(
        entries, noun="JSON file", remedy="save each without shapes in LabelMe"
    )


def _to_entries(found, names, faults):
    """Make a list of `BoxEntry` of annotated images, and count crowds."""
    entries, crowds = [], 0
    for image, each in pair_annotations(found, names, faults).items():
        instances = {}
        for shape in each.shapes:
            where = f"{each.label_file}, {shape.place}"
            if shape.crowd:
                crowds += 1
            elif shape.kind == "point":
                faults.append(
                    f"{where}: is a point, which has no width and height. Draw "
                    "a box around the object, or load it as a point."
                )
            else:
                instances.setdefault(shape.instance, []).append(shape)
        objects = [_to_object(pieces) for pieces in instances.values()]
        entries.append(
            BoxEntry(
                each.label_file, image, objects, each.declared_size, each.place
            )
        )
    return entries, crowds


def _to_object(pieces):
    """Make a `BoxObject` of the shapes of one object."""
    corners = extent(pieces[0])
    for piece in pieces[1:]:
        other = extent(piece)
        corners = np.stack(
            [np.minimum(corners[0], other[0]), np.maximum(corners[1], other[1])]
        )
    first = pieces[0]
    doubt = ""
    if first.label is None and first.attributes:
        doubt = (
            f"has the attributes {few(list(first.attributes))}, expected one "
            'that tells the class. Call that one "label"; or, if there is one '
            'class only, pass class_names=["its name"].'
        )
    return BoxObject(
        tuple(corners.ravel().tolist()), first.label, first.place, doubt
    )
