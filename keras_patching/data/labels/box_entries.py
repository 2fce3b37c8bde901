"""Boxes as the readers of each form give them, and what all forms have checked.

A reader gives a `BoxFile`: an entry for each image that its files name, with
objects that have corners, a label and a place. Here are the names of classes
chosen, and images found twice, labels that are not known and boxes without
area.
"""

import dataclasses
import pathlib
import typing
import warnings

from keras_patching._checks import check_class_names
from keras_patching._faults import few
from keras_patching.data.labels.spellings import twice

DEFAULT_NAMES = ("plant",)
_MAX_PLACES = 3
_MAX_LABELS = 20


class BoxObject(typing.NamedTuple):
    """One object.

    Args:
        corners: `(y1, x1, y2, x2)` in pixels, in the order that boxes are
            sorted by, with y1 <= y2 and x1 <= x2.
        label: Name of its label, or `None` if it has none.
        place: Its place in the file.
        doubt: Why its label is not known, a sentence, where there may be one.
    """

    corners: tuple[float, float, float, float]
    label: str | None
    place: str
    doubt: str = ""

    @property
    def has_area(self):
        """Whether the box is wider and higher than nothing."""
        y1, x1, y2, x2 = self.corners
        return y1 < y2 and x1 < x2


class BoxEntry(typing.NamedTuple):
    """What a file says of one image.

    Args:
        label_file: `pathlib.Path` of the file.
        image: Path of the image, or `None` if there is none of its name.
        objects: List of `BoxObject`.
        declared_size: `(height, width)` in pixels, or `None`.
        place: Its place in the file; empty where a file has one image.
    """

    label_file: pathlib.Path
    image: pathlib.Path | None
    objects: list[BoxObject] = []  # noqa: RUF012
    declared_size: tuple[int, int] | None = None
    place: str = ""

    def where(self, place):
        """Name a place of it with its file, for messages."""
        return f"{self.label_file}, {place}" if place else str(self.label_file)


@dataclasses.dataclass(frozen=True)
class BoxFile:
    """What the files of a data set say.

    Args:
        entries: List of `BoxEntry`.
        class_names: Names of classes in the order of the file, or `None`
            where there are only those of the objects.
        noun: What an image without labels lacks: "row".
        remedy: What to write for an image without objects.
        notes: Sentences that a loader prints.
    """

    entries: list[BoxEntry]
    class_names: tuple[str, ...] | None = None
    noun: str = "entry"
    remedy: str = "add an entry without objects for each"
    notes: tuple[str, ...] = ()


def choose_class_names(given, found):
    """Give the names of the classes of a data set.

    Args:
        given: Names that somebody asks for, or `None`.
        found: `BoxFile`.

    Returns:
        Tuple of names: those given; those that the file lists; else all
        labels, sorted; else "plant" alone.

    Raises:
        ValueError: Those given are not distinct names.
    """
    if given is not None:
        return check_class_names(given)
    if found.class_names:
        return tuple(dict.fromkeys(found.class_names))
    labels = {item.label for each in found.entries for item in each.objects}
    return tuple(sorted(labels - {None})) or DEFAULT_NAMES


def find_faults(found, class_names, is_given):
    """Find what is wrong with entries of any form.

    Args:
        found: `BoxFile`.
        class_names: Names of all classes.
        is_given: Whether somebody asked for these.

    Returns:
        List of faults, each with its file.
    """
    return _find_twice(found.entries) + _find_labels(
        found, class_names, is_given
    )


def _find_twice(entries):
    faults, first = [], {}
    for entry in entries:
        before = first.setdefault(entry.image, entry)
        if before is not entry and entry.image is not None:
            faults.append(
                f"{entry.where(entry.place)}: found {entry.image.name} again, "
                f"after {before.place or before.label_file}, expected one "
                "entry per image. Join or remove them."
            )
    return faults


def _find_labels(found, class_names, is_given):
    """Find labels that are not known: one fault for each, not each object."""
    places, doubts = {}, {}
    for entry in found.entries:
        for item in entry.objects:
            where = entry.where(item.place)
            places.setdefault(item.label, []).append(where)
            if item.doubt:
                doubts.setdefault(item.doubt, where)
    names = list(choose_class_names(None, found))
    has_labels = bool(places.keys() - {None})
    mend = (
        "Correct it, or name all classes of the labels, here or of the model: "
        f"class_names={names}."
        if has_labels
        else "No object has a label: add them, or name one class."
    )
    # Who names one class wants objects of one class, whatever they are.
    is_one = len(class_names) == 1 and (is_given or not has_labels)
    known = set(class_names) | ({None} if is_one else set())
    faults = [
        f"{first}: found {_describe_label(label, len(rest))}, expected one of "
        f"{few(class_names, _MAX_LABELS)}. {mend}"
        for label, (first, *rest) in places.items()
        if label not in known
    ]
    if not is_given and (spellings := twice(places.keys() - {None})):
        faults.append(
            f"{places[spellings[1]][0]}: found the label {spellings[1]!r}, "
            f"and elsewhere {spellings[0]!r}, which differs in upper and lower "
            "case or spaces alone. Write all alike, or, if these are classes "
            f"of their own, pass class_names={names}."
        )
    if not (is_given and is_one):
        faults += [f"{where}: {doubt}" for doubt, where in doubts.items()]
    return faults


def _describe_label(label, more):
    what = "no label" if label is None else f"the label {label!r}"
    return f"{what}, as in {more} more objects" if more else what


def warn_of_empty(path, entries):
    """Warn of boxes without area, which are left out."""
    empty = [
        item.place
        if entry.label_file == path
        else f"{entry.label_file.name}, {item.place}"
        for entry in entries
        for item in entry.objects
        if not item.has_area
    ]
    if empty:
        listed = ", ".join(empty[:_MAX_PLACES])
        rest = len(empty) - _MAX_PLACES
        warnings.warn(
            f"{path}: left out {len(empty)} boxes without area (x1 == x2 or "
            f"y1 == y2): {listed}{f' and {rest} more' if rest > 0 else ''}. "
            "Correct or remove them.",
            stacklevel=4,
        )


def describe_corners(x1, y1, x2, y2):
    """Say that the second corner comes before the first, or give `None`."""
    if x1 <= x2 and y1 <= y2:
        return None
    return (
        f"found x={x1:.15g} to {x2:.15g}, y={y1:.15g} to {y2:.15g}, expected "
        "the smaller first. Swap them, if the box is right; if the second are "
        "its width and height, add them to the first."
    )
