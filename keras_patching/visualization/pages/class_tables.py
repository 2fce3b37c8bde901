"""Small tables and cells of classes: areas of masks, numbers of objects."""

from collections.abc import Sequence

import numpy as np

from keras_patching._types import Color, NDArray
from keras_patching.visualization.pages.page import SmallTable, Value


def area(pixels: int, fraction: float) -> Value:
    """Give the cell of a class in one image: its share, and its pixels."""
    return Value(float(fraction), f"{fraction:.2%}", f"{pixels:,} px")


def count(number: float) -> Value:
    """Give the cell of a number of objects, which need not be whole."""
    whole = float(number).is_integer()
    return Value(float(number), f"{number:,.0f}" if whole else f"{number:,.1f}")


def share(fraction: float | None) -> Value:
    """Give the cell of a share or score from 0 to 1; `None` is not known."""
    if fraction is None:
        return Value(None, "-")
    return Value(fraction, f"{fraction:.1%}")


def class_areas(
    classes: Sequence[tuple[Color | None, str]],
    pixels: NDArray,
    total: int,
    noun: str,
) -> SmallTable:
    """Give the table of the areas of classes.

    Args:
        classes: Colour, or `None`, and name of each.
        pixels: Integers `(images, classes)`.
        total: Pixels of all images, also those of no class.
        noun: What holds them: "images", or "patches".
    """
    sums, holders = pixels.sum(axis=0), (pixels > 0).sum(axis=0)
    rows = [
        [
            each,
            Value(number / total, f"{number / total:.3%}"),
            Value(number, f"{number:,}"),
            Value(holder, f"{holder:,}"),
        ]
        for each, number, holder in zip(
            classes, sums.tolist(), holders.tolist(), strict=True
        )
    ]
    columns = ["Class", "Share", "Pixels", f"In {noun}"]
    return SmallTable("Class areas", columns, rows)


def class_counts(
    classes: Sequence[tuple[Color | None, str]], counts: NDArray, noun: str
) -> SmallTable:
    """Give the table of the numbers of objects of classes.

    Args:
        classes: Colour, or `None`, and name of each.
        counts: Numbers `(images, classes)`.
        noun: What holds them, in the singular: "image", or "patch".
    """
    counts = np.asarray(counts)
    rows = [
        [
            each,
            count(of_class.sum()),
            Value(of_class.mean(), f"{of_class.mean():,.1f}"),
            Value(of_class.min(), f"{of_class.min():,.4g}"),
            Value(of_class.max(), f"{of_class.max():,.4g}"),
        ]
        for each, of_class in zip(classes, counts.T, strict=True)
    ]
    columns = ["Objects", "In all", f"Per {noun}", "Fewest", "Most"]
    return SmallTable("Counts", columns, rows)
