"""Readers of patches, a kind of shard each: many rows to one batch.

Reading is the inner loop of feeding: a microsecond here is as much as the copy
of a small patch.
"""

import math

import numpy as np

from keras_patching.data.cache.opening import SHARD_FOLDER
from keras_patching.data.cache.shards import read_shard
from keras_patching.data.feeding.shard_pool import ShardPool
from keras_patching.data.patches.planned_patches import (
    NO_OBJECT,
    complete_patch,
    label_planned,
    plan_patches,
    visible_window,
)

# Kinds of which patches have different numbers, and their name in a batch.
PADDED_KINDS = {"boxes": "boxes", "box_labels": "labels"}


def open_readers(path, manifest, sources):
    """Open a reader per kind of shard that batches are made of.

    Args:
        path: `pathlib.Path` of the manifest.
        manifest: The `Manifest`.
        sources: Those of its `SourceRecord` that are read.

    Returns:
        Dict from kind to reader, images first.

    Raises:
        ValueError: If patches differ in size or dtype.
    """
    readers = {}
    for kind in manifest.fed_kinds:
        place = _place(kind, path, sources)
        if kind == "windows":
            readers[kind] = WindowReader(
                *place,
                [source.origins for source in sources],
                [source.augmentations for source in sources],
                manifest.patch_size,
                manifest.parameters["value_range"],
            )
        elif kind in PADDED_KINDS:
            readers[kind] = PaddedReader(*place, _most(kind, manifest))
        else:
            _check_alike(place[1], [source.name for source in sources], path)
            readers[kind] = StackedReader(*place)
    return readers


def open_redrawn(path, manifest, sources, number):
    """Open readers of patches that are planned anew, of whole images.

    Args:
        path, manifest, sources: As for `open_readers`; the images are kept as
            "windows".
        number: Number of the draw.

    Returns:
        As `open_readers`.
    """
    plans, labels = [], []
    for source in sources:
        objects = _read_objects(path, source)
        boxes, classes = objects[:, :4], objects[:, 4].astype(int)
        plan = plan_patches(
            source.name,
            source.shards["windows"].shape[1:3],
            boxes,
            manifest.patch_size,
            manifest.parameters,
            number,
        )
        plans.append(plan)
        labels.append(label_planned(boxes, classes, plan, manifest.patch_size))
    readers = {
        "windows": WindowReader(
            *_place("windows", path, sources),
            [[patch.origin for patch in plan] for plan in plans],
            [[patch.augmentation for patch in plan] for plan in plans],
            manifest.patch_size,
            manifest.parameters["value_range"],
        )
    }
    for kind, arrays in zip(
        PADDED_KINDS, zip(*labels, strict=True), strict=True
    ):
        most = max(_most(kind, manifest), *(a.shape[1] for a in arrays))
        readers[kind] = MemoryReader(arrays, most)
    return readers


def _place(kind, path, sources):
    """Give folder and records of a kind's reader."""
    return path.parent, [source.shards[kind] for source in sources]


def _most(kind, manifest):
    """Give the largest number in a patch of any image.

    So subsets of the images have batches of one shape.
    """
    return max(source.shards[kind].shape[1] for source in manifest.sources)


def _read_objects(path, source):
    """Read float64 `(n, 5)` of an image: x1, y1, x2, y2, label."""
    record = source.shards["objects"]
    objects = read_shard(path.parent / SHARD_FOLDER, record)[0]
    return objects[objects[:, 4] >= 0]


def _check_alike(records, names, path):
    formats = {
        (record.shape[1:], record.dtype): name
        for record, name in zip(records, names, strict=True)
    }
    if len(formats) > 1:
        (first, name), (second, other) = list(formats.items())[:2]
        raise ValueError(
            f"{path}: patches of {len(formats)} formats do not make a batch: "
            f"{name} has {first}; {other} has {second}"
        )


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
        patches = np.empty((len(rows), math.prod(self._shape)), self._dtype)
        for target, s, r in zip(patches, sources, rows, strict=True):
            self._pool.read_patch(s, r, target)
        return patches.reshape(-1, *self._shape)


class PaddedReader:
    """Reads labels of which each source has another number per patch.

    Args:
        directory, records: As for `StackedReader`.
        most: Number of labels that all patches are padded to.
    """

    def __init__(self, directory, records, most):
        self._pool = ShardPool(directory / SHARD_FOLDER, records)
        self._records = records
        self._shape = (most, *records[0].shape[2:])
        self._dtype = records[0].dtype

    def read(self, sources, rows):
        """Copy labels, one row of them per pair of source and row."""
        labels = np.full((len(rows), *self._shape), NO_OBJECT, self._dtype)
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


class WindowReader:
    """Cuts patches out of whole images, and augments them, as planned.

    Args:
        directory, records: As for `StackedReader`; a shard holds one
            whole image.
        origins: Pairs `(y, x)` per patch, per source.
        augmentations: What is done to each patch, per source.
        patch_size: `(height, width)` in pixels.
        value_range: `(black, white)`.
    """

    def __init__(
        self,
        directory,
        records,
        origins,
        augmentations,
        patch_size,
        value_range,
    ):
        self._pool = ShardPool(directory / SHARD_FOLDER, records)
        self._records = records
        self._origins = origins
        self._augmentations = augmentations
        self._patch_size = patch_size
        self._value_range = value_range

    def read(self, sources, rows):
        """Cut patches, one per pair of source and row, into one array."""
        first = self._records[0]
        shape = (len(rows), *self._patch_size, first.shape[3])
        patches = np.empty(shape, first.dtype)
        for target, s, r in zip(patches, sources, rows, strict=True):
            y, x, height, width = visible_window(
                self._records[s].shape[1:3],
                self._origins[s][r],
                self._patch_size,
            )
            self._pool.read_window(s, (y, x), target[:height, :width])
            complete_patch(
                target,
                (height, width),
                self._augmentations[s][r],
                self._value_range,
            )
        return patches
