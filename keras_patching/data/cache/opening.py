"""The folder of patch caches: which are there, and whether they are whole.

One folder may hold the manifests of several caches, which share shards.
"""

import contextlib
import dataclasses
import json
import os
import pathlib

from keras_patching._faults import raise_faults, readable
from keras_patching.data.cache.manifest import (
    FORMAT,
    ManifestError,
    OutdatedManifestError,
    read_manifest,
)
from keras_patching.data.cache.records import Manifest
from keras_patching.data.cache.shards import ShardError, verify_shard

SHARD_FOLDER = "shards"
_REMEDY = (
    "Call the loader that made this cache on the original images again, "
    "which rebuilds what is wrong, or copy the folder again."
)


@dataclasses.dataclass(frozen=True)
class BuiltCache:
    """A cache that was just built.

    Another process may by now have written another manifest in its place.

    Attributes:
        manifest_path: `pathlib.Path` of its manifest.
        manifest: The `Manifest` that was built.
    """

    manifest_path: pathlib.Path
    manifest: Manifest


def list_manifests(directory):
    """List the JSON files in a folder, sorted by name.

    Raises:
        ValueError: If the folder cannot be read.
    """
    directory = pathlib.Path(directory)
    if not os.path.isdir(directory):
        return []
    with readable(directory), os.scandir(directory) as entries:
        names = sorted(
            entry.name
            for entry in entries
            if entry.name.endswith(".json")
            and not entry.name.startswith(".")
            and entry.is_file()
        )
    return [directory / name for name in names]


def find_manifest(path):
    """Resolve a manifest, or a folder that holds only one.

    Returns:
        `pathlib.Path` of the manifest.

    Raises:
        FileNotFoundError: If there is no such path, or no manifest in it.
        ValueError: If the folder holds several; lists them.
    """
    path = pathlib.Path(path)
    try:
        with readable(path):
            path.stat()
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{path}: no such file or folder. Expected the manifest of a "
            "patch cache, or its folder."
        ) from error
    if not path.is_dir():
        return path
    found = list_manifests(path)
    if not found:
        raise FileNotFoundError(
            f"{path}: holds no manifest, so no complete patch cache. Build "
            "one with the loader of your task."
        )
    if len(found) > 1:
        found = [each for each in found if not _is_left_over(each)] or found[:1]
    if len(found) > 1:
        names = ", ".join(map(_describe_labels, found))
        raise ValueError(
            f"{path}: holds {len(found)} manifests: {names}. Pass the path of "
            "the one that you want."
        )
    return found[0]


def _describe_labels(path):
    """Name a manifest, and what its labels came from."""
    with contextlib.suppress(ManifestError):
        if labels := read_manifest(path).label_path:
            return f"{path.name} (labels of {labels})"
    return path.name


def _is_left_over(path):
    """Tell whether a JSON file is of another version, or never was a manifest.

    A manifest that is damaged is neither.
    """
    try:
        read_manifest(path)
    except OutdatedManifestError:
        return True
    except ManifestError:
        return is_other_json(path)
    return False


def is_other_json(path):
    """Tell whether a file is good JSON that was never a manifest."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return not isinstance(content, dict) or content.get("format") != FORMAT


def load_cache(path):
    """Read a manifest and check all its shards, never the sources.

    A folder that was copied is hashed once; its shards then get the
    modification times of the manifest, if that is allowed.

    Args:
        path: A manifest, or a folder that holds only one. Or a `BuiltCache`,
            which was checked when it was built.

    Returns:
        `pathlib.Path` of the manifest, and the `Manifest`.

    Raises:
        FileNotFoundError: If there is no manifest.
        ValueError: If the manifest or a shard is not what was written; names
            each file that is wrong.
    """
    if isinstance(path, BuiltCache):
        return path.manifest_path, path.manifest
    path = find_manifest(path)
    try:
        manifest = read_manifest(path)
    except ManifestError as error:
        raise ManifestError(f"{error} {_REMEDY}") from error
    check_shard_folder(path.parent)
    faults = []
    for shard in manifest.shards:
        try:
            verify_shard(path.parent / SHARD_FOLDER, shard)
        except ShardError as error:
            faults.append(str(error))
    raise_faults(faults, f"{path}: shards of this patch cache are bad", _REMEDY)
    return path, manifest


def check_shard_folder(directory):
    """Refuse a cache whose folder of shards is a link to somewhere else.

    Raises:
        ValueError: Says what to do instead.
    """
    folder = pathlib.Path(directory) / SHARD_FOLDER
    if os.path.islink(folder):
        raise ValueError(
            f"{folder}: is a link, and shards are only read and removed where "
            "their manifests are. Move the folder that it points to here. To "
            f"keep a cache on another disk, link all of {directory}, or pass "
            "`cache_dir`."
        )
