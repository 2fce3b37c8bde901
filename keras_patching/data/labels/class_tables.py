"""What is known of the classes of masks, from arguments and from files."""

import dataclasses

from keras_patching._faults import few

_MOST_LISTED = 5
# What a table is called that was not read from a file.
ARGUMENTS = "`class_names` or `class_colors`"


@dataclasses.dataclass(frozen=True)
class ClassTable:
    """What is known of each class, in order; what is not known is `None`.

    Attributes:
        where: File, or what else it is called in messages.
        names: List of names.
        colors: List of RGB tuples.
        values: List of values of pixels in masks.
        ignored: RGB of unlabelled pixels.
    """

    where: str
    names: list[str] | None = None
    colors: list[tuple[int, int, int]] | None = None
    values: list[int] | None = None
    ignored: tuple[int, int, int] | None = None

    def __len__(self):
        columns = (self.names, self.colors, self.values)
        return max((len(column) for column in columns if column), default=0)

    @property
    def all_colors(self):
        """Colours of classes, and that of unlabelled pixels behind them."""
        if self.colors is None or self.ignored is None:
            return self.colors
        return [*self.colors, self.ignored]

    def named(self, names):
        """Give it with names; colours that have names take their order."""
        if self.names is None:
            return dataclasses.replace(self, names=names)
        if self.where != ARGUMENTS or set(self.names) != set(names):
            self._check_same("names", self.names, names)
            return self
        colors = dict(zip(self.names, self.colors, strict=True))
        return dataclasses.replace(
            self, names=names, colors=[colors[name] for name in names]
        )

    def joined(self, found):
        """Give it with what another table knows; they must not differ."""
        columns = {}
        for column in ("names", "colors", "values", "ignored"):
            own, other = getattr(self, column), getattr(found, column)
            if own is not None and other is not None:
                found._check_same(column, other, own)
            columns[column] = other if own is None else own
        return ClassTable(found.where, **columns)

    def _check_same(self, column, found, expected):
        if found != expected:
            raise ValueError(
                f"{self.where}: found the {column} {found} of classes, "
                f"expected those that were passed or that the model has, in "
                f"their order: {expected}. Correct one of them, or leave them "
                "out of the arguments."
            )

    def without_ignored(self, num_classes, ignore_value):
        """Give it without the row that is of unlabelled pixels, if any.

        That is the row of `ignore_value`; or the last of one too many.
        """
        count = len(self)
        if ignore_value is None or num_classes == count:
            return self
        if self.values is not None:
            is_there = ignore_value in self.values and ignore_value >= count - 1
            place = self.values.index(ignore_value) if is_there else None
        else:
            place = count - 1 if num_classes == count - 1 else None
        if place is None:
            return self
        columns = {}
        for column in ("names", "colors", "values"):
            entries = getattr(self, column)
            if entries is not None:
                entries = [*entries[:place], *entries[place + 1 : count]]
            columns[column] = entries
        ignored = self.colors and self.colors[place]
        return ClassTable(self.where, **columns, ignored=ignored)

    def check_length(self, num_classes):
        """Refuse it where it is of another number of classes."""
        for column in ("names", "colors", "values"):
            entries = getattr(self, column)
            if entries is None or len(entries) == num_classes:
                continue
            listed = few(entries, _MOST_LISTED, str)
            raise ValueError(
                f"{self.where}: has {len(entries)} {column} of classes "
                f"({listed}), expected as many as `num_classes`, that of the "
                "background first. One more is of unlabelled pixels, and needs "
                f"`ignore_value`. Received: num_classes={num_classes}"
            )
