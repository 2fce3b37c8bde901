"""Predicts image files, one at a time, and writes what was found."""

import dataclasses
import os
import pathlib
import time
from collections.abc import Iterable

import keras

from keras_patching._faults import fault_of, raise_faults
from keras_patching._printing import Progress, printable, say
from keras_patching._whole_files import OutputError
from keras_patching.data.images.listing import list_images
from keras_patching.inference.model_file import describe_error, load_model_file
from keras_patching.inference.prediction_journal import (
    Entry,
    PredictionJournal,
    SourceState,
)
from keras_patching.inference.reports.by_task import check_options, report_of
from keras_patching.inference.result_folder import ResultFolder
from keras_patching.inference.result_tables import ResultTables
from keras_patching.models.model_digest import model_digest
from keras_patching.receptive_fields.automatic_overlap import another_tiling


@dataclasses.dataclass(frozen=True)
class FilePredictions:
    """What came of the prediction of files.

    Attributes:
        rows: Dict from column to value, per image that was predicted.
        tables: Dict from the name of a further CSV file to its rows, of all
            images.
        faults: What was wrong, per image that failed; each names its file.
        num_before: How many of the rows are of an earlier call that was
            stopped.

    Example:

    >>> model = keras_patching.inference.load_model("field.keras")
    >>> done = keras_patching.inference.predict_files(
    ...     model, "field/new", "field/found"
    ... )
    >>> [row["image"] for row in done.rows], done.faults
    (['new_0.jpg', 'new_1.jpg', 'new_2.jpg'], [])
    """

    rows: list[dict]
    tables: dict[str, list[dict]]
    faults: list[str]
    num_before: int = 0


def load_model(path: str | os.PathLike) -> keras.Model:
    """Load a task model for prediction.

    Args:
        path: File that `model.save` wrote, with the suffix `.keras`.

    Returns:
        The model, not compiled.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it cannot be loaded, or is not of a task whose
            predictions can be written.

    Example:

    >>> model = keras_patching.inference.load_model("field.keras")
    >>> model.patch_size
    (128, 128)
    """
    model = load_model_file(path)
    report_of(model, path)
    return model


def change_tiling(model, overlap=None, patch_size=None):
    """Give a task model another overlap, or other patches to predict with.

    Args:
        model: As `load_model` returns it.
        overlap: Pixels, a pair or one integer, or `"auto"`; `None` keeps it.
        patch_size: As `predict_patch_size` of `PatchedModel`; `None` keeps it.

    Raises:
        ValueError: If the patch model cannot be tiled so.
    """
    if overlap is None and patch_size is None:
        return
    overlap = model.predictor.overlap if overlap is None else overlap
    model.set_tiling(**another_tiling(model.predictor, overlap, patch_size))


def predict_files(
    model: keras.Model,
    paths: str | os.PathLike | Iterable[str | os.PathLike],
    directory: str | os.PathLike,
    overwrite: bool = False,
    verbose: bool = True,
    score_threshold: float | None = None,
) -> FilePredictions:
    r"""Predict image files and write what was found, one image at a time.

    A segmentation model writes for `leaf.jpg` the class ids of its pixels as
    `masks/leaf.png`, the same over the image as `overlays/leaf.png`, and a row
    in `results.csv`: image, height, width, pixels and fraction per class, and
    the seconds of the prediction (the first of an image size compiles).

    A counting model writes the objects per pixel as `heatmaps/leaf.tif`
    (float32), the located ones over the image as `overlays/leaf.png` and in
    `points.csv` (image, x, y, score), and count and number of located ones in
    `results.csv`. They may be fewer than the count: see `model.locate`.

    A detection model writes the boxes over the image as `overlays/leaf.png`,
    those of all images in `boxes.csv` (image, x1, y1, x2, y2, score, label)
    and in `coco.json`, in the format of COCO, and their number, in all and per
    class, in `results.csv`.

    An image that fails does not keep the others from being predicted. A call
    that was stopped or killed, or in which images failed, goes on when it is
    repeated: images whose results are in place are not predicted again, if
    neither they, nor the model, nor the options have changed.

    In tables, a byte of a file name that is not UTF-8 is written as `\xfc`.

    Args:
        model: A task model with a patch size.
        paths: Paths of image files and of folders of them, whose subfolders
            are not searched; or one path.
        directory: Folder to write to.
        overwrite: Whether to replace results that are in it already.
        verbose: Whether to show the progress.
        score_threshold: Lowest score of a box, from 0 to 1, of a detection
            model only; `None` is 0.3.

    Returns:
        `FilePredictions`.

    Raises:
        ValueError: If the model is not of a task whose predictions can be
            written, its task does not take an option, two images have the
            same name without suffix, the folder holds other results, or it
            cannot be written.

    Example:

    >>> model = keras_patching.inference.load_model("field.keras")
    >>> done = keras_patching.inference.predict_files(
    ...     model, "field/new", "field/found"
    ... )
    >>> 0 <= done.rows[0]["fraction_1"] <= 1
    True
    """
    options = {}
    if score_threshold is not None:
        options["score_threshold"] = score_threshold
    report = report_of(model, model.name)
    check_options(options, report, model)
    model._require_patch_size()
    images = find_images(paths)
    folder = ResultFolder(directory, report)
    folder.check_no_image_is_replaced(images)
    journal = PredictionJournal(folder.path, _digest(model), options)
    if overwrite:
        journal.begin(replaces=True)
    else:
        _take_up(journal, images, folder)
    num_before = len(journal.entries)
    if verbose and num_before:
        say(f"{num_before} of {len(images)} images were predicted before.")
    tables = ResultTables(folder, journal, images, model)
    missing = {
        stem: path
        for stem, path in images.items()
        if stem not in journal.entries
    }
    progress = Progress(len(missing), "image", verbose)
    faults = []
    try:
        for stem, path in missing.items():
            try:
                done = _predict_file(model, report, path, options)
                _write_results(stem, done, folder, journal, tables)
            except OutputError:
                raise
            except (ValueError, OSError, MemoryError) as error:
                faults.append(printable(_naming(path, error)))
            progress.add(1)
    finally:
        tables.write()
    if not faults:
        journal.remove()
    folder.remove_unfinished()
    rows, further = tables.content()
    return FilePredictions(rows, further, faults, num_before)


