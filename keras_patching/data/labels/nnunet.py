"""Folders of nnU-Net: `imagesTr/case_0000.png`, `labelsTr/case.png`.

Beside the two folders `dataset.json` names the classes. Version 1 has
`"labels": {"0": "soil"}`, version 2 `"labels": {"soil": 0, "ignore": 2}`.
https://github.com/MIC-DKFZ/nnUNet/blob/master/documentation/dataset_format.md
"""

import pathlib
import re

from keras_patching._faults import few, raise_faults
from keras_patching.data.labels.class_tables import ClassTable
from keras_patching.data.labels.strict_json import load_json, to_dict

_CHANNEL = re.compile(r"(.+)_(\d{4})")


def without_channels(images, label_dirname):
    """Key images by their cases, if the folders are those of nnU-Net.

    Args:
        images: Dict from stem to path.
        label_dirname: Folder of masks.

    Returns:
        Dict from case to path; `images` themselves in other folders.

    Raises:
        ValueError: If a case has several files, one per channel.
    """
    matches = {stem: _CHANNEL.fullmatch(stem) for stem in images}
    if not _description(label_dirname).is_file() or None in matches.values():
        return images
    cases = {}
    for stem, path in images.items():
        cases.setdefault(matches[stem][1], []).append(path)
    several = [paths for paths in cases.values() if len(paths) > 1]
    if several:
        names = few([path.name for path in several[0]], 4, str)
        raise ValueError(
            f"{several[0][0].parent}: nnU-Net has a file for each channel of "
            f"{len(several)} of {len(cases)} cases ({names}), and an image is "
            "one file here. Save the channels of a case in one TIFF of the "
            "name of the case, without _0000, and pass their number as "
            "`channels`."
        )
    return {case: path for case, (path,) in cases.items()}


def read_nnunet_classes(label_dirname, ignore_value):
    """Read the names and ids of classes of a folder of nnU-Net.

    Args:
        label_dirname: Folder of masks.
        ignore_value: Value of unlabelled pixels that was passed, or `None`.

    Returns:
        `ClassTable`, or `None` where this is no such folder.

    Raises:
        ValueError: If `dataset.json` cannot be used.
    """
    path = _description(label_dirname)
    if not path.is_file():
        return None
    faults = []
    content = to_dict(load_json(path), path, faults) or {}
    if not faults and not ({"channel_names", "modality"} & content.keys()):
        return None  # Of another program.
    where = f'{path}, ["labels"]'
    labels = to_dict(content.get("labels"), where, faults) or {}
    classes = {}
    for key, value in labels.items():
        name, number = (value, key) if isinstance(value, str) else (key, value)
        number = _as_number(number)
        if number is None:
            faults.append(
                f'{where}: found "{key}": {value!r}, expected a name and a '
                "whole number. Classes of regions, which have several numbers, "
                "are not read."
            )
        elif number in classes:
            faults.append(f"{where}: found the number {number} more than once.")
        classes[number] = name
    raise_faults(faults, "A data set of nnU-Net that cannot be used", "")
    _check_ignored(where, classes, ignore_value)
    numbers = sorted(classes)
    names = [classes[number] for number in numbers]
    return ClassTable(str(path), names, None, numbers)


def _description(label_dirname):
    return pathlib.Path(label_dirname).absolute().parent / "dataset.json"


def _as_number(value):
    if isinstance(value, str) and re.fullmatch(r"\d{1,9}", value):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return None


def _check_ignored(where, classes, ignore_value):
    """Refuse a label that is to be ignored, where nobody said so."""
    for number, name in classes.items():
        if name == "ignore" and number != ignore_value:
            raise ValueError(
                f"{where}: {number} is of pixels to ignore. Pass "
                f"ignore_value={number}. Received: ignore_value={ignore_value}"
            )
