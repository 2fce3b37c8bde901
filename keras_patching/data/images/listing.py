"""The image files of a folder, by the names that labels are paired with."""

import contextlib
import os
import pathlib
import unicodedata

from keras_patching._faults import readable
from keras_patching.data.images.ome_zarr import is_ome_zarr

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".npy")
SUFFIXES += (".svs",)
# Folders that are images, of OME-Zarr.
FOLDER_SUFFIX = ".zarr"


def list_images(
    directory: str | os.PathLike, broken: str = "error"
) -> dict[str, pathlib.Path]:
    """List the image files of one folder, without its subfolders.

    Hidden files and files without an image suffix are left out. Folders whose
    name ends in `.zarr` are images where they hold some of OME-Zarr.

    Args:
        directory: Path of a folder.
        broken: What to do with links that lead nowhere, as git-annex, DVC and
            disks that are not there leave behind: "error", or "list" them
            like images.

    Returns:
        A dict from stem (`"a"` for `a.png`) to `pathlib.Path`, sorted by
        file name.

    Raises:
        FileNotFoundError: There is no such folder, or a link leads nowhere.
        NotADirectoryError: It is a file.
        ValueError: No image in it, it may not be read, or one stem twice
            (`a.png`, `a.jpg`, or one name in two spellings of Unicode).

    Example:

    >>> keras_patching.data.list_images("field/images")["field_0"]
    PosixPath('field/images/field_0.jpg')
    """
    directory = pathlib.Path(directory)
    if directory.is_file():
        raise NotADirectoryError(
            f"{directory}: is a file. Expected a folder of images. (The "
            "loader of boxes takes the labels first, others the images.)"
        )
    if not directory.is_dir():
        raise FileNotFoundError(
            f"{directory}: no such folder. Expected a folder of images."
        )
    names = _image_names(directory)
    if broken == "error":
        _refuse_broken(directory, names)
    if not names:
        raise ValueError(
            f"{directory}: no images found. Expected files with one of the "
            f"suffixes {' '.join(SUFFIXES)} directly in this folder."
            f"{_describe_folders(directory)}"
        )
    by_stem: dict[str, list[str]] = {}
    for name in names:
        stem = unicodedata.normalize("NFC", pathlib.Path(name).stem)
        by_stem.setdefault(stem, []).append(name)
    twice = [same for same in by_stem.values() if len(same) > 1]
    if twice:
        listed = "; ".join(_apart(same) for same in twice[:20])
        raise ValueError(
            f"{directory}: {len(twice)} names belong to more than one file: "
            f"{listed}. Images and labels are paired by name without suffix: "
            "rename or remove one of each."
        )
    return {pathlib.Path(name).stem: directory / name for name in names}


def _image_names(directory):
    with readable(directory), os.scandir(directory) as entries:
        return sorted(
            entry.name
            for entry in entries
            if not entry.name.startswith(".") and _is_image(entry)
        )


def _is_image(entry):
    name = entry.name.lower()
    # Of a link to itself `entry.is_dir` raises.
    is_link = entry.is_symlink()
    if os.path.isdir(entry.path) if is_link else entry.is_dir():
        return name.endswith(FOLDER_SUFFIX) and is_ome_zarr(entry.path)
    is_file = is_link or entry.is_file(follow_symlinks=False)
    return name.endswith(SUFFIXES) and is_file


def _refuse_broken(directory, names):
    with os.scandir(directory) as entries:
        links = {entry.name for entry in entries if entry.is_symlink()}
    broken = [
        name
        for name in names
        if name in links and not os.path.exists(directory / name)
    ]
    if broken:
        listed = ", ".join(
            f"{name} -> {os.readlink(directory / name)}" for name in broken[:20]
        )
        rest = f" and {len(broken) - 20} more" if len(broken) > 20 else ""
        raise FileNotFoundError(
            f"{directory}: {len(broken)} links lead nowhere: {listed}{rest}. "
            "Fetch the files (`git annex get`, `dvc pull`, mount the disk), or "
            "remove the links."
        )


def _describe_folders(directory):
    """Name folders that hold images, where images themselves are missing."""
    with os.scandir(directory) as entries:
        folders = sorted(entry.name for entry in entries if entry.is_dir())
    for name in folders[:20]:
        with contextlib.suppress(OSError, ValueError):
            if _image_names(directory / name):
                return f" There are some in its folder {name}: pass that."
    return ""


def _apart(names):
    """List names; those that look alike by their code points too."""
    composed = {unicodedata.normalize("NFC", name) for name in names}
    if len(composed) == len(names):
        return ", ".join(names)
    told = ", ".join(f"{name} ({name!a})" for name in names)
    return f"{told}, which are two spellings of one name in Unicode"
