"""Readers of patches, a kind of shard each: many rows to one batch.

Reading is the inner loop of feeding: a microsecond here is as much as the copy
of a small patch.
"""

import math

import numpy as np

from keras_patching.data.cache.opening import SHARD_FOLDER
from keras_patching.data.cache.shard_kinds import key_of, shard_kind
from keras_patching.data.feeding.batch_arrays import empty_batch
from keras_patching.data.feeding.shard_pool import ShardPool
from keras_patching.data.feeding.window_readers import (
    PlannedReader,
    check_alike,
    open_window_reader,
)
from keras_patching.data.patches.planned_patches import NO_OBJECT


def open_readers(manifest_path, manifest, sources, kinds=None):
    """Open a reader per kind of shard.

    Args:
        manifest_path: `pathlib.Path` of the manifest.
        manifest: The `Manifest`.
        sources: Those of its `Source` that are read.
        kinds: Kinds to read, those of a whole image only where patches are
            cut out of it; `None` is what batches are made of.

    Returns:
        Dict from the key of each kind, see `ShardKind`, to its reader, images
        first.

    Raises:
        ValueError: If patches differ in size or dtype.
    """
    kinds = manifest.fed_kinds if kinds is None else kinds
    return {
        key_of(kind): _open_reader(kind, manifest_path, manifest, sources)
        for kind in kinds
    }


def _open_reader(kind, manifest_path, manifest, sources):
    entry = shard_kind(kind)
    if entry.is_cut:
        return PlannedReader(
            open_window_reader(kind, manifest_path, manifest, sources),
            [source.origins for source in sources],
            [source.augmentations for source in sources],
            manifest.patch_size,
            manifest.parameters["value_range"],
        )
    records = [source.shards[kind] for source in sources]
    place = manifest_path.parent, records
    if entry.padding is not None:
        return PaddedReader(*place, most_rows(kind, manifest), entry.padding)
    formats = [(record.shape[1:], record.dtype) for record in records]
    check_alike(formats, sources, manifest_path)
    return StackedReader(*place)


def most_rows(kind, manifest):
    """Give the largest number of rows in a patch of any image.

    So subsets of the images have batches of one shape.
    """
    return max(source.shards[kind].shape[1] for source in manifest.sources)


class StackedReader:
    """Reads patches that lie in a shard one after the other, all alike.

    Args:
        directory: Folder of the cache.
        records: `ShardRecord` per source.
    """

    def __init__(self, directory, records):
        self._pool = ShardPool(directory / SHARD_FOLDER, records)
        self._shape, self._dtype = records[0].shape[1:], records[0].dtype

    def read(self, sources, rows):
        """Copy patches, one per pair of source and row, into one array."""
        shape = len(rows), math.prod(self._shape)
        patches = empty_batch(shape, self._dtype)
        self._pool.read_patches(sources, rows, patches)
        return patches.reshape(-1, *self._shape)


class PaddedReader:
    """Reads labels of which each source has another number per patch.

    Args:
        directory, records: As for `StackedReader`.
        most: Number of labels that all patches are padded to.
        padding: Value that they are padded with.
    """

    def __init__(self, directory, records, most, padding=NO_OBJECT):
        self._pool = ShardPool(directory / SHARD_FOLDER, records)
        self._records = records
        self._shape = (most, *records[0].shape[2:])
        self._dtype = records[0].dtype
        self._padding = padding

    def read(self, sources, rows):
        """Copy labels, one row of them per pair of source and row."""
        labels = np.full((len(rows), *self._shape), self._padding, self._dtype)
        for target, s, r in zip(labels, sources, rows, strict=True):
            shape = self._records[s].shape[1:]
            row = np.empty(math.prod(shape), self._dtype)
            self._pool.read_patch(s, r, row)
            target[: shape[0]] = row.reshape(shape)
        return labels


class MemoryReader:
    """Reads labels of patches that were planned after the cache was made.

    Args:
        arrays: Array `(patches, number, ...)` per source.
        most: Number of labels that all patches are padded to.
    """

    def __init__(self, arrays, most):
        self._arrays = arrays
        self._shape = (most, *arrays[0].shape[2:])

    def read(self, sources, rows):
        """Copy labels, one row of them per pair of source and row."""
        dtype = self._arrays[0].dtype
        labels = np.full((len(rows), *self._shape), NO_OBJECT, dtype)
        for target, s, r in zip(labels, sources, rows, strict=True):
            row = self._arrays[s][r]
            target[: len(row)] = row
        return labels
