"""Removes what builds and crashes left behind in a cache."""

import dataclasses
import json
import pathlib
import re
import time

from keras_patching.data.manifest import (
    FORMAT,
    SHARD_FOLDER,
    ManifestError,
    list_manifests,
    read_manifest,
)
from keras_patching.data.shards import TEMPORARY_SUFFIX

_SHARD = re.compile(r".*-[0-9a-f]{8}\.[a-z]+\.npy", re.DOTALL)
_TEMPORARY = re.compile(r"\.[0-9]+-[0-9a-f]{16}" + re.escape(TEMPORARY_SUFFIX))


@dataclasses.dataclass(frozen=True)
class Cleaned:
    """What was removed: paths, and their bytes in all."""

    paths: list[pathlib.Path]
    bytes: int


def clean(directory, min_age=3600.0):
    """Remove shards and temporary files that no manifest names.

    Args:
        directory: Folder of patch caches.
        min_age: Seconds. Younger files stay, since a build may be running
            that has not come to its manifest.

    Returns:
        A `Cleaned`.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If it is not a folder of patch caches, or holds a manifest
            that cannot be read, so that what it names is not known.
    """
    directory = pathlib.Path(directory)
    named = _named_shards(directory)
    candidates = [
        path
        for path in (directory / SHARD_FOLDER).glob("*")
        if _SHARD.fullmatch(path.name) and path.name not in named
    ]
    candidates += [
        path
        for folder in (directory, directory / SHARD_FOLDER)
        for path in folder.glob(".*")
        if _TEMPORARY.fullmatch(path.name)
    ]
    removed, size = [], 0
    for path in sorted(candidates):
        stat = path.stat()
        if time.time() - stat.st_mtime >= min_age:
            path.unlink()
            removed.append(path)
            size += stat.st_size
    return Cleaned(removed, size)


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
        except ManifestError as error:
            if not _is_other_json(path):
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
    return {shard.file for manifest in readable for shard in manifest.shards}


def _is_other_json(path):
    """Tell whether a file is good JSON that was never a manifest."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return False
    return not isinstance(content, dict) or content.get("format") != FORMAT
