"""Predicts image files, one at a time, and writes what was found.

What is written for a task is said by a module of its own, such as
`counting_report`, with

- `OPTIONS`: names of keyword arguments of `predict`,
- `OUTPUTS`: dict from folder to the suffix of the images in it,
- `TABLES`: dict from the name of a CSV file, beside `results.csv`, to its
  columns, the first of which is the image's name,
- `DOCUMENTS`: dict from the name of a JSON file to a function that gives its
  content, from model, rows of `results.csv` and dict from table to rows,
- `predict`: a function of model and image,
- `describe`: a function of model, image and prediction. It gives a dict from
  folder to a tuple of what `write_image` takes, a dict from column of
  `results.csv` to number, and a dict from table to rows, which are dicts
  without the image's name.
"""

import csv
import dataclasses
import json
import os
import pathlib
import time

import keras

from keras_patching.data.faults import raise_faults
from keras_patching.data.image_io import list_images
from keras_patching.data.whole_files import (
    OutputError,
    whole_file,
    write_whole_image,
)
from keras_patching.inference import (
    counting_report,
    detection_report,
    segmentation_report,
)
from keras_patching.inference.model_file import load_model_file, tell
from keras_patching.layers.automatic_overlap import another_tiling
from keras_patching.models.counting import HeatmapObjectCountingModel
from keras_patching.models.detection.object_detection_model import (
    ObjectDetectionModel,
)
from keras_patching.models.segmentation.semantic_segmentation_model import (
    SemanticSegmentationModel,
)

REPORTS = {
    SemanticSegmentationModel: segmentation_report,
    HeatmapObjectCountingModel: counting_report,
    ObjectDetectionModel: detection_report,
}
RESULTS = "results.csv"


@dataclasses.dataclass(frozen=True)
class FilePredictions:
    """What came of the prediction of files.

    Attributes:
        rows: Dict from column to value, per image that was predicted.
        tables: Dict from the name of a further CSV file to its rows, of all
            images.
        faults: What was wrong, per image that failed; each names its file.
    """

    rows: list[dict]
    tables: dict[str, list[dict]]
    faults: list[str]


