"""Manifests: the JSON files that say what a complete cache consists of.

A manifest is written last and in one step, so its presence is what "complete"
means. One folder may hold the manifests of several caches, which share shards.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib

import numpy as np

from keras_patching.data.faults import raise_faults
from keras_patching.data.image_io import ImageHeader
from keras_patching.data.shards import (
    CacheWriteError,
    ShardError,
    ShardRecord,
    digest,
    verify_shard,
    write_atomically,
)

FORMAT = "keras_patching.patch_cache"
VERSION = 1
SHARD_FOLDER = "shards"
# Kinds of labels that are kept for people and other tools: not for batches.
_NOT_FED = {"points", "objects"}
# Kinds that hold one thing for the whole image instead of one per patch.
_PER_IMAGE = {"windows", "objects"}
# Clocks of file systems are coarse: a file that changed twice within their
# granularity has one modification time.
_CLOCK_SLACK_NS = 2 * 10**9


class ManifestError(ValueError):
    """A file is not a manifest that this version reads."""


@dataclasses.dataclass(frozen=True)
class FileRecord:
    """What a manifest says of an image file that shards were made from.

    Attributes:
        size, mtime_ns, ctime_ns: As `os.stat` gave them.
        sha256: Hash of the file's content.
        header: `[height, width, channels, dtype, rotated]`.
    """

    size: int
    mtime_ns: int
    ctime_ns: int
    sha256: str
    header: tuple = ()

    @classmethod
    def of(cls, data, stat):
        """Make the record of a file from its bytes and `os.stat_result`."""
        return cls(
            size=stat.st_size,
            mtime_ns=stat.st_mtime_ns,
            ctime_ns=stat.st_ctime_ns,
            sha256=hashlib.sha256(data).hexdigest(),
        )

    def with_header(self, header):
        """Add an `ImageHeader` to the record."""
        fields = (
            *header.size,
            header.channels,
            np.dtype(header.dtype).name,
            header.rotated,
        )
        return dataclasses.replace(self, header=fields)

    @property
    def image_header(self):
        """The `ImageHeader` of the file."""
        height, width, channels, dtype, rotated = self.header
        return ImageHeader(
            (height, width), channels, np.dtype(dtype), bool(rotated)
        )

    def is_trusted(self, stat, hashed_at_ns):
        """Tell whether a file still has the content that was hashed.

        Args:
            stat: Its `os.stat_result` now.
            hashed_at_ns: Time before which it was not hashed.
        """
        found = (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
        return (
            found == (self.size, self.mtime_ns, self.ctime_ns)
            and self.mtime_ns < hashed_at_ns - _CLOCK_SLACK_NS
        )


@dataclasses.dataclass(frozen=True)
class SourceRecord:
    """What a manifest says of the patches of one image.

    Attributes:
        name: Path of the image, relative to the image folder.
        shards: Dict from kind ("images", "masks") to `ShardRecord`.
        origins: Pair `(y, x)` per patch, in pixels of the image.
        stages: Per patch, the sampling stage it comes from.
        augmentations: Per patch, what was done to it; empty where nothing is
            done to any.
    """

    name: str
    shards: dict[str, ShardRecord]
    origins: list
    stages: list[str]
    augmentations: list = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class Manifest:
    """One complete cache.

    Attributes:
        task: Name of the task.
        patch_size: `(height, width)` in pixels.
        parameters: JSON-able dict, what else decides the patches.
        label_folder: Folder of the labels, relative to that of the images.
        hashed_at_ns: Time before the first source was hashed.
        files: Dict from path, relative to the image folder, to `FileRecord`.
        sources: List of `SourceRecord`.
    """

    task: str
    patch_size: tuple[int, int]
    parameters: dict
    label_folder: str
    hashed_at_ns: int
    files: dict[str, FileRecord]
    sources: list[SourceRecord]

    @property
    def kinds(self):
        """Kinds of shards that each source has, images first."""
        return list(self.sources[0].shards)

    @property
    def fed_kinds(self):
        """Those of them that batches are made of."""
        return [kind for kind in self.kinds if kind not in _NOT_FED]

    @property
    def num_patches(self):
        """Number of patches of all sources."""
        return sum(len(source.origins) for source in self.sources)

    @property
    def shards(self):
        """List of all `ShardRecord`."""
        return [
            shard for source in self.sources for shard in source.shards.values()
        ]

    @property
    def file_name(self):
        """Name of the file; it hashes what decides the patches."""
        key = digest(
            [
                VERSION,
                self.task,
                self.patch_size,
                self.parameters,
                self.label_folder,
            ]
        )
        height, width = self.patch_size
        return f"{self.task}-{height}x{width}-{key[:12]}.json"


def read_manifest(path):
    """Read a manifest.

    Raises:
        ManifestError: If it is damaged, of another version, or something
            else altogether.
    """
    problem = f"{path}: not a manifest that this version can read"
    try:
        content = json.loads(path.read_bytes())
        is_ours = content["format"] == FORMAT
        version = content["version"]
    except OSError as error:
        raise ManifestError(f"{problem} ({error.strerror}).") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ManifestError(f"{problem} ({_tell(error)}).") from error
    if not is_ours or version != VERSION:
        raise ManifestError(
            f"{problem} (found format {content['format']!r} version "
            f"{version!r}, expected {FORMAT!r} version {VERSION})."
        )
    try:
        return _parse(content)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ManifestError(f"{problem} ({_tell(error)}).") from error


def _tell(error):
    return f"{type(error).__name__}: {error}"


def _parse(content):
    fields = {
        name: value
        for name, value in content.items()
        if name not in ("format", "version")
    }
    height, width = fields["patch_size"]
    fields["patch_size"] = (height, width)
    fields["files"] = {
        path: FileRecord(**{**file, "header": tuple(file["header"])})
        for path, file in fields["files"].items()
    }
    fields["sources"] = [_parse_source(each) for each in fields["sources"]]
    if not fields["sources"]:
        raise ValueError("it lists no sources")
    return Manifest(**fields)


def _parse_source(fields):
    shards = {
        kind: ShardRecord(**shard) for kind, shard in fields["shards"].items()
    }
    source = SourceRecord(**{**fields, "shards": shards})
    lengths = {
        shard.shape[0]
        for kind, shard in shards.items()
        if kind not in _PER_IMAGE
    }
    if lengths != {len(source.origins)}:
        raise ValueError(
            f"{source.name} has {len(source.origins)} origins and shards of "
            f"{sorted(lengths)} patches"
        )
    return source


def write_manifest(directory, manifest):
    """Write a manifest under its name, atomically.

    Raises:
        CacheWriteError: If it cannot be written.
    """
    content = {"format": FORMAT, "version": VERSION, **vars(manifest)}
    # Not `dataclasses.asdict`, which copies every number of every patch.
    text = json.dumps(content, separators=(",", ":"), default=vars)
    write_atomically(directory / manifest.file_name, [text.encode()])


def list_manifests(directory):
    """List the JSON files in a folder, sorted by name."""
    return sorted(
        path
        for path in pathlib.Path(directory).glob("*.json")
        if not path.name.startswith(".")
    )


def find_manifest(path):
    """Resolve a manifest, or a folder that holds only one.

    Returns:
        `pathlib.Path` of the manifest.

    Raises:
        FileNotFoundError: If there is no such path, or no manifest in it.
        ValueError: If the folder holds several; lists them.
    """
    path = pathlib.Path(path)
    if not path.exists():
        raise FileNotFoundError(
            f"{path}: no such file or folder. Expected the manifest of a "
            "patch cache, or its folder."
        )
    if not path.is_dir():
        return path
    found = list_manifests(path)
    if not found:
        raise FileNotFoundError(
            f"{path}: holds no manifest, so no complete patch cache. Build "
            "one with the loader of your task."
        )
    if len(found) > 1:
        names = ", ".join(each.name for each in found)
        raise ValueError(
            f"{path}: holds {len(found)} manifests: {names}. Pass the path of "
            "the one that you want."
        )
    return found[0]


def load_cache(path):
    """Read a manifest and check all its shards, never the sources.

    A folder that was copied is hashed once; the manifest then takes the new
    modification times, if it can be written.

    Args:
        path: A manifest, or a folder that holds only one.

    Returns:
        `pathlib.Path` of the manifest, and the `Manifest`.

    Raises:
        FileNotFoundError: If there is no manifest.
        ValueError: If the manifest or a shard is not what was written; names
            each file that is wrong.
    """
    path = find_manifest(path)
    remedy = (
        "Call the loader that made this cache on the original images again, "
        "which rebuilds what is wrong, or copy the folder again."
    )
    try:
        manifest = read_manifest(path)
    except ManifestError as error:
        raise ManifestError(f"{error} {remedy}") from error
    checked, faults = [], []
    for source in manifest.sources:
        shards = {}
        for kind, shard in source.shards.items():
            try:
                shards[kind] = verify_shard(path.parent / SHARD_FOLDER, shard)
            except ShardError as error:
                faults.append(str(error))
        checked.append(dataclasses.replace(source, shards=shards))
    raise_faults(faults, f"{path}: shards of this patch cache are bad", remedy)
    if checked != manifest.sources:
        manifest = dataclasses.replace(manifest, sources=checked)
        refresh_manifest(path, manifest)
    return path, manifest


def refresh_manifest(path, manifest):
    """Replace a manifest by one that says the same, where it is possible."""
    # A user may have renamed it; and a read-only folder stays as it is.
    if path.name == manifest.file_name and os.access(path.parent, os.W_OK):
        with contextlib.suppress(CacheWriteError):
            write_manifest(path.parent, manifest)
