"""Boxes of Pascal VOC, http://host.robots.ox.ac.uk/pascal/VOC: XML per image.

`<annotation><filename>a.png</filename><size><width>90</width><height>70
</height><depth>3</depth></size><object><name>leaf</name><difficult>0
</difficult><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>90</xmax><ymax>70</ymax>
</bndbox></object></annotation>`.

As published, corners are the first and the last pixel, counted from 1: this
box is the whole image, and `x1 = xmin - 1`, `x2 = xmax`. LabelImg writes where
corners were drawn, without their fractions: of a folder with files of it (they
have a `<path>`, and the database "Unknown"), all corners are taken as they are;
so they are where one is 0 or has a fraction, since no pixel is called so.

Document types and entities, which XML may use to reach for other files or to
fill the memory, are refused before the parser sees them.
"""

import dataclasses
import math
import re
import xml.etree.ElementTree as ElementTree

from keras_patching.data.labels.box_entries import (
    BoxEntry,
    BoxFile,
    BoxObject,
    describe_corners,
)
from keras_patching.data.labels.strict_json import read_text

EXPECTED_VOC = (
    "Expected a file for each image: <annotation> with <filename>, <size> and "
    "for each <object> its <name> and <bndbox> of <xmin>, <ymin>, <xmax> and "
    "<ymax>."
)
_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_UNSAFE = re.compile("<!(DOCTYPE|ENTITY)")


@dataclasses.dataclass
class _Row:
    """An object as it is written: xmin, ymin, xmax and ymax."""

    numbers: list[float]
    label: str
    place: str
    difficult: bool


def read_boxes_voc(folder, names, faults):
    """Read the boxes of a folder of XML files.

    Args:
        folder: `pathlib.Path` of the folder.
        names: `ImageNames` of all images.
        faults: List that what is wrong is added to, with file and place.

    Returns:
        A `BoxFile`. Objects that are difficult or truncated are objects.
    """
    files, of_labelimg = [], False
    for path in sorted(folder.glob("*.[xX][mM][lL]")):
        if path.name.startswith("."):
            continue
        try:
            root = _parse(path)
        except ValueError as error:
            faults.append(str(error))
            continue
        slips = []
        image = _find_image(path, root, names, slips)
        rows = [
            row
            for index, each in enumerate(root.findall("object"), 1)
            if (row := _read_object(each, f"object {index}", slips))
        ]
        files.append((path, image, rows, _read_size(root, slips)))
        of_labelimg = of_labelimg or _is_of_labelimg(root)
        faults += [f"{path}: {slip}" for slip in slips]
    rows = [row for _, _, each, _ in files for row in each]
    start = 0 if of_labelimg else _first_pixel(rows)
    return BoxFile(
        [
            BoxEntry(path, image, [_to_object(r, start) for r in each], size)
            for path, image, each, size in files
        ],
        noun="XML file",
        remedy="add a file without <object> for each",
        notes=_describe(rows, start),
    )


def _parse(path):
    """Parse a file that has neither a document type nor entities.

    Raises:
        ValueError: It is none, or no VOC; names the file.
    """
    text = read_text(path)
    if found := _UNSAFE.search(text):
        raise ValueError(
            f"{path}: found {found[0]}, which is not read, since it may reach "
            "for other files. Remove it."
        )
    try:
        root = ElementTree.fromstring(text)  # noqa: S314 - without entities
    except ElementTree.ParseError as error:
        raise ValueError(f"{path}: is not XML ({error}). Mend it.") from error
    if root.tag != "annotation":
        hint = (
            " It is of CVAT: export it as COCO or Pascal VOC."
            if root.tag == "annotations"
            else ""
        )
        raise ValueError(
            f"{path}: found <{root.tag}>, expected <annotation> of Pascal "
            f"VOC.{hint}"
        )
    return root


def _is_of_labelimg(root):
    has_path = root.find("path") is not None
    return has_path and root.findtext("source/database") == "Unknown"


def _find_image(path, root, names, slips):
    """Find the image: called as the file, else as its <filename>."""
    given = re.split(r"[/\\]", (root.findtext("filename") or "").strip())[-1]
    images = [names.find(each) for each in (path.stem, given) if each]
    known = list(dict.fromkeys(image for image in images if image))
    if len(known) > 1:
        slips.append(
            f"may be of {known[0].name}, as the file is called, or of "
            f"{known[1].name}, as its <filename> says. Rename the file, or "
            "correct <filename>."
        )
    elif not known:
        slips.append(names.describe_unknown(given or path.stem, "file"))
    return known[0] if len(known) == 1 else None


def _read_size(root, slips):
    """Give `(height, width)`, or `None` where it is left out or 0."""
    texts = [root.findtext(f"size/{key}") for key in ("height", "width")]
    numbers = [_to_number(text) for text in texts]
    if texts == [None, None] or numbers == [0, 0]:
        return None
    if not all(number > 0 and number.is_integer() for number in numbers):
        slips.append(
            f"found the height {texts[0]!r} and width {texts[1]!r} in <size>, "
            "expected pixels as positive whole numbers. Correct or remove "
            "<size>."
        )
        return None
    return tuple(map(int, numbers))


def _read_object(element, place, slips):
    label = (element.findtext("name") or "").strip()
    if not label:
        slips.append(f"{place}: has no <name>. Add it.")
        return None
    place = f"{place} ({label})"
    texts = [element.findtext(f"bndbox/{key}") for key in _CORNERS]
    numbers = [_to_number(text) for text in texts]
    for key, text, number in zip(_CORNERS, texts, numbers, strict=True):
        if math.isnan(number):
            slips.append(
                f"{place}: found {text!r} in <bndbox><{key}>, expected a "
                "finite number. Correct it, or remove the object."
            )
            return None
    if fault := describe_corners(*numbers):
        slips.append(f"{place}: {fault}")
        return None
    difficult = _to_number(element.findtext("difficult")) > 0
    return _Row(numbers, label, place, difficult)


def _to_number(text):
    """Read a finite number; anything else is NaN."""
    try:
        number = float((text or "").replace("_", "?"))
    except ValueError:
        return math.nan
    return number if math.isfinite(number) else math.nan


def _first_pixel(rows):
    """Tell what the first pixel is called in a folder: 1, or 0."""
    numbers = [number for row in rows for number in row.numbers]
    counts_from_0 = any(n == 0 or not n.is_integer() for n in numbers)
    return 0 if counts_from_0 else 1


def _to_object(row, start):
    """Make a `BoxObject`, where the first pixel is called `start`."""
    x1, y1, x2, y2 = row.numbers
    corners = (y1 - start, x1 - start, y2, x2)
    return BoxObject(corners, row.label, row.place)


def _describe(rows, start):
    """Say how corners were understood, and what is difficult."""
    difficult = sum(row.difficult for row in rows)
    notes = (
        "Corners of Pascal VOC are its first and last pixel, counted from 1."
        if start
        else "Corners of Pascal VOC are taken as they are, not as pixels that "
        "are counted from 1: they are of LabelImg, or some are 0 or have "
        "fractions.",
    )
    if difficult:
        notes += (f"{difficult} objects marked as difficult are objects here.",)
    return notes
