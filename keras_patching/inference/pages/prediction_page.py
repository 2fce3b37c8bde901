"""Writes the page of a prediction of files, from what lies in the folder.

All is read again that is shown, so that the page of a prediction that was
stopped, and went on, is that of one which was not.
"""

import dataclasses

import keras

from keras_patching._printing import Progress, printable
from keras_patching._whole_files import whole_file
from keras_patching.data.images.pyramids import Choice
from keras_patching.geometry import as_pair
from keras_patching.inference.pages.written_files import (
    WrittenFiles,
    read_shown,
)
from keras_patching.inference.pictures import shown_range
from keras_patching.prediction.sources import open_source
from keras_patching.visualization import to_uint8
from keras_patching.visualization.pages.page import (
    Column,
    ImageRow,
    Page,
    Value,
)

NAME = "report.html"


def write_page(
    path, model, parts, images, entries, faults, choice, verbose=True
):
    """Write the page of a prediction of files.

    Args:
        path: `pathlib.Path` of the page, in the folder of the results.
        model: Task model.
        parts: List of what is told of its task; see `inference.pages`.
        images: Dict from name without suffix to path.
        entries: Dict from the same names to `Entry`, of those that are done.
        faults: What was wrong with the others, a line each.
        choice: `Choice` of which image of each file is shown, and which level.
        verbose: Whether to show the progress.

    Raises:
        OutputError: If it cannot be written.
    """
    done = [(images[stem], entries[stem]) for stem in images if stem in entries]
    progress = Progress(len(done), "picture", verbose)
    drawer = _Drawer(path.parent, model, parts, choice, progress)
    rows = [_row(each, parts, drawer) for each in done]
    of_all = [entry for _, entry in done]
    columns = [column for part in parts for column in part.columns]
    page = Page(
        title=f"Predictions of {_plural(len(done), 'image')}",
        facts=_facts(model),
        notes=_notes(faults),
        tables=[table for part in parts for table in part.tables(of_all)]
        if done
        else [],
        heading="Images",
        columns=[*columns, Column("Seconds", "until it was done")],
        kinds=[kind for part in parts for kind in part.kinds],
        rows=rows,
    )
    text = page.html()
    progress.end()
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _facts(model):
    overlap = model.predictor.overlap
    resize = {} if model.resize is None else {"Resize": model.resize}
    return {
        "Task": model.task,
        "Model": f"{model.name}, {model.count_params():,} weights",
        **resize,
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


def _row(done, parts, drawer):
    path, entry = done
    height, width = entry.row["height"], entry.row["width"]
    seconds = entry.row["seconds"]
    files = WrittenFiles(drawer.directory, entry)
    values = [value for part in parts for value in part.values(entry, files)]
    return ImageRow(
        name=printable(path.name),
        values=[*values, Value(seconds, f"{seconds:.2f}")],
        draw=lambda: drawer.draw(path, entry, files),
        size=(height, width),
        small=f"{width:,} x {height:,} px",
    )


@dataclasses.dataclass(frozen=True)
class _Drawer:
    """Reads images and results as large as they are shown."""

    directory: object
    model: keras.Model
    parts: list
    choice: Choice
    progress: Progress

    def draw(self, path, entry, files):
        """Give what `ImageRow.draw` does."""
        image = _read_picture(path, self.model, self.choice)
        layers = [
            layer for part in self.parts for layer in part.layers(entry, files)
        ]
        self.progress.add()
        return image, layers


def _read_picture(path, model, choice):
    """Read an image as it is shown; see `shown_range`."""
    how = {"channels": model.channels, "choice": choice}
    opened = open_source(path, 0, **how)
    value_range = shown_range(opened, model)
    opened.close()
    if value_range is not None:
        how |= {"value_range": value_range, "normalize": model.normalize}
    return to_uint8(read_shown(path, **how), value_range)
