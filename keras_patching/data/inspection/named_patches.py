"""Patches of a cache one by one, with names: for people and other tools."""

import pathlib

import numpy as np

from keras_patching.data.cache.opening import SHARD_FOLDER
from keras_patching.data.feeding.shard_pool import ShardPool
from keras_patching.data.patches.planned_patches import (
    complete_patch,
    visible_window,
)


def patch_names(source):
    """Name the patches of a `SourceRecord`: image, number, and origin.

    Example:
    >>> patch_names(source)[1]
    'leaf_0001_y0128_x0256'
    """
    stem = "_".join(pathlib.PurePosixPath(source.name).with_suffix("").parts)
    digits = max(4, len(str(len(source.origins) - 1)))
    return [
        f"{stem}_{number:0{digits}}_y{y:04}_x{x:04}"
        for number, (y, x) in enumerate(source.origins)
    ]


def read_patches(path, manifest, source, rows=None):
    """Read patches of one image, one after the other.

    Args:
        path: `pathlib.Path` of the manifest.
        manifest: The `Manifest`.
        source: One of its `SourceRecord`.
        rows: Numbers of the patches within the image; `None` is all.

    Yields:
        Per patch a dict of arrays, those that the cache has: "images"
        `(height, width, channels)`, "masks" and "heatmaps" `(height, width)`,
        "points" `(n, 2)` of `(y, x)`, "boxes" `(n, 4)` of x1, y1, x2, y2, all
        in pixels of the patch, and their "labels" `(n,)`.
    """
    shards = {
        kind: ShardPool(path.parent / SHARD_FOLDER, [record])
        for kind, record in source.shards.items()
        if kind != "objects"  # of the whole image
    }
    windows = shards.pop("windows", None)
    for row in range(len(source.origins)) if rows is None else rows:
        patch = {kind: _read(shard, row) for kind, shard in shards.items()}
        if windows is not None:
            patch["images"] = _cut(windows, manifest, source, row)
        yield _without_padding(patch)


def _read(shard, row):
    (record,) = shard.records
    array = np.empty(record.shape[1:], record.dtype)
    shard.read_patch(0, row, array.reshape(-1))
    return array


def _cut(shard, manifest, source, row):
    """Cut a patch out of the whole image."""
    (record,) = shard.records
    patch = np.empty((*manifest.patch_size, record.shape[3]), record.dtype)
    y, x, height, width = visible_window(
        record.shape[1:3], source.origins[row], manifest.patch_size
    )
    shard.read_window(0, (y, x), patch[:height, :width])
    complete_patch(
        patch,
        (height, width),
        source.augmentations[row],
        manifest.parameters["value_range"],
    )
    return patch


def _without_padding(patch):
    """Take away what fills up points and boxes, and call labels by a name."""
    if "points" in patch:
        patch["points"] = patch["points"][patch["points"][:, 0] >= 0]
    if "boxes" in patch:
        labels = patch.pop("box_labels")
        patch["boxes"] = patch["boxes"][labels >= 0]
        patch["labels"] = labels[labels >= 0]
    return patch
