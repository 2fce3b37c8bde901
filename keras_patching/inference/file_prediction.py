"""Predicts image files, and writes what was found."""

import concurrent.futures
import dataclasses
import os
from collections.abc import Iterable, Mapping
from typing import Any

import keras

from keras_patching._printing import say
from keras_patching.data.cache.shared_folder import end_shared_work
from keras_patching.data.cache.workers import check_executor
from keras_patching.data.images.pyramids import Choice
from keras_patching.inference.earlier_predictions import take_up
from keras_patching.inference.file_run import FileRun
from keras_patching.inference.model_file import load_model_file
from keras_patching.inference.pages import prediction_page
from keras_patching.inference.pages.truth import read_truth
from keras_patching.inference.prediction_journal import PredictionJournal
from keras_patching.inference.reports.by_task import make_report, report_of
from keras_patching.inference.result_folder import ResultFolder
from keras_patching.inference.result_tables import ResultTables
from keras_patching.inference.shared_run import SharedRun
from keras_patching.inference.source_files import find_images
from keras_patching.models.model_digest import model_digest


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
        path: File that `model.save` wrote, with the suffix `.keras`, or folder
            that it wrote with `zipped=False`.

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


def predict_files(
    model: keras.Model,
    paths: str | os.PathLike | Iterable[str | os.PathLike],
    directory: str | os.PathLike,
    overwrite: bool = False,
    verbose: bool = True,
    score_threshold: float | None = None,
    transform: str | None = None,
    format: str | None = None,
    resume: bool = True,
    report: bool = False,
    device_memory: int | None = None,
    truth: str | os.PathLike | Mapping[str, Any] | None = None,
    level: int | None = None,
    pixel_size: float | None = None,
    series: int | str | None = None,
    executor: concurrent.futures.Executor | None = None,
    large_objects: bool | int = False,
) -> FilePredictions:
    r"""Predict image files and write what was found.

    Images go through `model.predict_images`: they are read and written while
    others are computed.

    A segmentation model writes for `leaf.jpg` the class ids of its pixels as
    `masks/leaf.png`, the same over the image as `overlays/leaf.png`, and a row
    in `results.csv`: image, height, width, pixels and fraction per class, by
    its name if it has one, and seconds: from when the image was opened until
    its results were there, while others were predicted too, and in the first
    of them what was compiled. Where the model has `class_ids`, masks hold
    these.

    A counting model writes the objects per pixel as `heatmaps/leaf.tif`
    (float32), the located ones over the image as `overlays/leaf.png` and in
    `points.csv` (image, x, y, score), and count and number of located ones in
    `results.csv`. They may be fewer than the count: see `model.locate`.

    A detection model writes the boxes over the image as `overlays/leaf.png`,
    those of all images in `boxes.csv` (image, x1, y1, x2, y2, score, label)
    and in `coco.json`, in the format of COCO, and their number, in all and per
    class, in `results.csv`.

    With `transform="instances"` it writes instead of masks the objects in
    them, which are connected regions of one class, as `predict_images` of the
    model finds them: their numbers, from 1 on in each image, as
    `instances/leaf.tif` (uint32, 0 is the background), a row for each in
    `objects.csv`, their outlines, along the sides of pixels, in
    `polygons/leaf.geojson`, and in `results.csv` also how many there are, and
    their areas. In `objects.csv` area, perimeter, center (x, y) and box (x1,
    y1, x2, y2) are in pixels, and those that begin with `physical_` in `unit`,
    metres or micrometres, if the image says how large a pixel is; else these
    are empty. Polygons of a georeferenced image are in longitude and latitude,
    others in pixels, as QuPath reads them.

    Masks and heatmaps of images of more than 67 megapixels are written band by
    band, masks as `.tif`, and what is drawn over such an image is of every so
    many of its pixels: memory does not grow with it, if its format is read by
    windows, as TIFF.

    Results of georeferenced images are GeoTIFFs that lie where these do, in
    tiles, compressed and with overviews (`pip install "keras-patching[geo]"`):
    masks are `.tif` then too, with a palette. Pixels without data have none
    there, and count for no class. Points and boxes are also written as
    `points.geojson` and `boxes.geojson`, in longitude and latitude.

    An image that fails does not keep the others from being predicted. A call
    that was stopped or killed, or in which images failed, goes on when it is
    repeated: images whose results are in place are not predicted again, if
    neither they, nor the model, nor the options have changed.

    In tables, a byte of a file name that is not UTF-8 is written as `\xfc`.

    Args:
        model: A task model with a patch size.
        paths: Paths of image files, of OME-Zarrs, of folders of them, whose
            subfolders are not searched, and patterns such as
            `"field/**/*.tif"`; or one.
        directory: Folder to write to.
        overwrite: Whether to replace results that are in it already.
        verbose: Whether to show the progress.
        score_threshold: Lowest score of a box, from 0 to 1, of a detection
            model only; `None` is 0.3.
        transform: What is written of pixels. Of a segmentation model
            `"classes"`, which `None` is too, or `"probabilities"`, which are
            written as `probabilities/leaf.tif` (float32, a channel per class)
            instead of masks, or `"instances"`, see above; of a counting model
            `"heatmap"`, which writes heatmaps and counts, and no places. Of
            both `"doubt"` writes `doubts/leaf.tif` (float32) and in
            `results.csv` the mean over the pixels that have data, and nothing
            else: see `predict_images` of the model.
        format: Of these: `"png"` (masks), `"tif"`, `"npy"`, `"zarr"`,
            `"ome.tif"` or `"ome.zarr"`, which have levels for viewers, and the
            size of pixels where the image tells it; masks as `"png"` are held
            in memory, however large. `None` is `"png"` for masks, else
            `"tif"`.
        resume: Whether to go on from a call that was stopped; otherwise its
            results are refused like others, or replaced with `overwrite`.
        report: Whether to write `report.html` too: a page that shows all
            images, also those that were predicted before the call was stopped,
            with what was found in them, in a table that sorts. It needs no
            other file and no network.
        device_memory: As for `predict_images` of the model.
        truth: What is true, for scores on the page, and to be shown there: a
            folder of masks, a file of points or of boxes; or a dict from names
            of images, as for `evaluate_full_images`. Images that it does not
            name have no scores. Boxes are scored as they are written, from
            `score_threshold` on.
        level, pixel_size, series: Which level is read, of which image of each
            file, as for `keras_patching.data.open_image`. Results are in
            pixels of that level.
        executor: `concurrent.futures.Executor` whose workers predict some of
            the images each, as `Client.get_executor()` of dask gives one:
            processes, here or on other machines, which see the same files.
            They load the model from where it is saved meanwhile, in
            `directory`, once each. `None` predicts here. Results are the same.
        large_objects: Of a detection model: as for its `predict_images`.

    Returns:
        `FilePredictions`.

    Raises:
        ValueError: If the model is not of a task whose predictions can be
            written, its task does not take an option, two images have the
            same name without suffix, the folder holds other results, or it
            cannot be written; or if `truth` is not of the images.
        ImportError: If zarr arrays are asked for, and zarr is not installed.

    Example:

    >>> model = keras_patching.inference.load_model("field.keras")
    >>> done = keras_patching.inference.predict_files(
    ...     model, "field/new", "field/found"
    ... )
    >>> 0 <= done.rows[0]["fraction_1"] <= 1
    True
    """
    options = {
        "score_threshold": score_threshold,
        "large_objects": None if large_objects is False else large_objects,
        "transform": transform,
        "format": format,
    }
    options = {
        name: value for name, value in options.items() if value is not None
    }
    check_executor(executor)
    choice = Choice(level, pixel_size, series)
    task = make_report(model, options)
    images = find_images(paths)
    parts = _page_parts(model, task, images, report, truth, choice)
    page = prediction_page.NAME if report else None
    folder = ResultFolder(directory, task, page, verbose)
    folder.check_no_image_is_replaced(images)
    read = {} if choice.is_plain else dataclasses.asdict(choice)
    journal = PredictionJournal(
        folder.path, _digest(model), {**options, **read}
    )
    if overwrite or not resume:
        journal.begin(replaces=overwrite)
        if not overwrite:
            folder.check_nothing_there(images, are_tables_ours=False)
    else:
        take_up(journal, images, folder)
    num_before = len(journal.entries)
    if verbose and num_before:
        say(f"{num_before} of {len(images)} images were predicted before.")
    tables = ResultTables(folder, journal, images, model, choice)
    missing = {
        stem: path
        for stem, path in images.items()
        if stem not in journal.entries
    }
    end_shared_work(folder.path)
    run = FileRun(
        model, folder, journal, tables, verbose, device_memory, choice
    )
    if executor is not None:
        run = SharedRun(run, options, executor)
    try:
        faults = run.predict(missing)
    finally:
        tables.write()
    if page is not None:
        prediction_page.write_page(
            folder.path / page,
            model,
            parts,
            images,
            journal.entries,
            faults,
            choice,
            verbose,
        )
    if not faults:
        journal.remove()
    folder.remove_unfinished()
    rows, further = tables.content()
    return FilePredictions(rows, further, faults, num_before)


