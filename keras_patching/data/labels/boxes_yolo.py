"""Boxes of YOLO, https://docs.ultralytics.com/datasets/detect: .txt per image.

A row is an object: the number of its class, x and y of its center, its width
and its height; or of segmentation, its class and x and y of 3 corners or more.
All but the class are fractions of the image. Names of the classes are in
`data.yaml` or `classes.txt`. A file without rows is an image without objects.

Labels lie beside the images, or in a folder `labels` where the images are in
`images`: `train/images` and `train/labels`, or `images/train` and
`labels/train`.
"""

import math
import pathlib

from keras_patching._faults import few, raise_faults
from keras_patching.data.images.image_io import read_headers
from keras_patching.data.labels.box_entries import (
    BoxEntry,
    BoxFile,
    BoxObject,
)
from keras_patching.data.labels.image_names import ImageNames
from keras_patching.data.labels.strict_json import read_text
from keras_patching.data.labels.yolo_names import (
    NAME_FILES,
    find_names,
    has_keypoints,
    is_yaml,
    read_yaml_names,
)

EXPECTED_YOLO = (
    "Expected a .txt file for each image, with a row `class x y width height` "
    "for each object (center and size as fractions of the image), and the "
    "names of the classes in data.yaml or classes.txt."
)
# Fractions of five decimals may reach so far beyond the edge.
_ROUNDING = 1e-5
_COMMON_NAMES = (*NAME_FILES, "train.txt", "val.txt", "test.txt", "notes.txt")
# As of Roboflow, "README.dataset.txt".
_READ_ME = "readme."


def read_boxes_yolo(path, images, class_names, faults):
    """Read the boxes of a data set of YOLO.

    Args:
        path: `pathlib.Path` of the folder of .txt files, of the data.yaml, or
            of the folder that it is in.
        images: Dict from stem to path, of `list_images`.
        class_names: Names of the classes, where no file has them; or `None`.
        faults: List that what is wrong is added to, with file and place.

    Returns:
        A `BoxFile`.

    Raises:
        ValueError: There are no labels or names, or images of which there are
            labels cannot be read.
    """
    image_dir = next(iter(images.values())).parent
    names = ImageNames(images)
    if is_yaml(path) or not _label_files(path, names):
        folder = _find_folder(path, image_dir, names)
    else:
        folder = path
    found, source = _find_class_names(path, folder)
    if found is None and class_names is None:
        raise ValueError(
            f"{folder}: there is neither data.yaml nor classes.txt here or "
            "above with the names of the classes. Add it, or pass "
            'class_names=["the name of class 0", ...].'
        )
    reader = _Rows(
        tuple(found or class_names),
        source or "class_names",
        source is not None and is_yaml(source) and has_keypoints(source),
    )
    paths = _label_files(folder, names, faults)
    headers, unreadable = read_headers(paths)
    raise_faults(unreadable, "Images that cannot be used", "Correct them.")
    entries = [
        BoxEntry(each, image, reader.read(each, headers[image].size, faults))
        for image, each in paths.items()
    ]
    faults += _find_strays(folder, names)
    return BoxFile(
        entries, found, noun=".txt file", remedy="add an empty file for each"
    )


def _label_files(folder, names, faults=None):
    """Give a dict from image path to its .txt file in a folder."""
    found = {}
    for path in _text_files(folder):
        image = names.find(path.stem)
        if image is None or path.name in NAME_FILES:
            continue
        if image in found and faults is not None:
            faults.append(
                f"{path}: is of {image.name}, as is {found[image].name}. "
                "Remove one of them."
            )
        found[image] = path
    return found


def _text_files(folder):
    return [
        path
        for path in sorted(folder.iterdir())
        if path.suffix.lower() == ".txt" and path.is_file()
    ]


def _find_strays(folder, names):
    """Find .txt files of no image, which may be of images that are missing."""
    return [
        f"{path}: has no image.{names.hint(path.stem)} Rename it, add the "
        "image, or move this file away."
        for path in _text_files(folder)
        if path.name not in _COMMON_NAMES
        and not path.name.lower().startswith((".", _READ_ME))
        and names.find(path.stem) is None
    ]


def _find_folder(path, image_dir, names):
    """Find the folder of labels of a data set, by that of its images."""
    root = path if path.is_dir() else path.parent
    parts = list(image_dir.absolute().parts)
    folders = [image_dir, root / "labels", root]
    if "images" in parts:
        last = len(parts) - 1 - parts[::-1].index("images")
        parts[last] = "labels"
        folders.insert(0, pathlib.Path(*parts))
    for folder in folders:
        if folder.is_dir() and _label_files(folder, names):
            return folder
    listed = few([str(folder) for folder in folders])
    raise ValueError(
        f"{path}: found no .txt file that is called as an image in {listed}. "
        "Pass the folder of the .txt files as the label file."
    )


