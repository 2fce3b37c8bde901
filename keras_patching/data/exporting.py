"""Writes patches for people and other tools, and copies of one cache."""

import concurrent.futures
import contextlib
import csv
import itertools
import json
import os
import pathlib
import shutil
import tempfile

import keras

from keras_patching.data.image_io import write_image
from keras_patching.data.inspecting import (
    open_shard,
    patch_names,
    without_padding,
)
from keras_patching.data.manifest import (
    SHARD_FOLDER,
    load_cache,
    write_manifest,
)


def export_patches(path, directory, verbose=True):
    """Write the patches of a cache as image files and label files.

    A patch is `images/leaf_0001_y0128_x0256.png`: of the image `leaf.png` the
    second patch in row-major order, its top-left corner in row 128 and column
    256. Masks (class ids) and heatmaps (objects per pixel) have the same name
    in a folder of their kind; PNG where it holds the dtype and channels, else
    TIFF. Points lie beside the images, in pixels of the patch, each in the
    patch that owns it: as a JSON file per patch, and all of them as
    `images/points.csv`. The loaders read the folders as those of a data set.

    Args:
        path: A manifest, or a folder that holds only one.
        directory: Folder to write to, missing or empty. When writing fails,
            it is left empty.
        verbose: Whether to show a progress bar.

    Returns:
        Number of patches.

    Raises:
        FileNotFoundError: If there is no manifest.
        ValueError: If the cache is damaged, holds labels of a kind that
            cannot be exported, or if `directory` is not empty or cannot be
            written.

    Example:
    >>> export_patches("field/images_patches", "for_labelling")
    480
    """
    path, manifest = load_cache(path)
    _check_kinds(manifest.kinds, path)
    with _new_directory(directory) as target:
        for kind in manifest.kinds:
            (target / WRITERS[kind][0]).mkdir(exist_ok=True)
        jobs = [(path, source, target) for source in manifest.sources]
        _run(_write_source, jobs, "image", verbose)
        _write_tables(path, manifest, target)
    return manifest.num_patches


def export_copy(path, directory, verbose=True):
    """Copy one cache, and only the shards that it needs.

    The copy needs neither the images nor the rest of the folder:
    `PatchingSequence(directory)` loads it, here or elsewhere.

    Args:
        path: A manifest, or a folder that holds only one.
        directory: Folder to write to, missing or empty. When writing fails,
            it is left empty.
        verbose: Whether to show a progress bar.

    Returns:
        `pathlib.Path` of the copied manifest.

    Raises:
        FileNotFoundError: If there is no manifest.
        ValueError: If the cache is damaged, or if `directory` is not empty or
            cannot be written.

    Example:
    >>> manifest = export_copy("field/images_patches", "to_the_cluster")
    >>> sequence = PatchingSequence(manifest)
    """
    path, manifest = load_cache(path)
    with _new_directory(directory) as target:
        (target / SHARD_FOLDER).mkdir()
        jobs = [
            (path.parent / SHARD_FOLDER / file, target / SHARD_FOLDER / file)
            for file in sorted({shard.file for shard in manifest.shards})
        ]
        _run(shutil.copy2, jobs, "file", verbose)
        write_manifest(target, manifest)
    return pathlib.Path(directory) / manifest.file_name


def write_pixels(path, array):
    """Write an array `(height, width[, channels])` as PNG, else as TIFF.

    Args:
        path: `pathlib.Path` without a suffix; its dots are part of the name.
        array: The array.
    """
    try:
        write_image(path.with_name(f"{path.name}.png"), array)
    except ValueError:  # PNG cannot hold it exactly
        write_image(path.with_name(f"{path.name}.tif"), array)


def write_points_json(path, points):
    """Write the points of a patch, as the JSON loader reads them.

    Args:
        path: `pathlib.Path` without a suffix; its dots are part of the name.
        points: float32 `(m, 2)` of `(y, x)` in pixels, padded with -1.
    """
    pairs = _decimals(points)
    axes = {
        axis: {f"p{index}": pair[k] for index, pair in enumerate(pairs, 1)}
        for axis, k in (("x", 1), ("y", 0))
    }
    path.with_name(f"{path.name}.json").write_text(json.dumps(axes))


