"""Writes patches for people and other tools, and copies of one cache."""

import contextlib
import functools
import itertools
import os
import pathlib
import re
import shutil
import tempfile

from keras_patching._whole_files import flush
from keras_patching.data.cache.manifest import write_manifest
from keras_patching.data.cache.opening import SHARD_FOLDER, load_cache
from keras_patching.data.cache.shard_kinds import PICTURES, keys_drawn
from keras_patching.data.cache.workers import run_jobs
from keras_patching.data.inspection.export_formats import (
    write_boxes_coco,
    write_boxes_json,
    write_boxes_yolo,
    write_classes_csv,
    write_pixels,
    write_points_csv,
    write_points_json,
)
from keras_patching.data.inspection.mask_values import MaskValues
from keras_patching.data.inspection.named_patches import (
    patch_names,
    read_patches,
)

# Begins the name of a folder that is filled before it is moved into place.
_TEMPORARY = ".export-"


def export_patches(
    path: str | os.PathLike, directory: str | os.PathLike, verbose: bool = True
) -> int:
    """Write the patches of a cache as image files and label files.

    A patch is `images/leaf_0001_y0128_x0256.png`: of the image `leaf.png` the
    second patch (tiles are in row-major order), its top-left corner in row 128
    and column 256 of the image as it was read, which `resize` may have made
    smaller. Masks (class ids) and heatmaps (objects per pixel) have the
    same name in a folder of their kind; PNG where it holds the dtype and
    channels, else TIFF. Masks hold the values of the files that they were made
    from; `masks/classes.csv` has the names, colours and values of classes, as
    far as they are known. Points lie beside the images, in pixels of the patch,
    each in the patch that owns it: as a JSON file per patch, and all of them
    as `images/points.csv`. Boxes, in pixels of the patch, are in
    `labels.json`; for other tools also in `coco.json`, in the form of COCO,
    and in `labels/leaf_0001_y0128_x0256.txt`,
    a YOLO row `class x y width height` per object (center and size as
    fractions of the patch), with the names of the classes in the lines of
    `classes.txt`. The loaders read what was written as a data set.

    Patches that a cache cuts when they are read, as of detection with
    `store="images"`, are cut: both stores give the same files.

    Args:
        path: A manifest, or a folder that holds only one.
        directory: Folder to write to, missing or empty. When writing fails,
            it is left empty.
        verbose: Whether to show a progress bar.

    Returns:
        Number of patches.

    Raises:
        FileNotFoundError: If there is no manifest.
        ValueError: If the cache is damaged, or if `directory` is not empty or
            cannot be written.

    Example:

    >>> count = keras_patching.data.export_patches(
    ...     "field/images_patches", "to_label"
    ... )
    >>> count
    12
    """
    manifest_path, manifest = load_cache(path)
    with _new_directory(directory) as target:
        for folder in _folders(manifest):
            (target / folder).mkdir()
        write = functools.partial(
            _write_source, manifest_path, manifest, target
        )
        written = run_jobs(write, manifest.sources, "image", verbose)
        patches = list(itertools.chain.from_iterable(written))
        _write_tables(manifest_path, manifest, target, patches)
    return manifest.num_patches


