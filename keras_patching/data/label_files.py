"""What readers of label files share: text, strict JSON, names of images.

Each function says what is wrong so that the message can stand in a list of
faults, next to the file and place that it names.
"""

import collections
import json
import pathlib
import re
import reprlib


def few(names, most=5):
    """List the first names for a message, and count the others."""
    listed = ", ".join(repr(name) for name in names[:most])
    rest = len(names) - most
    return f"{listed} and {rest} more" if rest > 0 else listed


def by_file_and_stem(images):
    """Let images be found by file name too, which goes before a stem.

    Args:
        images: Dict from stem to path, of `list_images`.

    Returns:
        Dict from file name and from stem to path.
    """
    return images | {image.name: image for image in images.values()}


def tell_unknown(name, images, noun):
    """Say that no image has this name, and what may be meant.

    Args:
        name: Text that was found in the place of an image's name.
        images: Dict from stem to path, of `list_images`; it may hold file
            names too.
        noun: What the name stands in, and could be removed: "row".

    Returns:
        A fault without its place.
    """
    folder = next(iter(images.values())).parent
    fault = f"found the name {name!r}, expected an image in {folder}."
    if re.search(r"[/\\]", name):
        return f"{fault} Leave out the folder."
    if same_stem := images.get(pathlib.PurePath(name).stem):
        return f"{fault} There is {same_stem.name}: correct the suffix."
    return f"{fault} Correct the name, add the image, or remove the {noun}."


def read_text(path):
    """Read a UTF-8 file, with or without byte order mark.

    Raises:
        ValueError: It is not UTF-8; names the line.
    """
    try:
        return path.read_bytes().decode("utf-8-sig")
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
        ValueError: It is not JSON; names line and column.
    """
    text = read_text(path)
    try:
        return json.loads(text, object_pairs_hook=tuple, parse_int=float)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{path}: is not JSON ({error}). Mend it.") from error


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
