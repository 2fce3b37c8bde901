"""One page: its text, its tables, a row per image."""

import dataclasses
import importlib.resources
import math
import string
from collections.abc import Callable, Sequence

from keras_patching._types import Color, NDArray
from keras_patching.visualization.pages import elements
from keras_patching.visualization.pages.layers import Layer, LayerKind

MOST_ROWS = 1000
MOST_SIDE = 1600  # of a large picture, in pixels
_LEAST_SIDE = 320
# Of all large pictures of a page together, so that a phone can hold it.
_MOST_PIXELS = 100e6


@dataclasses.dataclass(frozen=True)
class Value:
    """A number in a table.

    Attributes:
        number: What is sorted by; `None` if it is not known.
        text: What is shown.
        small: What stands below it.
    """

    number: float | None
    text: str
    small: str = ""


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of the table of images.

    Attributes:
        name: Its header.
        small: What stands below it, as a unit.
        color: RGB of a swatch before it, or `None`.
    """

    name: str
    small: str = ""
    color: Color | None = None


@dataclasses.dataclass(frozen=True)
class ImageRow:
    """What a page tells of one image.

    Attributes:
        name: What it is called.
        values: A `Value` or text per column.
        draw: Gives its picture, uint8 `(height, width, 3)`, which may be
            smaller than the image, and the list of `Layer` over it.
        size: `(height, width)` of the image in pixels.
        small: What stands below its name.
    """

    name: str
    values: Sequence[Value | str]
    draw: Callable[[], tuple[NDArray, list[Layer]]]
    size: tuple[int, int]
    small: str = ""


@dataclasses.dataclass(frozen=True)
class SmallTable:
    """A table above that of the images.

    Attributes:
        heading, columns, rows: As of `elements.small_table`.
    """

    heading: str
    columns: Sequence[str]
    rows: Sequence[Sequence]


@dataclasses.dataclass(frozen=True)
class Page:
    """A page to look at.

    Attributes:
        title: Its title.
        facts: Dict of texts.
        notes: Sentences that people must see.
        tables: List of `SmallTable`.
        heading: What stands above the table of images.
        columns: List of `Column`; the picture and the name come before.
        kinds: List of `LayerKind`.
        rows: List of `ImageRow`; the first `MOST_ROWS` are shown.
    """

    title: str
    facts: dict[str, str]
    notes: Sequence[str]
    tables: Sequence[SmallTable]
    heading: str
    columns: Sequence[Column]
    kinds: Sequence[LayerKind]
    rows: Sequence[ImageRow]

    def html(self) -> str:
        """Give the page as text; pictures are drawn one after the other."""
        template = string.Template(_text("page.html"))
        return template.substitute(
            title=elements.escaped(self.title),
            style=_text("page.css"),
            script=_text("page.js"),
            facts=elements.facts(self.facts),
            notes=elements.notes(self.notes),
            limits=elements.faint(self._limits()),
            summaries="".join(
                elements.small_table(table.heading, table.columns, table.rows)
                for table in self.tables
            ),
            heading=elements.escaped(self.heading),
            layers=elements.switches(self.kinds),
            table=self._table(),
        )

    def _table(self):
        head = "".join(
            map(elements.sorting_header, [Column("Name"), *self.columns])
        )
        rows = self.rows[:MOST_ROWS]
        lines = [self._line(row, len(rows)) for row in rows]
        return (
            '<table class="rows"><thead><tr><th scope="col">Picture</th>'
            f"{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
        )

    def _line(self, row, count):
        pixels, layers = row.draw()
        side = large_side(row.size, count)
        picture = elements.picture(row.name, pixels, row.size, layers, side)
        left_out = sum(layer.left_out for layer in layers)
        texts = [row.small] if row.small else []
        if left_out:
            texts.append(f"{left_out:,} objects are counted and not drawn")
        small = "".join(
            f"<small>{elements.escaped(text)}</small>" for text in texts
        )
        cells = "".join(map(elements.cell, row.values))
        return (
            f'<tr><td>{picture}</td><th scope="row">'
            f"{elements.escaped(row.name)}{small}</th>"
            f"{cells}</tr>\n"
        )

    def _limits(self):
        """Say what the page does not show."""
        if len(self.rows) > MOST_ROWS:
            yield (
                f"This page shows the first {MOST_ROWS:,} of "
                f"{len(self.rows):,} rows."
            )
        rows = self.rows[:MOST_ROWS]
        sides = [
            large_side(row.size, len(rows))
            for row in rows
            if large_side(row.size, len(rows)) < max(row.size)
        ]
        if sides:
            yield (
                f"Large images are shown with {min(sides):,} pixels a side, "
                "while all of their pixels are counted."
            )


def large_side(size: tuple[int, int], count: int) -> int:
    """Give the longest side of a large picture, in pixels.

    Args:
        size: `(height, width)` of the image.
        count: Number of pictures of the page: the more, the smaller.
    """
    side = math.sqrt(_MOST_PIXELS / count * max(size) / min(size))
    return max(_LEAST_SIDE, min(MOST_SIDE, int(side)))


def _text(name):
    files = importlib.resources.files(__package__)
    return files.joinpath(name).read_text("utf-8")
