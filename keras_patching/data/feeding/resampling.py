"""Plans patches of whole images anew, other ones of the same objects."""

import numpy as np

from keras_patching.data.cache.opening import SHARD_FOLDER
from keras_patching.data.cache.shards import read_shard
from keras_patching.data.feeding.readers import MemoryReader, most_rows
from keras_patching.data.feeding.window_readers import (
    PlannedReader,
    open_window_reader,
)
from keras_patching.data.patches.planned_patches import (
    NO_OBJECT,
    label_planned,
    plan_patches,
)

# What is needed: the pixels, and all boxes with their labels.
_WHOLE, _OBJECTS = "whole_images", "objects"


def check_resampling(manifest_path, manifest):
    """Refuse a cache that no other patches can be drawn from.

    Raises:
        ValueError: If it does not keep whole images and their objects.
    """
    if not {_WHOLE, _OBJECTS} <= set(manifest.kinds):
        raise ValueError(
            f"{manifest_path}: does not hold whole images and their boxes, "
            "which drawing other patches needs. Load a detection data set with "
            'store="images". (Masks and heatmaps that are loaded so are cut at '
            "other places by random_crops=True.)"
        )


def open_resampled(manifest_path, manifest, sources, number):
    """Open readers of patches that are planned anew, of whole images.

    Args:
        manifest_path: `pathlib.Path` of the manifest.
        manifest: The `Manifest`, see `check_resampling`.
        sources: Those of its `Source` that are read.
        number: Number of the draw; 0 is what the cache holds.

    Returns:
        Readers as of `readers.open_readers`; a bool array `(patches,)`: which
        of the patches hold an object; and a list with the origins of the
        patches of each source.
    """
    plans, labels = [], []
    for source in sources:
        objects = _read_objects(manifest_path, source)
        boxes, classes = objects[:, :4], objects[:, 4].astype(int)
        plan = plan_patches(
            source.name,
            manifest.image_size(source),
            boxes,
            manifest.patch_size,
            manifest.parameters,
            number,
        )
        plans.append(plan)
        labels.append(label_planned(boxes, classes, plan, manifest.patch_size))
    boxes, classes = zip(*labels, strict=True)
    has_objects = [(each != NO_OBJECT).any(axis=1) for each in classes]
    origins = [[patch.origin for patch in plan] for plan in plans]
    readers = {
        "images": PlannedReader(
            open_window_reader(_WHOLE, manifest_path, manifest, sources),
            origins,
            [[patch.augmentation for patch in plan] for plan in plans],
            manifest.patch_size,
            manifest.parameters["value_range"],
        ),
        "boxes": _memory_reader("boxes", manifest, boxes),
        "labels": _memory_reader("box_labels", manifest, classes),
    }
    return readers, np.concatenate(has_objects), origins


def _memory_reader(kind, manifest, arrays):
    rows = (array.shape[1] for array in arrays)
    return MemoryReader(arrays, max(most_rows(kind, manifest), *rows))


def _read_objects(manifest_path, source):
    """Read float64 `(n, 5)` of an image: x1, y1, x2, y2, label."""
    record = source.shards[_OBJECTS]
    objects = read_shard(manifest_path.parent / SHARD_FOLDER, record)[0]
    return objects[objects[:, 4] >= 0]