def _find_class_names(path, folder):
    """Give the names of the classes and their file, or `None` twice."""
    if is_yaml(path):
        return read_yaml_names(path), path
    return find_names(path, folder)


class _Rows:
    """Reads the rows of .txt files.

    Args:
        class_names: Tuple of the names of the classes.
        source: Where these are from, for messages.
        have_keypoints: Whether rows go on with keypoints after the box.
    """

    def __init__(self, class_names, source, have_keypoints):
        self._class_names = class_names
        self._source = source
        self._have_keypoints = have_keypoints

    def read(self, path, size, faults):
        """Give a list of `BoxObject` of an image of `size`, in pixels."""
        try:
            lines = read_text(path).splitlines()
        except ValueError as error:
            faults.append(str(error))
            return []
        objects = []
        for line, text in enumerate(lines, 1):
            if not text.strip():
                continue
            try:
                label, edges = self._read_row(text.split())
            except ValueError as error:
                faults.append(f"{path}, line {line}: {error}")
                continue
            corners = tuple(
                edge * size[index % 2] for index, edge in enumerate(edges)
            )
            objects.append(BoxObject(corners, label, f"line {line}"))
        return objects

    def _read_row(self, cells):
        """Give the label of a row, and y1, x1, y2, x2 as fractions.

        Raises:
            ValueError: It is none; says why, without its place.
        """
        first, *values = cells
        numbers = [_to_number(value) for value in values]
        if any(map(math.isnan, numbers)):
            wrong = values[[*map(math.isnan, numbers)].index(True)]
            raise ValueError(f"found {wrong!r}, expected a number.")
        xs, ys = self._edges(numbers)
        edges = [_snap(edge) for edge in (min(ys), min(xs), max(ys), max(xs))]
        if max(map(abs, numbers)) > 2:
            raise ValueError(
                f"found {max(numbers):g}, expected fractions of the image, "
                "from 0 to 1. Divide x by its width and y by its height."
            )
        if not first.isdecimal():
            raise ValueError(
                f"found the class {first!r}, expected a whole number from 0."
            )
        if int(first) >= len(self._class_names):
            raise ValueError(
                f"found the class {first}, expected less than "
                f"{len(self._class_names)}, the number of names in "
                f"{self._source}. Correct it, or add its name there."
            )
        return self._class_names[int(first)], edges

    def _edges(self, numbers):
        """Give two lists, of x and of y, whose extent is the box."""
        if len(numbers) == 4 or (self._have_keypoints and len(numbers) > 4):
            x, y, width, height = numbers[:4]
            if width < 0 or height < 0:
                raise ValueError(
                    f"found the width {width:g} and height {height:g}, "
                    "expected none below 0."
                )
            return (
                [x - width / 2, x + width / 2],
                [y - height / 2, y + height / 2],
            )
        if len(numbers) >= 6 and len(numbers) % 2 == 0:
            _refuse_pose(numbers)
            return numbers[::2], numbers[1::2]
        hint = (
            " The sixth may be the confidence of a prediction: remove it."
            if len(numbers) == 5
            else ""
        )
        raise ValueError(
            f"found {len(numbers) + 1} values, expected class, x, y, width and "
            f"height, or class and x and y of 3 points or more.{hint}"
        )


def _refuse_pose(numbers):
    """Refuse a row that may be a box and keypoints as well as a polygon.

    So it is where each third number is a visibility, and what is visible lies
    in the box.
    """
    x, y, width, height, *points = numbers
    triples = list(zip(*[iter(points)] * 3, strict=False))
    if len(points) % 3 or not all(v in (0, 1, 2) for *_, v in triples):
        return
    seen = [(px, py) for px, py, v in triples if v]
    if all(
        abs(px - x) <= width / 2 and abs(py - y) <= height / 2
        for px, py in seen
    ):
        raise ValueError(
            f"found {len(numbers) + 1} values, which may be a box and "
            f"{len(triples)} keypoints, or a polygon. Of keypoints write "
            f"`kpt_shape: [{len(triples)}, 3]` into data.yaml; of a polygon "
            "write its last point twice."
        )


def _to_number(text):
    """Read a finite number; anything else is NaN."""
    try:
        number = float(text.replace("_", "?"))
    except ValueError:
        return math.nan
    return number if math.isfinite(number) else math.nan


def _snap(edge):
    """Give the edge of the image for what is there but for its decimals."""
    if -_ROUNDING <= edge < 0:
        return 0.0
    return 1.0 if 1 < edge <= 1 + _ROUNDING else edge
