"""Verifies the tiling of an image file, and prints and draws what was found."""

import pathlib

from keras_patching._printing import say
from keras_patching.data.images.image_io import read_image, write_whole_image
from keras_patching.inference.model_file import load_model_file
from keras_patching.inference.overlap_comparison import compare_overlaps
from keras_patching.inference.precision import describe_precision
from keras_patching.inference.tiling_verification import (
    find_predictor,
    find_smallest_overlap,
)

_HEADINGS = ("overlap", "patches", "of size", "computed", "difference", "at")
_WIDTHS = (11, 11, 14, 10, 12, 14)


def verify_file(
    model_path,
    image_path,
    overlaps=None,
    patch_size=None,
    directory=None,
    tolerance=None,
):
    """Verify several overlaps on an image file, and print a table.

    Args:
        model_path: `.keras` file of a model with a `PatchedPredictor`.
        image_path: Path of an image.
        overlaps, patch_size: As for `overlap_comparison.compare_overlaps`.
        directory: Folder for a picture of each overlap, named
            `overlap-<overlap>.png` (`-saved` for the model's own tiling);
            made if missing. `None` draws none.
        tolerance: The largest difference that is good enough: the smallest
            overlap that keeps to it is searched for. `None` searches none.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If one of the files is not what it should be, or an
            overlap is impossible; those before it are printed.
    """
    if not pathlib.Path(image_path).is_file():
        raise FileNotFoundError(f"{image_path}: no such image file.")
    model = load_model_file(model_path)
    image = _read(image_path, model)
    height, width, _ = image.shape
    say(f"{image_path}: {height} x {width} pixels{_resized(model)}")
    say(f"Precision: {describe_precision(model)}")
    _print_row(_HEADINGS)
    compared = compare_overlaps(model, image, overlaps, patch_size)
    if tolerance is not None:
        compared = _all_possible(compared)
    for predictor, report in compared:
        overlap = _lengths(predictor.overlap)
        if predictor is find_predictor(model):
            overlap = f"{overlap}, saved"  # The tiling of the model itself.
        _print_row(
            (
                overlap,
                *_patches(predictor, report.grid),
                f"{predictor.recomputation(image.shape[:2]):.2f}",
                f"{report.largest_difference:.1e}",
                f"{report.position}",
            )
        )
        if directory is not None:
            value_range = getattr(model, "value_range", None)
            name = f"overlap-{overlap.replace(', ', '-').replace(' ', '')}.png"
            path = pathlib.Path(directory) / name
            write_whole_image(path, report.picture(value_range=value_range))
            say(f"Picture  {path}")
    if tolerance is not None:
        _print_search(
            find_smallest_overlap(model, image, tolerance, patch_size)
        )


def _resized(model):
    """Say of which pixels places are, where the model resizes images."""
    resize = getattr(model, "resize", None)
    return "" if resize is None else f" (resize={resize}: places are in these)"


def _all_possible(compared):
    """Yield what is compared, and say what is impossible."""
    try:
        yield from compared
    except ValueError as error:
        say(str(error))


def _print_search(search):
    say(f"Tried for differences of at most {search.tolerance:g}")
    for tried in search.tried:
        _print_row(
            (
                _lengths(tried.overlap),
                "",
                _lengths(tried.patch_size),
                f"{tried.recomputation:.2f}",
                f"{tried.largest_difference:.1e}",
                "",
            )
        )
    found = str(search)
    say(f"{found[0].upper()}{found[1:]}.")


def _read(path, model):
    if hasattr(model, "read_image"):
        return model.read_image(path)
    return read_image(path, find_predictor(model).channels)


def _patches(predictor, grid):
    """Write how many patches there are, and their size.

    Where rows are streamed, those of a step are a patch.
    """
    rows, (height, width) = grid.rows, grid.patch_size
    stream = predictor.row_stream(grid.image_size)
    if stream is not None:
        rows, height = stream.count_steps(height), stream.rows
    return f"{rows} x {grid.cols}", _lengths((height, width))


def _lengths(pair):
    """Write a pair of lengths, as one number where they are equal."""
    if pair == "auto":
        return pair
    height, width = ("all" if each is None else each for each in pair)
    return f"{height}" if height == width else f"{height} x {width}"


def _print_row(cells):
    say(
        "".join(
            f"{cell:>{width}}"
            for cell, width in zip(cells, _WIDTHS, strict=True)
        )
    )
