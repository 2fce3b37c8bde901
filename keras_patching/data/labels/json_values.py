"""Values of JSON label files: each is taken as it must be, or is a fault.

Values are those of `strict_json.load_json`, where numbers are floats and
objects are tuples of pairs. What is wrong is added to a list of faults, each
with its place in the file, `["img_1"]["objects"][3]`, and without the file.
"""

import json
import math
import reprlib


def quote(key):
    """Write a key or name as JSON does."""
    return json.dumps(key, ensure_ascii=False)


def show(value):
    """Write a value that was found, shortened, for a message."""
    return reprlib.repr(dict(value) if isinstance(value, tuple) else value)


def are_numbers(values, place, faults):
    """Tell whether a list holds finite numbers only; else add a fault."""
    wrong = [
        index
        for index, value in enumerate(values)
        if not isinstance(value, float) or not math.isfinite(value)
    ]
    if wrong:
        faults.append(
            f"{place}[{wrong[0]}]: found {show(values[wrong[0]])}, expected a "
            "finite number, without quotation marks. Correct it"
            + (f", and {len(wrong) - 1} more." if wrong[1:] else ".")
        )
    return not wrong


def read_list(fields, key, place, faults):
    """Give the list that an object has at a key, or add a fault.

    Args:
        fields: Dict of the object.
        key: The key.
        place: Place of the object.
        faults: List that what is wrong is added to.

    Returns:
        The list, or `None`.
    """
    value = fields.get(key)
    if not isinstance(value, list):
        faults.append(
            f"{place}[{quote(key)}]: found {show(value)}, expected a list."
        )
        return None
    return value


def read_numbers(fields, keys, place, faults):
    """Give the finite numbers that an object has at some keys.

    Args:
        fields, place, faults: As for `read_list`.
        keys: The keys.

    Returns:
        List of floats, or `None`.
    """
    values = [fields.get(key) for key in keys]
    for key, value in zip(keys, values, strict=True):
        if not isinstance(value, float) or not math.isfinite(value):
            faults.append(
                f"{place}[{quote(key)}]: found {show(value)}, expected a "
                "finite number, without quotation marks. Correct it."
            )
            return None
    return values


def read_text_value(fields, key, place, faults):
    """Give the text that an object has at a key, or add a fault.

    Args:
        fields, key, place, faults: As for `read_list`.

    Returns:
        The text, or `None`.
    """
    value = fields.get(key)
    if not isinstance(value, str) or not value.strip():
        faults.append(
            f"{place}[{quote(key)}]: found {show(value)}, expected a name in "
            "quotation marks. Correct it."
        )
        return None
    return value


def read_size(fields, place, faults, keys=("height", "width")):
    """Read the size that an object declares for its image.

    Args:
        fields: Dict of the object.
        place: Place of the object.
        faults: List that what is wrong is added to.
        keys: The keys of height and width.

    Returns:
        `(height, width)`, or `None` if left out or wrong.
    """
    if not set(keys) & fields.keys():
        return None
    size = [fields.get(key) for key in keys]
    if all(
        isinstance(length, float) and length.is_integer() and length > 0
        for length in size
    ):
        return tuple(int(length) for length in size)
    height, width = map(show, size)
    faults.append(
        f"{place}: found the height {height} and width {width}, expected "
        "pixels as positive whole numbers. Correct or remove both."
    )
    return None