def write_points_csv(folder, patches):
    """Write the points of all patches in a file, as the CSV loader reads them.

    Args:
        folder: `pathlib.Path` of the folder of the images.
        patches: Iterable of pairs: name, and points as in `write_points_json`.
    """
    path = folder / "points.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        for name, points in patches:
            numbers = [
                number for y, x in _decimals(points) for number in (x, y)
            ]
            writer.writerow([name, *numbers])


def _decimals(points):
    """Give points without padding, as the shortest decimals that are equal."""
    return [
        [float(str(number)) for number in point]
        for point in without_padding(points)
    ]


# For each kind: the folder of its files, and how to write a patch, as a
# function of a path without suffix and of the patch's array.
WRITERS = {
    "images": ("images", write_pixels),
    "masks": ("masks", write_pixels),
    "heatmaps": ("heatmaps", write_pixels),
    "points": ("images", write_points_json),
}
# For kinds that are written as one file too: how to, as a function of that
# folder and of pairs of name and array, of all patches.
TABLE_WRITERS = {"points": write_points_csv}


def _check_kinds(kinds, path):
    unknown = [kind for kind in kinds if kind not in WRITERS]
    if unknown:
        raise ValueError(
            f"{path}: holds {', '.join(unknown)}, which cannot be exported. "
            f"Expected only {', '.join(WRITERS)}. Make a copy of the cache "
            "instead (`keras-patching export --copy`)."
        )


def _write_source(manifest_path, source, target):
    for kind in source.shards:
        folder, write = WRITERS[kind]
        for name, patch in _named_patches(manifest_path, source, kind):
            write(target / folder / name, patch)


def _write_tables(manifest_path, manifest, target):
    for kind in TABLE_WRITERS.keys() & set(manifest.kinds):
        patches = itertools.chain.from_iterable(
            _named_patches(manifest_path, source, kind)
            for source in manifest.sources
        )
        TABLE_WRITERS[kind](target / WRITERS[kind][0], patches)


def _named_patches(manifest_path, source, kind):
    patches = open_shard(manifest_path, source.shards[kind])
    return zip(patch_names(source), patches, strict=True)


@contextlib.contextmanager
def _new_directory(directory):
    """Fill a folder in one step, at the end.

    Yields:
        Folder inside it, whose contents are moved up when the block ends.
    """
    directory = pathlib.Path(directory)
    _check_empty(directory)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            prefix=".export-", dir=directory
        ) as temporary:
            yield pathlib.Path(temporary)
            for entry in sorted(pathlib.Path(temporary).iterdir()):
                os.replace(entry, directory / entry.name)
    except OSError as error:
        raise ValueError(
            f"{directory}: nothing was exported, since writing failed "
            f"({error}). Free some space, make the folder writable, or export "
            "to another one."
        ) from error


def _check_empty(directory):
    if not directory.exists():
        return
    if not directory.is_dir():
        raise ValueError(
            f"{directory}: is a file, expected a folder to export to."
        )
    found = sorted(entry.name for entry in directory.iterdir())
    if found:
        raise ValueError(
            f"{directory}: is not empty (it holds {', '.join(found[:3])}"
            f"{', ...' if len(found) > 3 else ''}), and nothing in it is "
            "overwritten. Pass a new folder, or empty this one."
        )


def _run(function, jobs, unit, verbose):
    """Call a function with each job's arguments, in a few threads."""
    workers = min(4, os.cpu_count() or 1)
    progress = keras.utils.Progbar(
        len(jobs), unit_name=unit, verbose=int(verbose)
    )
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        futures = [pool.submit(function, *job) for job in jobs]
        try:
            for future in concurrent.futures.as_completed(futures):
                future.result()
                progress.add(1)
        finally:
            for future in futures:
                future.cancel()
