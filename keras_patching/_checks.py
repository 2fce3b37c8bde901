"""Checks of arguments that people pass, each with an error that says all."""

import numbers

import numpy as np


def is_integer(value):
    """Tell whether a value is an integer of Python or numpy; bools are not."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def check_integer(value, name, minimum=None):
    """Return an integer as an `int`.

    Args:
        value: What was passed.
        name: What it is called, for the error.
        minimum: The least that it may be; `None` for any.

    Raises:
        ValueError: If it is none, or too small.
    """
    if not is_integer(value) or (minimum is not None and value < minimum):
        least = "" if minimum is None else f" of at least {minimum}"
        raise ValueError(
            f"`{name}` must be an integer{least}. Received: {name}={value!r}"
        )
    return int(value)


def check_optional(value, name, minimum):
    """Return an integer as an `int`, or `None`; see `check_integer`."""
    return None if value is None else check_integer(value, name, minimum)


def check_share(value, name):
    """Return a number from 0 to 1 as a float.

    Raises:
        ValueError: If it is none.
    """
    if not _is_number(value) or not 0 <= value <= 1:
        raise ValueError(
            f"`{name}` must be from 0 to 1. Received: {name}={value!r}"
        )
    return float(value)


def check_distance(value, name):
    """Return a finite number of at least 0, pixels for instance, as a float.

    Raises:
        ValueError: If it is none.
    """
    if not _is_number(value) or not 0 <= value < np.inf:
        raise ValueError(
            f"`{name}` must be a number of at least 0. "
            f"Received: {name}={value!r}"
        )
    return float(value)


def check_positive(value, name):
    """Return a finite number above 0 as a float.

    Raises:
        ValueError: If it is none.
    """
    if not _is_number(value) or not 0 < value < np.inf:
        raise ValueError(
            f"`{name}` must be a positive number. Received: {name}={value!r}"
        )
    return float(value)


def as_value_range(value_range):
    """Return `[black, white]` as floats.

    Raises:
        ValueError: If it is no pair of finite numbers, black the smaller.
    """
    pair = _as_tuple(value_range)
    is_pair = len(pair) == 2 and all(map(_is_number, pair))
    if not is_pair or not -np.inf < pair[0] < pair[1] < np.inf:
        raise ValueError(
            "`value_range` must be a pair (black, white) of numbers, black "
            f"the smaller. Received: value_range={value_range!r}"
        )
    return [float(value) for value in pair]


def check_class_names(class_names, name="class_names"):
    """Return the names of classes as a tuple.

    Args:
        class_names: List or tuple of texts.
        name: Name of the argument, for messages.

    Raises:
        ValueError: If they are no distinct strings, or none.
    """
    names = () if isinstance(class_names, str) else _as_tuple(class_names)
    is_text = all(isinstance(name, str) for name in names)
    if not names or not is_text or len(set(names)) < len(names):
        raise ValueError(
            f'`{name}` must be distinct names, such as ("plant",). '
            f"Received: {name}={class_names!r}"
        )
    return names


def _as_tuple(values):
    """Return values as a tuple, which is empty for what holds none."""
    try:
        return tuple(values)
    except TypeError:
        return ()


def _is_number(value):
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def as_points(points, name):
    """Return points as a float64 array `(n, 2)` of (y, x).

    Args:
        points: Array or nested list of finite numbers; an empty one of any
            shape is no points.
        name: What they are called, for the error.

    Raises:
        ValueError: If they are none.
    """
    return _as_rows(points, name, 2, "(y, x)")


def as_boxes(boxes, name):
    """Return boxes as a float64 array `(n, 4)` of x1, y1, x2, y2.

    Which corner comes first is not looked at.

    Args:
        boxes: Array or nested list of finite numbers; an empty one of any
            shape is no boxes.
        name: What they are called, for the error.

    Raises:
        ValueError: If they are none.
    """
    return _as_rows(boxes, name, 4, "x1, y1, x2, y2")


def _as_rows(values, name, columns, what):
    expected = f"`{name}` must be an array (n, {columns}) of {what} in pixels."
    try:
        array = np.asarray(values)
    except ValueError as error:  # rows of different lengths
        raise ValueError(f"{expected} Received: {error}") from error
    if not array.size:
        return np.zeros((0, columns))
    # "V" are floats that numpy itself does not have, such as bfloat16.
    is_real = array.dtype.kind in "iufV"
    if array.ndim != 2 or array.shape[1] != columns or not is_real:
        raise ValueError(
            f"{expected} Received: shape={array.shape}, dtype={array.dtype}"
        )
    array = array.astype("float64", copy=False)
    finite = np.isfinite(array).all(axis=1)
    if not finite.all():
        row = int(np.argmin(finite))
        raise ValueError(
            f"`{name}` must be finite numbers. "
            f"Received: {name}[{row}]={array[row].tolist()}"
        )
    return array
