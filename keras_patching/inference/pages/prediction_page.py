"""Writes the page of a prediction of files, from what lies in the folder.

All is read again that is shown, so that the page of a prediction that was
stopped, and went on, is that of one which was not.
"""

import dataclasses
import math

import keras

from keras_patching._printing import Progress, printable
from keras_patching._whole_files import whole_file
from keras_patching.data.images.label_images import read_mask
from keras_patching.geometry import as_pair
from keras_patching.inference.pictures import Picture
from keras_patching.prediction.sources import open_source
from keras_patching.prediction.zarr_folder import import_zarr
from keras_patching.visualization import to_uint8
from keras_patching.visualization.pages.page import (
    MOST_SIDE,
    Column,
    ImageRow,
    Page,
    Value,
)

NAME = "report.html"
_ROWS = 512  # that are read at once


def write_page(path, model, contents, images, entries, faults, verbose=True):
    """Write the page of a prediction of files.

    Args:
        path: `pathlib.Path` of the page, in the folder of the results.
        model: Task model.
        contents: What is told of its task; see `inference.pages`.
        images: Dict from name without suffix to path.
        entries: Dict from the same names to `Entry`, of those that are done.
        faults: What was wrong with the others, a line each.
        verbose: Whether to show the progress.

    Raises:
        OutputError: If it cannot be written.
    """
    done = [(images[stem], entries[stem]) for stem in images if stem in entries]
    progress = Progress(len(done), "picture", verbose)
    drawer = _Drawer(path.parent, model, contents, progress)
    page = Page(
        title=f"Predictions of {_plural(len(done), 'image')}",
        facts=_facts(model),
        notes=_notes(faults),
        tables=contents.tables([e for _, e in done]) if done else [],
        heading="Images",
        columns=[*contents.columns, Column("Seconds", "until it was done")],
        kinds=contents.kinds,
        rows=[_row(each, contents, drawer) for each in done],
    )
    text = page.html()
    progress.end()
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _facts(model):
    overlap = model.predictor.overlap
    return {
        "Task": model.task,
        "Model": f"{model.name}, {model.count_params():,} weights",
        "Patch size": _times(model.patch_size),
        "Overlap": overlap if isinstance(overlap, str) else _times(overlap),
        "Keras": f"{keras.__version__}, {keras.backend.backend()}",
    }


def _times(pair):
    height, width = as_pair(pair, "pair")
    return f"{height} x {width}"


def _notes(faults):
    if not faults:
        return []
    return [f"{_plural(len(faults), 'image')} failed:", *faults]


def _plural(number, noun):
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _row(done, contents, drawer):
    path, entry = done
    height, width = entry.row["height"], entry.row["width"]
    seconds = entry.row["seconds"]
    return ImageRow(
        name=printable(path.name),
        values=[*contents.values(entry), Value(seconds, f"{seconds:.2f}")],
        draw=lambda: drawer.draw(path, entry),
        size=(height, width),
        small=f"{width:,} x {height:,} px",
    )


@dataclasses.dataclass(frozen=True)
class _Drawer:
    """Reads images and results as large as they are shown."""

    directory: object
    model: keras.Model
    contents: object
    progress: Progress

    def draw(self, path, entry):
        """Give what `ImageRow.draw` does."""
        image = to_uint8(_read(path, self.model.channels))
        layers = self.contents.layers(
            entry, lambda key: self._written(entry, key)
        )
        self.progress.add()
        return image, layers

    def _written(self, entry, key):
        (name,) = (n for n in entry.outputs if n.startswith(f"{key}/"))
        path = self.directory / name
        if path.suffix == ".png":  # A mask, whose palette is for viewers.
            return read_mask(path)[..., None]
        if path.suffix == ".zarr":
            return _read(import_zarr("`format`").open(path, mode="r"))
        return _read(path)


def _read(source, channels=None):
    """Read an image, or every so many rows and columns of a large one."""
    opened = open_source(source, 0, channels=channels)
    try:
        size = opened.shape[:2]
        step = max(1, math.ceil(max(size) / (2 * MOST_SIDE)))
        picture = Picture(size, step)
        for y in range(0, size[0], _ROWS):
            picture.add(opened.read(y, min(_ROWS, size[0] - y)), y)
    finally:
        opened.close()
    return picture.pixels
