"""What the values and colours of masks stand for: classes, and their names."""

import dataclasses
import os
from collections.abc import Mapping

from keras_patching._checks import (
    check_class_names,
    check_integer,
    check_optional,
    is_integer,
)
from keras_patching.data.labels.class_table_files import read_class_table
from keras_patching.data.labels.class_tables import ARGUMENTS, ClassTable

# What tools call what is of no class, in small letters.
_BACKGROUNDS = ("background", "_background_")


def is_background(name):
    """Tell whether a name is that of what is of no class."""
    return name.lower() in _BACKGROUNDS


def find_background(names):
    """Give the place of the background among names, or `None`."""
    return next(
        (i for i, name in enumerate(names) if is_background(name)), None
    )


@dataclasses.dataclass(frozen=True)
class MaskClasses:
    """What the values and colours of masks stand for.

    Attributes:
        num_classes: Number of classes, background included.
        ignore_value: Value of unlabelled pixels, or `None`.
        names: List of names, that of class 0 first, or `None`.
        colors: List of RGB tuples, that of class 0 first, and behind them
            that of unlabelled pixels where it is known; or `None`.
        ids: Dict from the value of a pixel in a file to its class, or to
            `ignore_value`; `None` where values are the classes.
    """

    num_classes: int
    ignore_value: int | None = None
    names: list[str] | None = None
    colors: list[tuple[int, int, int]] | None = None
    ids: dict[int, int] | None = None

    def __post_init__(self):
        count, ignored = self.num_classes, self.ignore_value
        if self.names is not None and len(self.names) != count:
            raise ValueError(
                "`class_names` must be as many as `num_classes`, that of the "
                f"background first. Received: class_names={self.names!r} for "
                f"num_classes={count}"
            )
        if self.names is not None and len(set(self.names)) < count:
            raise ValueError(
                "Classes must have distinct names. Pass `class_names`, or "
                f"correct the labels. Received: {self.names}"
            )
        if self.colors is not None:
            self._check_colors()
        if self.ids is None:
            return
        classes = set(self.ids.values()) - {ignored}
        if classes != set(range(count)):
            raise ValueError(
                "`class_ids` must give each class a value of the masks: "
                f"{count} values, or a dict from values to classes 0 to "
                f"{count - 1}, or to `ignore_value`. Received: "
                f"class_ids={self.ids}, ignore_value={ignored}"
            )
        if ignored is not None and ignored < count:
            raise ValueError(
                "With `class_ids` the value of unlabelled pixels must be none "
                f"of the classes 0 to {count - 1}. Pass ignore_value=255, and "
                "in the dict of `class_ids` 255 for the values that are not "
                f"labelled. Received: ignore_value={ignored}"
            )

    def _check_colors(self):
        most = self.num_classes + (self.ignore_value is not None)
        if not self.num_classes <= len(self.colors) <= most:
            raise ValueError(
                "`class_colors` must be as many as `num_classes`, that of the "
                "background first; one more is that of unlabelled pixels, and "
                f"needs `ignore_value`. Received: {len(self.colors)} colors "
                f"for num_classes={self.num_classes}, ignore_value="
                f"{self.ignore_value}"
            )
        if len(set(self.colors)) < len(self.colors):
            raise ValueError(
                "`class_colors` must be distinct, so that each tells one "
                f"class. Received: class_colors={self.colors}"
            )

    @property
    def values(self):
        """The value in files of each class: of several the first."""
        if self.ids is None:
            return list(range(self.num_classes))
        values = {}
        for value, each in self.ids.items():
            values.setdefault(each, value)
        return [values[each] for each in range(self.num_classes)]

    def class_of(self, value):
        """Give the place in `colors` of a value in a file, or `None`."""
        number = value if self.ids is None else self.ids.get(value, value)
        if 0 <= number < self.num_classes:
            return number
        return self.num_classes if number == self.ignore_value else None

    def to_json(self):
        """Give what is known of the classes as a manifest holds it."""
        known = {
            "names": self.names,
            "colors": self.colors and [list(color) for color in self.colors],
            "ids": self.ids and [list(pair) for pair in self.ids.items()],
        }
        return {key: value for key, value in known.items() if value}