def export_copy(
    path: str | os.PathLike, directory: str | os.PathLike, verbose: bool = True
) -> pathlib.Path:
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

    >>> manifest = keras_patching.data.export_copy(
    ...     "field/images_patches", "to_the_cluster"
    ... )
    >>> keras_patching.PatchingSequence(manifest).num_samples
    12
    """
    manifest_path, manifest = load_cache(path)
    with _new_directory(directory) as target:
        (target / SHARD_FOLDER).mkdir()
        copy = functools.partial(
            _copy, manifest_path.parent / SHARD_FOLDER, target / SHARD_FOLDER
        )
        names = sorted({shard.file for shard in manifest.shards})
        run_jobs(copy, names, "file", verbose)
        write_manifest(target, manifest)
    return pathlib.Path(directory) / manifest.file_name


def _copy(source, target, name):
    """Copy a shard with its times, by which the copy is known."""
    shutil.copyfile(source / name, target / name)
    flush(target / name)
    shutil.copystat(source / name, target / name)


def _folders(manifest):
    """Give the folders that the patches of a cache are written to."""
    folders = {"images", *keys_drawn(manifest.kinds, *PICTURES)}
    has_boxes = keys_drawn(manifest.kinds, "boxes")
    return folders | {"labels"} if has_boxes else folders


def _write_source(manifest_path, manifest, target, source):
    """Write the patches of one image.

    Returns:
        List per patch of the name of its image file, and of a dict of its
        arrays that are no pixels.
    """
    pictures = keys_drawn(manifest.kinds, *PICTURES)
    masks = keys_drawn(manifest.kinds, "mask")
    values = MaskValues(manifest, manifest_path) if masks else None
    written = []
    for name, patch in zip(
        patch_names(source),
        read_patches(manifest_path, manifest, source),
        strict=True,
    ):
        files = {
            key: write_pixels(target / key / name, patch.pop(key))
            for key in pictures
            if key not in masks
        }
        for key in masks:
            mask = values.of(patch.pop(key))
            write_pixels(target / key / name, mask, values.palette)
        _write_labels(target, name, patch, manifest)
        written.append((files["images"].name, patch))
    return written


def _write_labels(target, name, patch, manifest):
    """Write the files of one patch that are no pixels."""
    for key in keys_drawn(manifest.kinds, "points"):
        write_points_json(target / "images" / f"{name}.json", patch[key])
    for key in keys_drawn(manifest.kinds, "boxes"):
        path = target / "labels" / f"{name}.txt"
        labels = patch["labels"]
        write_boxes_yolo(path, patch[key], labels, manifest.patch_size)


def _write_tables(manifest_path, manifest, target, patches):
    """Write the files that hold the labels of all patches."""
    for key in keys_drawn(manifest.kinds, "points"):
        write_points_csv(
            target / "images" / "points.csv",
            (
                (pathlib.PurePath(name).stem, labels[key])
                for name, labels in patches
            ),
        )
    for key in keys_drawn(manifest.kinds, "mask"):
        if manifest.classes:
            values = MaskValues(manifest, manifest_path)
            write_classes_csv(target / key / "classes.csv", *values.table())
    for key in keys_drawn(manifest.kinds, "boxes"):
        names = manifest.class_names
        for file, write in (
            ("labels.json", write_boxes_json),
            ("coco.json", write_boxes_coco),
        ):
            boxes = (
                (name, labels[key], labels["labels"])
                for name, labels in patches
            )
            write(target / file, boxes, names, manifest.patch_size)
        lines = "".join(f"{name}\n" for name in names)
        (target / "classes.txt").write_text(lines, encoding="utf-8")


@contextlib.contextmanager
def _new_directory(directory):
    """Fill a folder in one step, at the end.

    Yields:
        Folder inside it, whose contents are moved up when the block ends.
    """
    directory = pathlib.Path(directory)
    left = _check_empty(directory)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for each in left:
            shutil.rmtree(each)
        with tempfile.TemporaryDirectory(
            prefix=_TEMPORARY, dir=directory
        ) as temporary:
            yield pathlib.Path(temporary)
            for entry in sorted(pathlib.Path(temporary).iterdir()):
                os.replace(entry, directory / entry.name)
    except BrokenPipeError:  # Of what is printed.
        raise
    except OSError as error:
        raise ValueError(
            f"{directory}: nothing was exported, since writing failed "
            f"({error}). Free some space, make the folder writable, or export "
            "to another one."
        ) from error


def _check_empty(directory):
    """Refuse a folder that holds something.

    Returns:
        List of what exports that were killed left there.
    """
    if not directory.exists():
        return []
    if not directory.is_dir():
        raise ValueError(
            f"{directory}: is a file, expected a folder to export to."
        )
    left = [
        entry
        for entry in directory.iterdir()
        if re.fullmatch(re.escape(_TEMPORARY) + r"\w{8}", entry.name)
        and entry.is_dir()
        and not entry.is_symlink()
    ]
    found = sorted(
        entry.name for entry in directory.iterdir() if entry not in left
    )
    if found:
        raise ValueError(
            f"{directory}: is not empty (it holds {', '.join(found[:3])}"
            f"{', ...' if len(found) > 3 else ''}), and nothing in it is "
            "overwritten. Pass a new folder, or empty this one."
        )
    return left
