"""Text and JSON of label files, read strictly: what is doubtful is an error.

Each function says what is wrong so that the message can stand in a list of
faults, next to the file and place that it names.
"""

import codecs
import collections
import json
import reprlib

from keras_patching._faults import few, readable
from keras_patching.data.labels.forms import (
    describe_json_form,
    describe_text_form,
)


def read_text(path):
    """Read a UTF-8 file, or UTF-16 with a byte order mark, as Excel writes it.

    Raises:
        ValueError: It is neither; names the line.
    """
    with readable(path):
        data = path.read_bytes()
    if data.startswith(b"PK\x03\x04"):
        raise ValueError(
            f"{path}: is a workbook of a spreadsheet, or a zip archive. Save "
            'the table as "CSV UTF-8".'
        )
    is_utf_16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    encoding = "utf-16" if is_utf_16 else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode(encoding, "replace")
        raise ValueError(_not_utf_8(path, before, error.reason)) from error
    if "\0" in text:
        before = text[: text.index("\0")]
        raise ValueError(_not_utf_8(path, before, "found a zero byte"))
    return text


def _not_utf_8(path, before, reason):
    line = len((before + ".").splitlines())
    return (
        f"{path}, line {line}: is not UTF-8 ({reason}). Save it as UTF-8 (in "
        'spreadsheets: "CSV UTF-8").'
    )


def begins_like_json(path):
    """Tell whether a text file begins as an object or list of JSON does."""
    return read_text(path).lstrip().startswith(("{", "["))


def load_json(path):
    """Load JSON as `load_any_json` does, of our own forms and of COCO.

    Raises:
        ValueError: It is not JSON, and names line and column; or it is a well
            known form of labels that is not read.
    """
    content = load_any_json(path)
    if form := describe_json_form(content):
        raise ValueError(f"{path}: is {form}, which is not read here.")
    return content


def load_any_json(path):
    """Load objects as tuples of pairs, and all numbers as floats.

    So keys that occur twice are seen, and no integer is too long to convert.

    Raises:
        ValueError: It is not JSON; names line and column.
    """
    text = read_text(path)
    try:
        return json.loads(text, object_pairs_hook=tuple, parse_int=float)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(
            f"{path}: is not JSON ({error}). {describe_text_form(text)}Mend it."
        ) from error


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