def given_classes(
    num_classes, ignore_value, class_names, class_colors, class_ids, found=None
):
    """Put together what arguments and labels say of classes.

    Args:
        num_classes: Number of classes; `None` takes what else is known, or 2.
        ignore_value: Value of unlabelled pixels, or `None`.
        class_names: Names, that of class 0 first, or `None`.
        class_colors: Dict from name to RGB, or RGBs in the order of classes,
            or the path of a table of them; or `None`.
        class_ids: Values in files in the order of classes, or a dict from
            value to class; or `None`.
        found: `ClassTable` that came with the masks, or `None`.

    Returns:
        `MaskClasses`.

    Raises:
        ValueError: If they contradict each other, or cannot be used.
    """
    num_classes = check_optional(num_classes, "num_classes", 2)
    ignore_value = check_optional(ignore_value, "ignore_value", 0)
    ids = None if class_ids is None else _as_ids(class_ids)
    if isinstance(class_colors, (str, os.PathLike)):
        table = read_class_table(class_colors)
    else:
        table = _given_colors(class_colors)
    count = num_classes
    if class_names is not None:
        class_names = list(check_class_names(class_names))
        count = len(class_names) if count is None else count
    table = table.without_ignored(count, ignore_value)
    if class_names is not None:
        table = table.named(class_names)
    if found is not None:
        table = table.joined(found.without_ignored(count, ignore_value))
    if num_classes is None:
        num_classes = len(table) or _count(ids, ignore_value)
    table.check_length(num_classes)
    if table.values is not None:
        listed = {value: i for i, value in enumerate(table.values)}
        if ids not in (None, listed):
            raise ValueError(
                f"{table.where}: its ids are {table.values}, expected those of "
                f"`class_ids`. Leave one out. Received: class_ids={ids}"
            )
        ids = listed
    if ids is not None and all(value == each for value, each in ids.items()):
        ids = None
    return MaskClasses(
        num_classes, ignore_value, table.names, table.all_colors, ids
    )


def _count(ids, ignore_value):
    return 2 if ids is None else len(set(ids.values()) - {ignore_value})


def _as_ids(class_ids):
    """Return a dict from value to class."""
    if isinstance(class_ids, Mapping):
        class_ids = class_ids.items()
    pairs = list(class_ids)
    if pairs and all(map(is_integer, pairs)):
        pairs = [(value, number) for number, value in enumerate(pairs)]
    try:
        ids = {int(value): int(number) for value, number in pairs}
        are_integers = all(is_integer(n) for pair in pairs for n in pair)
    except (TypeError, ValueError):
        ids, are_integers = {}, False
    if not ids or len(ids) < len(pairs) or not are_integers:
        raise ValueError(
            "`class_ids` must be distinct integers in the order of classes, "
            "such as [0, 7, 11], or a dict from values of the masks to "
            f"classes. Received: class_ids={class_ids!r}"
        )
    return ids


def _given_colors(class_colors):
    """Make a `ClassTable` of colours that were passed."""
    if class_colors is None:
        return ClassTable(ARGUMENTS)
    names = None
    if isinstance(class_colors, Mapping):
        names, class_colors = list(class_colors), class_colors.values()
        check_class_names(names)
    colors = [_as_color(color) for color in class_colors]
    return ClassTable(ARGUMENTS, names, colors)


def _as_color(color):
    try:
        red, green, blue = (check_integer(each, "", 0) for each in color)
    except (TypeError, ValueError):
        red = green = blue = 256
    if max(red, green, blue) > 255:
        raise ValueError(
            "`class_colors` must be RGB of 0 to 255, such as (0, 255, 0). "
            f"Received: {color!r}"
        )
    return red, green, blue
