"""The labels of segmentation, as `data.patched_dataset.Labels`."""

import functools
import math

import numpy as np

from keras_patching._checks import check_integer, check_optional
from keras_patching.data.cache.shard_builder import ShardPlan
from keras_patching.data.images.label_images import decode_mask
from keras_patching.data.labels.doubts import doubt_classes
from keras_patching.data.labels.masks import as_class_ids, count_pixels
from keras_patching.data.labels.pairing import pair_faults
from keras_patching.data.labels.summaries import summarize_pixels
from keras_patching.data.patched_dataset import tile_source
from keras_patching.data.patches.tiling import cut_patches


class MaskLabels:
    """Masks that are files.

    Args:
        pairs: Pairs of paths, image and mask.
        folder: Folder of the masks.
        num_classes: Number of classes, background included.
        ignore_value: Value of unlabelled pixels, or `None`.
    """

    def __init__(self, pairs, folder, num_classes, ignore_value):
        self.path = folder
        self.num_classes = check_integer(num_classes, "num_classes", 2)
        self.ignore_value = check_optional(ignore_value, "ignore_value", 0)
        self._paths = dict(pairs)

    @property
    def parameters(self):
        return {
            "num_classes": self.num_classes,
            "ignore_value": self.ignore_value,
        }

    def faults(self, headers, cache):
        return pair_faults(self._paths.items(), headers, cache, "mask")

    def source(self, image, header, pixels):
        shards = functools.partial(self._shards, self._paths[image])
        return tile_source(image, header, pixels, shards)

    def summarize(self, records, headers):
        return summarize_pixels(
            len(records), *self._count_classes(records, headers)
        )

    def doubts(self, records, headers):
        pixels, _ = self._count_classes(records, headers)
        return doubt_classes(pixels, self.ignore_value)

    def _count_classes(self, records, headers):
        """Count the pixels of each class, and those without, padding apart."""
        pixels = sum(
            np.sum(record.shards["masks"].facts["pixels"], axis=0)
            for record in records
        )
        inside = sum(math.prod(header.size) for header in headers.values())
        if (self.ignore_value or 0) < self.num_classes:
            cut = sum(math.prod(r.shards["masks"].shape) for r in records)
            pixels[self.ignore_value or 0] -= cut - inside
        if self.ignore_value is not None and self.ignore_value < len(pixels):
            pixels[self.ignore_value] = 0
        return pixels.tolist(), inside - int(pixels.sum())

    def _shards(self, path, grid):
        classes = (self.num_classes, self.ignore_value)
        highest = max(self.num_classes - 1, self.ignore_value or 0)
        dtype = np.min_scalar_type(highest)
        plan = ShardPlan(
            kind="masks",
            shape=(grid.num_patches, *grid.patch_size),
            dtype=dtype,
            parameters=[grid.patch_size, *classes],
            path=path,
            make=functools.partial(
                _cut_mask, path=path, grid=grid, classes=classes, dtype=dtype
            ),
            facts=functools.partial(count_pixels, num_classes=self.num_classes),
        )
        return [plan]


def _cut_mask(data, path, grid, classes, dtype):
    mask = as_class_ids(decode_mask(data, path), path, *classes)
    _, ignore_value = classes
    return cut_patches(
        mask.astype(dtype, copy=False),
        grid.origins,
        grid.patch_size,
        pad_value=0 if ignore_value is None else ignore_value,
    )
