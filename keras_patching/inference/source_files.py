"""The image files that paths, folders and patterns stand for."""

import glob
import os
import pathlib

from keras_patching._faults import raise_faults
from keras_patching._printing import printable
from keras_patching.data.images.listing import (
    FOLDER_SUFFIX,
    SUFFIXES,
    list_images,
)
from keras_patching.data.images.ome_zarr import is_ome_zarr, stem_of


def find_images(paths):
    """Find the image files that paths stand for.

    Args:
        paths: Paths of files and of folders, and patterns such as
            `"field/**/*.tif"`, where `**` stands for any folders; or one.

    Returns:
        Dict from stem to `pathlib.Path`, in the order of the paths. What is
        neither a folder nor a pattern is taken for a file, there or not.

    Raises:
        ValueError: If there are none, or two have the same stem; lists them.
    """
    if isinstance(paths, (str, os.PathLike)):
        paths = [paths]
    by_stem = {}
    for path in map(pathlib.Path, paths):
        for file in _files_of(path):
            same = by_stem.setdefault(stem_of(file), {})
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


def _files_of(path):
    if path.is_dir() and not is_ome_zarr(path):
        # A link that leads nowhere is a fault of its own image.
        return list_images(path, broken="list").values()
    # A file may have brackets in its name.
    if glob.has_magic(str(path)) and not os.path.lexists(path):
        return _matches(path)
    return [path]


def _is_image(path):
    if os.path.isdir(path):
        return path.lower().endswith(FOLDER_SUFFIX) and is_ome_zarr(path)
    return path.lower().endswith(SUFFIXES)


def _matches(pattern):
    """Find the image files of a pattern, in the order of their names."""
    found = sorted(
        pathlib.Path(each)
        for each in glob.glob(str(pattern), recursive=True)
        if _is_image(each)
    )
    if not found:
        raise ValueError(
            f"{pattern}: no image file matches. Expected files with one of the "
            f"suffixes {' '.join(SUFFIXES)}; `**` stands for any folders, and "
            "`[[]` for a bracket."
        )
    return found
