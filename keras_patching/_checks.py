"""Checks of numbers that people pass, each with an error that says all."""

import numbers

import numpy as np


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


def _is_number(value):
    is_number = isinstance(value, (numbers.Real, np.number))
    return is_number and not isinstance(value, bool)
