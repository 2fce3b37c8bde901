"""Manifests: the JSON files that say what a complete cache consists of.

A manifest is written last and in one step, so its presence is what "complete"
means, and it ends in a hash of itself.
"""

import contextlib
import dataclasses
import hashlib
import json
import os

import numpy as np

from keras_patching.data.cache.manifest_checks import check_manifest
from keras_patching.data.cache.shard_kinds import shard_kind
from keras_patching.data.cache.shards import (
    CacheWriteError,
    ShardRecord,
    digest,
    write_atomically,
)
from keras_patching.data.images.headers import ImageHeader
from keras_patching.data.images.image_io import READER_VERSION

FORMAT = "keras_patching.patch_cache"
VERSION = 3
# Clocks of file systems are coarse: a file that changed twice within their
# granularity has one modification time.
_CLOCK_SLACK_NS = 2 * 10**9


class ManifestError(ValueError):
    """A file is not a manifest that this version reads."""


class OutdatedManifestError(ManifestError):
    """A manifest is whole, and of another version of this package."""


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
    def of(cls, data, stat, header):
        """Make the record of a file.

        Args:
            data: Its bytes.
            stat: Its `os.stat_result`.
            header: The `ImageHeader` in these bytes.
        """
        return cls(
            size=stat.st_size,
            mtime_ns=stat.st_mtime_ns,
            ctime_ns=stat.st_ctime_ns,
            sha256=hashlib.sha256(data).hexdigest(),
            header=(
                *map(int, header.size),
                int(header.channels),
                np.dtype(header.dtype).name,
                bool(header.rotated),
            ),
        )

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

    @classmethod
    def of(cls, source, shards):
        """Make the record of a `shard_builder.Source` and its shards."""
        return cls(
            source.name,
            shards,
            source.origins,
            source.stages,
            source.augmentations,
        )


@dataclasses.dataclass(frozen=True)
class Manifest:
    """One complete cache.

    Attributes:
        task: Name of the task.
        patch_size: `(height, width)` in pixels.
        parameters: JSON-able dict, what else decides the patches.
        label_path: File or folder that the labels came from, relative to the
            folder of the images; absolute where it is on another drive.
        hashed_at_ns: Time before the first source was hashed.
        files: Dict from path, relative to the image folder, to `FileRecord`.
        sources: List of `SourceRecord`.
    """

    task: str
    patch_size: tuple[int, int]
    parameters: dict
    label_path: str
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
        return [kind for kind in self.kinds if shard_kind(kind).fed]

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
        """Name of the file; it hashes what decides the patches.

        Labels of two files are two caches, and those of a file that has
        changed take the place of what they were.
        """
        key = digest(
            [self.task, self.patch_size, self.parameters, self.label_path]
        )
        height, width = self.patch_size
        return f"{self.task}-{height}x{width}-{key[:12]}.json"


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
    return SourceRecord(**{**fields, "shards": shards})


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