def load_model(path):
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
    >>> model = load_model("field.keras")
    """
    model = load_model_file(path)
    _report_of(model, path)
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
    model, paths, directory, overwrite=False, verbose=True, **options
):
    """Predict image files and write what was found, one image at a time.

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

    An image that fails does not keep the others from being predicted.

    Args:
        model: A task model with a patch size.
        paths: Paths of image files and of folders of them, whose subfolders
            are not searched.
        directory: Folder to write to.
        overwrite: Whether to replace results that are in it already.
        verbose: Whether to show a progress bar.
        **options: Of a detection model `score_threshold=0.3`, the lowest score
            of a box.

    Returns:
        `FilePredictions`.

    Raises:
        ValueError: If the model is not of a task whose predictions can be
            written, its task does not take an option, two images have the
            same name without suffix, a result is in place already, or the
            folder cannot be written.

    Example:
    >>> done = predict_files(model, ["field/new"], "field/found")
    >>> done.rows[0]["fraction_1"]
    0.3125
    """
    report = _report_of(model, model.name)
    _check_options(options, report, model)
    model.require_patch_size()
    images = find_images(paths)
    directory = pathlib.Path(directory)
    if not overwrite:
        _check_nothing_there(images, report, directory)
    done = FilePredictions([], {name: [] for name in report.TABLES}, [])
    progress = keras.utils.Progbar(
        len(images), unit_name="image", verbose=int(verbose)
    )
    try:
        for stem, path in images.items():
            try:
                found = _predict_file(
                    model, report, path, directory, stem, options
                )
                _add(done, path.name, *found)
            except OutputError:
                raise
            except (ValueError, OSError, MemoryError) as error:
                done.faults.append(_naming(path, error))
            progress.add(1)
    finally:
        if done.rows:
            _write_tables(done, report.TABLES, directory)
            _write_documents(done, report.DOCUMENTS, directory, model)
    return done


def find_images(paths):
    """Find the image files that paths stand for.

    Args:
        paths: Paths of files and of folders.

    Returns:
        Dict from stem to `pathlib.Path`, in the order of the paths. What is
        not a folder is taken for a file, there or not.

    Raises:
        ValueError: If two have the same stem; lists them.
    """
    by_stem = {}
    for path in map(pathlib.Path, paths):
        files = list_images(path).values() if path.is_dir() else [path]
        for file in files:
            same = by_stem.setdefault(file.stem, {})
            same.setdefault(os.path.abspath(file), file)
    raise_faults(
        [
            " and ".join(map(str, same.values()))
            for same in by_stem.values()
            if len(same) > 1
        ],
        "Images of the same name would overwrite each other's results",
        "Predict them separately, each folder with an `--out` of its own.",
    )
    return {
        stem: file for stem, same in by_stem.items() for file in same.values()
    }


def _report_of(model, name):
    for task, report in REPORTS.items():
        if isinstance(model, task):
            return report
    tasks = ", ".join(task.__name__ for task in REPORTS)
    raise ValueError(
        f"{name}: is a {type(model).__name__}, whose predictions cannot be "
        f"written to files. Expected one of: {tasks}."
    )


def _check_options(options, report, model):
    unknown = options.keys() - set(report.OPTIONS)
    if unknown:
        raise ValueError(
            f"{model.name}: a {type(model).__name__} has no option "
            f"{', '.join(sorted(unknown))}. Expected of: "
            f"{', '.join(report.OPTIONS) or 'none'}. Leave it out."
        )


def _check_nothing_there(images, report, directory):
    names = RESULTS, *report.TABLES, *report.DOCUMENTS
    planned = [directory / name for name in names] + [
        _output(directory, folder, stem, suffix)
        for stem in images
        for folder, suffix in report.OUTPUTS.items()
    ]
    raise_faults(
        [str(path) for path in planned if path.exists()],
        f"{directory}: holds files that would be overwritten",
        "Write to another folder, or pass `--overwrite` if you do not need "
        "them.",
    )


def _output(directory, folder, stem, suffix):
    return directory / folder / f"{stem}{suffix}"


def _predict_file(model, report, path, directory, stem, options):
    image = model.read_image(path)
    started = time.perf_counter()
    try:
        prediction = report.predict(model, image, **options)
    except ValueError as error:  # Of the model, or of an image it refuses.
        raise ValueError(f"{path}: {error}") from error
    except Exception as error:  # Each backend has errors of its own.
        raise ValueError(
            f"{path}: cannot be predicted ({tell(error)}). An image of "
            f"{image.shape} may be too large for the memory: crop it, or save "
            "the model with a smaller `patch_batch_size`."
        ) from error
    seconds = time.perf_counter() - started
    arrays, columns, tables = report.describe(model, image, prediction)
    for folder, suffix in report.OUTPUTS.items():
        target = _output(directory, folder, stem, suffix)
        write_whole_image(target, *arrays[folder])
    height, width = image.shape[:2]
    row = {
        "height": height,
        "width": width,
        **columns,
        "seconds": round(seconds, 4),
    }
    return row, tables


def _add(done, image, row, tables):
    done.rows.append({"image": image, **row})
    for name, rows in tables.items():
        done.tables[name].extend({"image": image, **each} for each in rows)


def _naming(path, error):
    """Put the file's name before a message that lacks it."""
    message = str(error) or type(error).__name__
    if isinstance(error, FileNotFoundError):
        message = "no such file or folder. Expected an image, or a folder."
    elif isinstance(error, OSError) and error.strerror:
        message = error.strerror
    return message if str(path) in message else f"{path}: {message}"


def _write_tables(done, tables, directory):
    _write_csv(directory / RESULTS, done.rows[0], done.rows)
    for name, columns in tables.items():
        _write_csv(directory / name, columns, done.tables[name])


def _write_documents(done, documents, directory, model):
    for name, make in documents.items():
        content = make(model, done.rows, done.tables)
        text = json.dumps(content, ensure_ascii=False)
        with whole_file(directory / name) as temporary:
            temporary.write_text(text, encoding="utf-8")


def _write_csv(path, columns, rows):
    with (
        whole_file(path) as temporary,
        open(temporary, "w", newline="", encoding="utf-8") as stream,
    ):
        writer = csv.DictWriter(stream, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