def _page_parts(model, task, images, report, truth, choice):
    """Give what the page tells, or refuse a truth before anything is done."""
    if report and task.page_contents is None:
        raise ValueError(
            "The page shows what was found, and not the doubt of it: leave "
            f"`--report` (`report=True`) out. Received: report={report}, "
            "transform='doubt'"
        )
    if truth is None:
        return [task.page_contents]
    if not report:
        raise ValueError(
            "`truth` is compared on the page: pass `--report` (`report=True`) "
            "too, or call `model.evaluate_full_images`. "
            f"Received: report={report}"
        )
    if choice.level or choice.pixel_size is not None:
        raise ValueError(
            "`truth` is in pixels of the largest level, and cannot be compared "
            "with what is found in another: leave out `--level` (`level`) and "
            "`--pixel-size` (`pixel_size`). Or open levels by `open_image`, "
            "and pass them to `model.evaluate_full_images` with what is true "
            "in their pixels. Received: "
            f"level={choice.level}, pixel_size={choice.pixel_size}"
        )
    known = read_truth(model, truth, images, choice)
    return [task.page_contents, task.page_contents.make_scores(known)]


def _digest(model):
    channels = model.predictor.channels or model._declared_channels()
    if channels and not model.built:
        model.build((None, None, None, channels))
    return model_digest(model)
