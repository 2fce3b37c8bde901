"""Manifests: the JSON files that say what a complete cache consists of.

A manifest is written last and in one step, so its presence is what "complete"
means, and it ends in a hash of itself.
"""

import contextlib
import hashlib
import json
import os

from keras_patching.data.cache.manifest_checks import check_manifest
from keras_patching.data.cache.records import FileRecord, Manifest, Source
from keras_patching.data.cache.shards import (
    CacheWriteError,
    ShardRecord,
    write_atomically,
)
from keras_patching.data.images.image_io import READER_VERSION

FORMAT = "keras_patching.patch_cache"
VERSION = 5


class ManifestError(ValueError):
    """A file is not a manifest that this version reads."""


class OutdatedManifestError(ManifestError):
    """A manifest is whole, and of another version of this package."""


def read_manifest(path):
    """Read a manifest.

    Raises:
        OutdatedManifestError: If it is of another version.
        ManifestError: If it is damaged, or something else altogether.
    """
    problem = f"{path}: not a manifest that this version can read"
    try:
        data = path.read_bytes()
        content = json.loads(data)
        version = content["format"], content["version"], content.get("readers")
    except OSError as error:
        raise ManifestError(f"{problem} ({error.strerror}).") from error
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise ManifestError(f"{problem} ({_describe_error(error)}).") from error
    if version == (FORMAT, 1, None) or (
        _is_whole(data) and version != (FORMAT, VERSION, READER_VERSION)
    ):
        raise OutdatedManifestError(
            f"{problem}: another version of keras_patching wrote it (format "
            f"{version[1:]}, expected {(VERSION, READER_VERSION)})."
        )
    if not _is_whole(data):
        raise ManifestError(f"{problem}: it was changed after it was written.")
    try:
        return _parse(content)
    except (
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        OverflowError,
    ) as error:
        raise ManifestError(f"{problem} ({_describe_error(error)}).") from error


def _describe_error(error):
    return f"{type(error).__name__}: {error}"


def _parse(content):
    fields = {
        name: value
        for name, value in content.items()
        if name not in ("format", "version", "readers", "sha256")
    }
    fields["patch_size"] = tuple(fields["patch_size"])
    fields["files"] = {
        path: FileRecord(**{**file, "header": tuple(file["header"])})
        for path, file in fields["files"].items()
    }
    fields["sources"] = [_parse_source(each) for each in fields["sources"]]
    manifest = Manifest(**fields)
    check_manifest(manifest)
    return manifest


def _parse_source(fields):
    shards = {
        kind: ShardRecord(**shard) for kind, shard in fields["shards"].items()
    }
    return Source(**{**fields, "shards": shards})


def manifest_state(path):
    """Tell one file under a name from the next, without reading it.

    Returns:
        What changes when a manifest is written in place of another; `None`
        where there is none.
    """
    try:
        return _state(os.stat(path))
    except OSError:
        return None


def _state(stat):
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


def write_manifest(directory, manifest):
    """Write a manifest under its name, atomically.

    Returns:
        Its `manifest_state`.

    Raises:
        CacheWriteError: If it cannot be written.
    """
    content = {
        "format": FORMAT,
        "version": VERSION,
        "readers": READER_VERSION,
        **vars(manifest),
    }
    # Not `dataclasses.asdict`, which copies every number of every patch.
    text = json.dumps(content, separators=(",", ":"), default=vars)
    head = text.encode()[:-1]
    path = directory / manifest.file_name
    return _state(write_atomically(path, [head, _hash_entry(head)]))


def _hash_entry(head):
    """Give the end of a manifest, from the bytes before it."""
    return f',"sha256":"{hashlib.sha256(head).hexdigest()}"}}'.encode()


def _is_whole(data):
    """Tell whether the bytes of a manifest are those that were written."""
    length = len(_hash_entry(b""))
    return data[-length:] == _hash_entry(data[:-length])


def refresh_manifest(path, manifest):
    """Replace a manifest by one that says the same, where it is possible.

    Returns:
        Its `manifest_state`.
    """
    # A user may have renamed it; and a read-only folder stays as it is.
    if path.name == manifest.file_name and os.access(path.parent, os.W_OK):
        with contextlib.suppress(CacheWriteError):
            return write_manifest(path.parent, manifest)
    return manifest_state(path)
