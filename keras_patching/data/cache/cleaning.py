"""Removes what builds and crashes left behind in a cache."""

import contextlib
import dataclasses
import os
import pathlib
import re
import time

from keras_patching._whole_files import TEMPORARY, temporary_beside
from keras_patching.data.cache.manifest import (
    ManifestError,
    OutdatedManifestError,
    read_manifest,
)
from keras_patching.data.cache.opening import (
    SHARD_FOLDER,
    check_shard_folder,
    is_other_json,
    list_manifests,
)

# With 8 digits those of older versions.
_SHARD = re.compile(r".*-([0-9a-f]{8}|[0-9a-f]{32})\.[a-z_]+\.npy", re.DOTALL)


@dataclasses.dataclass(frozen=True)
class Cleaned:
    """What was removed: paths, and their bytes in all."""

    paths: list[pathlib.Path]
    bytes: int


def clean(directory: str | os.PathLike, min_age: float = 3600.0) -> Cleaned:
    """Remove shards and temporary files that no manifest names.

    Args:
        directory: Folder of patch caches.
        min_age: Seconds. Nothing is removed while something that no manifest
            names is younger, since a build may be running that has not come to
            its manifest.

    Returns:
        A `Cleaned`.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If it is not a folder of patch caches, if its folder of
            shards is a link, or if it holds a manifest that cannot be read, so
            that what it names is not known.

    Example:

    >>> keras_patching.data.clean("field/images_patches")
    """
    directory = pathlib.Path(directory)
    with _cleaning_errors(directory):
        return _clean(directory, min_age)


def _clean(directory, min_age):
    named = _named_shards(directory)
    found = {
        path: status
        for folder in (directory, directory / SHARD_FOLDER)
        for path, status in _list_files(folder)
        if TEMPORARY.fullmatch(path.name)
        or (
            folder != directory
            and _SHARD.fullmatch(path.name)
            and path.name not in named
        )
    }
    youngest = max((status.st_mtime for status in found.values()), default=0)
    if time.time() - youngest < min_age:
        return Cleaned([], 0)
    removed = _remove(directory, found)
    return Cleaned(removed, sum(found[path].st_size for path in removed))


def _remove(directory, paths):
    """Remove files, but none that a manifest names by now; list them.

    A build that ends meanwhile writes its manifest and then looks for its
    shards. Either it misses what was set aside, and makes it again; or its
    manifest is there when manifests are read after that.
    """
    aside, named, removed = {}, {path.name for path in paths}, []
    try:
        for path in sorted(paths):
            with contextlib.suppress(FileNotFoundError):  # by another `clean`
                aside[path] = _set_aside(path)
        named = _named_shards(directory)
    finally:
        for path, moved in aside.items():
            with contextlib.suppress(FileNotFoundError):
                if path.name in named:
                    os.replace(moved, path)
                else:
                    moved.unlink()
                    removed.append(path)
    return removed


def _set_aside(path):
    """Give a file the name of a temporary one, and give that."""
    moved = temporary_beside(path)
    os.rename(path, moved)
    return moved


@contextlib.contextmanager
def _cleaning_errors(directory):
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ValueError(
            f"{directory}: cannot be cleaned ({error}). Make it and what it "
            "holds readable and writable, and clean again."
        ) from error


def _list_files(folder):
    """Give path and `os.stat_result` of each file; links are not followed."""
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                if not entry.is_dir(follow_symlinks=False):
                    status = entry.stat(follow_symlinks=False)
                    yield pathlib.Path(entry.path), status


def _named_shards(directory):
    if not directory.is_dir():
        raise FileNotFoundError(
            f"{directory}: no such folder. Expected a folder of patch caches, "
            "such as images_patches."
        )
    readable = []
    for path in list_manifests(directory):
        try:
            readable.append(read_manifest(path))
        except OutdatedManifestError as error:
            raise ValueError(
                f"{error} Nothing was removed. If you do not use it with that "
                "version any more, remove this file and clean again, which "
                "removes its patches too."
            ) from error
        except ManifestError as error:
            if not is_other_json(path):
                raise ValueError(
                    f"{error} Nothing was removed, since the shards that it "
                    "names are not known. Call the loader that made it again, "
                    "or remove it."
                ) from error
    if not readable:
        raise ValueError(
            f"{directory}: holds no manifest of a patch cache. Nothing was "
            "removed. Pass the folder of a patch cache, such as "
            "images_patches."
        )
    check_shard_folder(directory)
    return {shard.file for manifest in readable for shard in manifest.shards}
