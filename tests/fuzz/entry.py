"""An entry point: what reads a file of strangers, and files to begin with."""

import dataclasses
import pathlib
from collections.abc import Callable


@dataclasses.dataclass(frozen=True)
class Target:
    """An entry point in a folder that was prepared for it.

    Attributes:
        path: File that hostile bytes are written to.
        seeds: List of the bytes of good files.
        read: Function without arguments that reads the file.
        named: Texts of which one must stand in each error; the path if none.
    """

    path: pathlib.Path
    seeds: list[bytes]
    read: Callable[[], object]
    named: tuple[str, ...] = ()

    def names(self):
        """Give the texts of which one must stand in each error."""
        return self.named or (str(self.path),)


@dataclasses.dataclass(frozen=True)
class Entry:
    """What there is to know of an entry point.

    Attributes:
        name: What it is called in the table.
        prepare: Function from an empty folder to a `Target`.
        change: Function of `(rng, bytes)` that keeps the form of a file.
        inputs: How many inputs a whole run takes.
    """

    name: str
    prepare: Callable[[pathlib.Path], Target]
    change: Callable
    inputs: int = 100_000
