"""Tells by content which format labels of boxes are in, and reads them."""

import re

from keras_patching._faults import raise_faults
from keras_patching.data.labels.boxes_csv import EXPECTED_CSV, read_boxes_csv
from keras_patching.data.labels.boxes_json import (
    describe_expected,
    read_boxes_json,
)
from keras_patching.data.labels.boxes_shapes import (
    read_boxes_labelme,
    read_boxes_of_shapes,
)
from keras_patching.data.labels.boxes_voc import EXPECTED_VOC, read_boxes_voc
from keras_patching.data.labels.boxes_yolo import (
    EXPECTED_YOLO,
    read_boxes_yolo,
)
from keras_patching.data.labels.forms import (
    describe_json_form,
    describe_text_form,
)
from keras_patching.data.labels.strict_json import load_any_json, read_text
from keras_patching.data.labels.yolo_names import NAME_FILES, is_yaml

EXPECTED = (
    "Expected a JSON file (of COCO, of the VGG Image Annotator, or with an "
    "entry per image), a CSV file of one box per row, a folder of Pascal VOC "
    "XML, LabelMe JSON or YOLO .txt files, or the data.yaml of YOLO."
)
_SUFFIXES = {".xml": "Pascal VOC", ".json": "LabelMe", ".txt": "YOLO"}


def read_format(path, images, names, class_names, objects_key, faults):
    """Read labels of any format.

    Args:
        path: `pathlib.Path` of a file or folder.
        images: Dict from stem to path, of `list_images`.
        names: `ImageNames` of these.
        class_names: Names of classes that somebody asks for, or `None`.
        objects_key: Key of the list of objects, in our own form.
        faults: List that what is wrong is added to, with file and place.

    Returns:
        `BoxFile`, and what labels of its format look like, for messages.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is of no format that is read, or not surely of one.
    """
    if path.is_dir():
        return _read_folder(path, images, names, class_names, faults)
    if not path.is_file():
        expected = describe_expected(objects_key)
        raise FileNotFoundError(f"{path}: no such file. {expected}")
    if is_yaml(path):
        found = read_boxes_yolo(path, images, class_names, faults)
        return found, EXPECTED_YOLO
    start = read_text(path).lstrip()[:1000]
    if "<annotations" in start:
        raise ValueError(
            f"{path}: is XML of CVAT, which is not read here. Export COCO or "
            "Pascal VOC there."
        )
    if start.startswith("<") or _is_yolo(path, start):
        raise ValueError(
            f"{path}: is of one image alone. {describe_text_form(start)}"
            f"Pass the folder of these files, {str(path.parent)!r}. "
            f"{EXPECTED_VOC if start.startswith('<') else EXPECTED_YOLO}"
        )
    if _is_table(path, start):
        return read_boxes_csv(path, names, faults), EXPECTED_CSV
    return _read_json(path, names, objects_key, faults)


def _read_json(path, names, objects_key, faults):
    expected = describe_expected(objects_key)
    try:
        content = load_any_json(path)
    except ValueError as error:
        raise ValueError(f"{error} {expected}") from error
    found = read_boxes_of_shapes(path, content, names, faults)
    if found is not None:
        return found, "Correct the file, or export it again."
    if form := describe_json_form(content):
        raise ValueError(
            f"{path}: is {form}, which is not read here. Export it as COCO. "
            f"{expected}"
        )
    found = read_boxes_json(path, content, names, objects_key, faults)
    return found, expected


def _read_folder(path, images, names, class_names, faults):
    """Read a folder of files, one for each image, or of a data set of YOLO."""
    form = _form_of_folder(path, names)
    if form == "YOLO":
        found = read_boxes_yolo(path, images, class_names, faults)
        return found, EXPECTED_YOLO
    if form == "Pascal VOC":
        return read_boxes_voc(path, names, faults), EXPECTED_VOC
    found = read_boxes_labelme(path, names, faults)
    if found is None:
        raise_faults(faults, "Boxes that cannot be used", EXPECTED)
        raise ValueError(
            f"{path}: holds no labels that are called as an image: no .xml, "
            f".json or .txt file. {EXPECTED}"
        )
    return found, "Correct the files, or save them again in LabelMe."


def _form_of_folder(path, names):
    """Name the form of most files that are called as images."""
    files = [each for each in path.iterdir() if not each.name.startswith(".")]
    suffixes = [each.suffix.lower() for each in files if names.find(each.stem)]
    forms = {
        form: suffixes.count(suffix)
        for suffix, form in _SUFFIXES.items()
        if suffix in suffixes
    }
    if len(forms) > 1:
        listed = " and ".join(f"{forms[form]} of {form}" for form in forms)
        raise ValueError(
            f"{path}: holds files of two formats that are called as images, "
            f"{listed}. Move those that are not meant to another folder."
        )
    if forms:
        return next(iter(forms))
    if any(map(is_yaml, files)):
        return "YOLO"
    has_xml = any(each.suffix.lower() == ".xml" for each in files)
    return "Pascal VOC" if has_xml else "LabelMe"


def _is_yolo(path, start):
    first = start.splitlines()[0] if start else ""
    is_row = re.fullmatch(r"\s*\d+(\s+[\d.e+-]+){4,}\s*", first)
    return bool(is_row) or path.name in NAME_FILES


def _is_table(path, start):
    first = start.splitlines()[0] if start else ""
    return not start.startswith(("{", "[")) and (
        path.suffix.lower() in (".csv", ".tsv")
        or any(first.count(delimiter) >= 2 for delimiter in ",;\t")
    )
