"""What the manifests in the folder of a patch cache remember.

Of any cache there: a file that one of them knows, and that has not changed
since, is not read again for the others.
"""

import contextlib
import os
import pathlib

from keras_patching._faults import readable
from keras_patching.data.cache.manifest import (
    ManifestError,
    SourceRecord,
    read_manifest,
)
from keras_patching.data.cache.opening import SHARD_FOLDER, list_manifests
from keras_patching.data.cache.shard_builder import is_shard_of
from keras_patching.data.cache.shards import is_unchanged, shard_prefix
from keras_patching.data.images.image_io import read_header


class CacheMemory:
    """What is known of the files of a data set before they are read.

    Args:
        directory: `pathlib.Path` of the folder of the cache.
        dirname: `pathlib.Path` of the folder of the images.

    Attributes:
        manifests: Dict from path to `Manifest` of those that can be read.
    """

    def __init__(self, directory, dirname):
        self._shards = directory / SHARD_FOLDER
        self._dirname = dirname
        self._hashed, self._known = {}, {}
        self._trusted, self._headers = {}, {}
        self.manifests = {}
        for path in list_manifests(directory):
            with contextlib.suppress(ManifestError):
                self.manifests[path] = read_manifest(path)
        for manifest in self.manifests.values():
            self._add(manifest)

    def _add(self, manifest):
        for name, file in manifest.files.items():
            times = self._hashed.setdefault(name, [])
            times.append((file, manifest.hashed_at_ns))
        for source in manifest.sources:
            known = self._known.setdefault(shard_prefix(source.name), {})
            known.update((s.file, s) for s in source.shards.values())

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
            stat = os.stat(path)
            records = self._hashed.get(name_of(path, self._dirname), [])
            self._trusted[path] = next(
                (file for file, at in records if file.is_trusted(stat, at)),
                None,
            )
        return self._trusted[path]

    def learn(self, files):
        """Remember files that were read: a dict from path to `FileRecord`."""
        self._trusted.update(files)

    def shards(self, source):
        """Give what may be there of a `Source`: `ShardRecord` per file name."""
        return self._known.get(shard_prefix(source.name), {})

    def find(self, source):
        """Give the `SourceRecord` of a source that is there, or `None`."""
        known = self.shards(source)
        shards = {}
        for plan in source.shards:
            file = self.trusted(plan.path) if plan.path else None
            if plan.path and file is None:
                return None
            name = plan.file_name(source.name, file.sha256 if file else None)
            record = known.get(name)
            if (
                record is None
                or not is_shard_of(plan, record)
                or not is_unchanged(self._shards, record)
            ):
                return None
            shards[plan.kind] = record
        return SourceRecord.of(source, shards)


def name_of(path, dirname):
    """Give what a manifest calls a file: its path from the image folder."""
    path = os.path.abspath(path)
    # Windows knows no way from one drive to another.
    with contextlib.suppress(ValueError):
        path = os.path.relpath(path, dirname)
    return pathlib.Path(path).as_posix()
