"""What the manifests in the folder of a patch cache remember.

A file that one of them knows, and that has not changed since, is not read
again. The manifest of the cache itself is asked first, and those of other
caches there are read only when it does not know.
"""

import contextlib
import dataclasses
import functools
import os
import pathlib

from keras_patching._faults import readable
from keras_patching.data.cache.manifest import ManifestError, read_manifest
from keras_patching.data.cache.opening import SHARD_FOLDER, list_manifests
from keras_patching.data.cache.shard_builder import is_shard_of
from keras_patching.data.cache.shards import is_unchanged, shard_prefix
from keras_patching.data.images.contents import status_of
from keras_patching.data.images.image_io import read_header


class CacheMemory:
    """What is known of the files of a data set before they are read.

    Args:
        manifest_path: `pathlib.Path` of the manifest of the cache, which need
            not exist.
        dirname: `pathlib.Path` of the folder of the images.

    Attributes:
        manifest: The `Manifest` of the cache; `None` where there is none that
            can be read.
    """

    def __init__(self, manifest_path, dirname):
        self._manifest_path = manifest_path
        self._dirname = dirname
        self._own = _read_all([manifest_path])
        self.manifest = self._own[0].manifest if self._own else None
        self._trusted, self._headers = {}, {}

    @functools.cached_property
    def _others(self):
        paths = list_manifests(self._manifest_path.parent)
        return _read_all(p for p in paths if p != self._manifest_path)

    def _known(self):
        """Yield what is known, as far as it is asked for."""
        yield from self._own
        yield from self._others

    def header(self, path):
        """Give the `ImageHeader` of a file, from a manifest or the file.

        Raises:
            ValueError: If it is not an image that can be read.
        """
        if path not in self._headers:
            with readable(path):
                file = self.trusted(path)
                self._headers[path] = (
                    read_header(path) if file is None else file.image_header
                )
        return self._headers[path]

    def trusted(self, path):
        """Give the `FileRecord` of a file that has not changed, or `None`."""
        if path not in self._trusted:
            stat = status_of(path)
            name = name_of(path, self._dirname)
            found = (known.trusted(name, stat) for known in self._known())
            self._trusted[path] = next(filter(None, found), None)
        return self._trusted[path]

    def learn(self, files):
        """Remember files that were read: a dict from path to `FileRecord`."""
        self._trusted.update(files)

    def shards(self, source):
        """Give what may be there of a `Source`: `ShardRecord` per file name."""
        shards = {}
        for known in self._known():
            shards |= known.shards(source)
        return shards

    def find(self, source):
        """Find the shards of a `Source` that is to be built.

        Returns:
            It with its `ShardRecord`s, or `None` where some are not there.
        """
        shards = {}
        for plan in source.shards.values():
            file = self.trusted(plan.path) if plan.path else None
            if plan.path and file is None:
                return None
            name = plan.file_name(source.name, file.sha256 if file else None)
            record = self._find_shard(source, plan, name)
            if record is None:
                return None
            shards[plan.kind] = record
        return dataclasses.replace(source, shards=shards)

    def _find_shard(self, source, plan, name):
        folder = self._manifest_path.parent / SHARD_FOLDER
        for known in self._known():
            record = known.shards(source).get(name)
            if (
                record is not None
                and is_shard_of(plan, record)
                and is_unchanged(folder, record)
            ):
                return record
        return None


class _Known:
    """What one manifest knows."""

    def __init__(self, manifest):
        self.manifest = manifest
        self._shards = {}
        for source in manifest.sources:
            shards = self._shards.setdefault(shard_prefix(source.name), {})
            shards.update((s.file, s) for s in source.shards.values())

    def shards(self, source):
        return self._shards.get(shard_prefix(source.name), {})

    def trusted(self, name, stat):
        file = self.manifest.files.get(name)
        is_trusted = file and file.is_trusted(stat, self.manifest.hashed_at_ns)
        return file if is_trusted else None


def _read_all(paths):
    known = []
    for path in paths:
        with contextlib.suppress(ManifestError):
            known.append(_Known(read_manifest(path)))
    return known


def name_of(path, dirname):
    """Give what a manifest calls a file: its path from the image folder."""
    path = os.path.abspath(path)
    # Windows knows no way from one drive to another.
    with contextlib.suppress(ValueError):
        path = os.path.relpath(path, dirname)
    return pathlib.Path(path).as_posix()
