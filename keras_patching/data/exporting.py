"""Writes patches for people and other tools, and copies of one cache."""

import concurrent.futures
import contextlib
import os
import pathlib
import shutil
import tempfile

import keras

from keras_patching.data.image_io import write_image
from keras_patching.data.inspecting import open_shard, patch_names
from keras_patching.data.manifest import (
    SHARD_FOLDER,
    load_cache,
    write_manifest,
)


def export_patches(path, directory, verbose=True):
    """Write the patches of a cache as image files and label files.

    A patch is `images/leaf_0001_y0128_x0256.png`: of the image `leaf.png` the
    second patch in row-major order, its top-left corner in row 128 and column
    256. Its labels have the same name in a folder of their kind; masks hold
    class ids. PNG where it holds the dtype and channels, else TIFF.

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
            (target / kind).mkdir()
        jobs = [(path, source, target) for source in manifest.sources]
        _run(_write_source, jobs, "image", verbose)
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


# How to write a patch of each kind: functions of a path without suffix and
# of the patch's array.
WRITERS = {"images": write_pixels, "masks": write_pixels}


def _check_kinds(kinds, path):
    unknown = [kind for kind in kinds if kind not in WRITERS]
    if unknown:
        raise ValueError(
            f"{path}: holds {', '.join(unknown)}, which cannot be exported. "
            f"Expected only {', '.join(WRITERS)}. Make a copy of the cache "
            "instead (`keras-patching export --copy`)."
        )


def _write_source(manifest_path, source, target):
    names = patch_names(source)
    for kind, record in source.shards.items():
        patches = open_shard(manifest_path, record)
        for name, patch in zip(names, patches, strict=True):
            WRITERS[kind](target / kind / name, patch)


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