def _digest(model):
    channels = model.predictor.channels or model.channels
    if channels and not model.built:
        model.build((None, None, None, channels))
    return model_digest(model)


def _take_up(journal, images, folder):
    """Keep of an earlier prediction what it has done and what still holds."""
    journal.load()
    kept, others = {}, []
    for stem, entry in journal.entries.items():
        path = images.get(stem)
        if path is not None and entry.source.is_content_of(path):
            if entry.is_in_place(folder.path):
                kept[stem] = entry
        elif path is None or os.path.abspath(path) != entry.source.path:
            others.append(entry.source.path)
    begun = journal.owned - journal.entries.keys() - images.keys()
    raise_faults(
        [printable(path) for path in [*others, *sorted(begun)]],
        f"{folder.path}: holds a prediction that did not come to its end, also "
        "of other images",
        "Predict these too (what is done is not repeated), write to another "
        "folder, or pass `--overwrite` (`overwrite=True`) to predict all that "
        "you ask for again.",
    )
    journal.entries = kept
    if not journal.replaces:
        new = images.keys() - journal.owned
        folder.check_nothing_there(new, are_tables_ours=journal.exists)


def find_images(paths):
    """Find the image files that paths stand for.

    Args:
        paths: Paths of files and of folders, or one path.

    Returns:
        Dict from stem to `pathlib.Path`, in the order of the paths. What is
        not a folder is taken for a file, there or not.

    Raises:
        ValueError: If there are none, or two have the same stem; lists them.
    """
    if isinstance(paths, (str, os.PathLike)):
        paths = [paths]
    by_stem = {}
    for path in map(pathlib.Path, paths):
        files = [path]
        if path.is_dir():
            # A link that leads nowhere is a fault of its own image.
            files = list_images(path, broken="list").values()
        for file in files:
            same = by_stem.setdefault(file.stem, {})
            same.setdefault(os.path.abspath(file), file)
    raise_faults(
        [
            printable(" and ".join(map(str, same.values())))
            for same in by_stem.values()
            if len(same) > 1
        ],
        "Images of the same name would overwrite each other's results",
        "Predict them separately, each folder with an `--out` of its own.",
    )
    if not by_stem:
        raise ValueError(
            "No images to predict. Pass paths of image files or of folders of "
            "them. Received: paths=[]"
        )
    return {
        stem: file for stem, same in by_stem.items() for file in same.values()
    }


def _predict_file(model, report, path, options):
    source = SourceState.of(path, time.time_ns())
    image = model.read_image(path)
    if not source.has_times_of(os.stat(path)):
        raise ValueError(f"{path}: has changed while it was read. Run again.")
    started = time.perf_counter()
    try:
        prediction = report.predict(model, image, **options)
    except ValueError as error:  # Of the model, or of an image it refuses.
        raise ValueError(f"{path}: {error}") from error
    except Exception as error:  # Each backend has errors of its own.
        raise ValueError(
            f"{path}: cannot be predicted ({describe_error(error)}). An image "
            f"of {image.shape} may be too large for the memory: crop it, or "
            "save the model with a smaller `patch_batch_size`."
        ) from error
    seconds = time.perf_counter() - started
    arrays, columns, tables = report.describe(model, image, prediction)
    name = {"image": printable(path.name)}
    height, width = image.shape[:2]
    row = {
        **name,
        "height": height,
        "width": width,
        **columns,
        "seconds": round(seconds, 4),
    }
    tables = {
        table: [{**name, **each} for each in rows]
        for table, rows in tables.items()
    }
    return source, arrays, row, tables


def _write_results(stem, done, folder, journal, tables):
    """Write what came of an image, so that a kill at any moment is noticed."""
    source, arrays, row, rows = done
    journal.claim(stem)
    entry = Entry(source, folder.write(stem, arrays), row, rows)
    journal.add(stem, entry)
    tables.add(entry)


def _naming(path, error):
    """Put the file's name before a message that lacks it."""
    message = fault_of(error) or type(error).__name__
    if isinstance(error, FileNotFoundError):
        message = "no such file or folder. Expected an image, or a folder."
    return message if str(path) in message else f"{path}: {message}"
