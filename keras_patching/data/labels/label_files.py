"""What readers of label files share: finding them, text and strict JSON.

Each function says what is wrong so that the message can stand in a list of
faults, next to the file and place that it names.
"""

import collections
import filecmp
import json
import pathlib
import reprlib

from keras_patching._faults import readable
from keras_patching.data.labels.label_forms import (
    describe_folder_form,
    describe_json_form,
    describe_text_form,
)

UNLABELLED = ("error", "skip", "empty")


def few(names, most=5):
    """List the first names for a message, and count the others."""
    listed = ", ".join(repr(name) for name in names[:most])
    rest = len(names) - most
    return f"{listed} and {rest} more" if rest > 0 else listed


def find_label_file(label_file, dirname, expected):
    """Find a label file by its name in the image folder, or by its path.

    Args:
        label_file: Name in `dirname`, or path from the working directory.
        dirname: Folder of images.
        expected: What such a file holds, for messages.

    Returns:
        `pathlib.Path`, which is a file.

    Raises:
        FileNotFoundError: It is in neither place.
        ValueError: It is in both, with different contents; or it is a folder.
    """
    given = pathlib.Path(label_file)
    inside = pathlib.Path(dirname) / given
    found = [path for path in (inside, given) if path.exists()]
    if not found:
        also = "" if given.is_absolute() else f", nor is there {inside}"
        raise FileNotFoundError(f"{given}: no such file{also}. {expected}")
    for path in found:
        if path.is_dir():
            raise ValueError(
                f"{path}: is a folder, expected one label file. "
                f"{describe_folder_form(path)}{expected}"
            )
    if len(found) == 2 and not (
        inside.samefile(given) or filecmp.cmp(inside, given, shallow=False)
    ):
        raise ValueError(
            f"{given}: there are two files of this name, with different "
            f"labels: {inside.absolute()} in the image folder, and "
            f"{given.absolute()} in the working directory. Pass the whole path "
            "of the one that you mean."
        )
    return found[0]


def check_unlabelled(unlabelled):
    """Refuse what says nothing about images that a label file does not name."""
    if unlabelled not in UNLABELLED:
        raise ValueError(
            f"`unlabelled` must be one of {UNLABELLED}: what to do with images "
            "that the labels do not name. "
            f"Received: unlabelled={unlabelled!r}"
        )


def describe_unlabelled(missing, images, noun, remedy):
    """Say that images have no labels, and all ways out.

    Args:
        missing: List of paths of images without labels.
        images: Dict from stem to path of all images.
        noun: What they lack: "row".
        remedy: What to write in the labels for an image without objects.

    Returns:
        List of one fault without its file, or an empty one.
    """
    if not missing:
        return []
    return [
        f"has no {noun} for {len(missing)} of {len(images)} images: "
        f"{few([image.name for image in missing])}. If they are not labelled, "
        'pass unlabelled="skip", which leaves them out. If they hold no '
        f'objects, {remedy}, or pass unlabelled="empty".'
    ]


def read_text(path):
    """Read a UTF-8 file, with or without byte order mark.

    Raises:
        ValueError: It is not UTF-8; names the line.
    """
    with readable(path):
        data = path.read_bytes()
    if data.startswith(b"PK\x03\x04"):
        raise ValueError(
            f"{path}: is a workbook of a spreadsheet, or a zip archive. Save "
            'the table as "CSV UTF-8".'
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = error.object[: error.start]
        line = len((before + b".").splitlines())
        raise ValueError(
            f"{path}, line {line}: is not UTF-8 ({error.reason}). Save it as "
            'UTF-8 (in spreadsheets: "CSV UTF-8").'
        ) from error


def load_json(path):
    """Load objects as tuples of pairs, and all numbers as floats.

    So keys that occur twice are seen, and no integer is too long to convert.

    Raises:
        ValueError: It is not JSON, and names line and column; or it is a well
            known form of labels that is not read.
    """
    text = read_text(path)
    try:
        content = json.loads(text, object_pairs_hook=tuple, parse_int=float)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(
            f"{path}: is not JSON ({error}). {describe_text_form(text)}Mend it."
        ) from error
    if form := describe_json_form(content):
        raise ValueError(f"{path}: is {form}, which is not read here.")
    return content


def to_dict(pairs, where, faults):
    """Make a dict of a JSON object's pairs, or `None` of another value.

    Args:
        pairs: A value of `load_json`.
        where: Its place, for messages.
        faults: List that what is wrong is added to.
    """
    if not isinstance(pairs, tuple):
        faults.append(
            f"{where}: found {reprlib.repr(pairs)}, expected a JSON object."
        )
        return None
    counts = collections.Counter(key for key, _ in pairs)
    if twice := [key for key, count in counts.items() if count > 1]:
        faults.append(
            f"{where}: found the keys {few(twice)} more than once, expected "
            "each once. Rename or remove all but one."
        )
    return dict(pairs)
