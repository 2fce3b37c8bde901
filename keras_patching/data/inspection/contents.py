"""Tells what a patch cache holds, from its manifest."""

import pathlib

import numpy as np

from keras_patching.data.cache.opening import (
    SHARD_FOLDER,
    list_manifests,
    load_cache,
)
from keras_patching.data.cache.records import facts_of
from keras_patching.data.cache.shards import read_shard
from keras_patching.data.inspection.named_patches import (
    patch_names,
    read_patches,
)


def list_caches(path):
    """Give the manifests that a path stands for.

    Args:
        path: A manifest, or a folder of patch caches.

    Returns:
        List of `pathlib.Path`, sorted by name.

    Raises:
        FileNotFoundError: If there is no such path, or no manifest in it.
    """
    path = pathlib.Path(path)
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise FileNotFoundError(
            f"{path}: no such file or folder. Expected the manifest of a "
            "patch cache, or a folder of them, such as images_patches."
        )
    manifests = list_manifests(path)
    if not manifests:
        raise FileNotFoundError(
            f"{path}: holds no manifest, so no complete patch cache. Pass the "
            "folder of a patch cache, such as images_patches, or make one "
            "with `keras-patching patch`."
        )
    return manifests


def inspect(path):
    """Read all caches that a path stands for.

    Args:
        path: A manifest, or a folder of patch caches.

    Returns:
        List of `CacheContents`, and a list of what is wrong with the others.

    Raises:
        FileNotFoundError: If there is no such path, or no manifest in it.
    """
    caches, faults = [], []
    for manifest_path in list_caches(path):
        try:
            caches.append(CacheContents(manifest_path))
        except ValueError as error:
            faults.append(str(error))
    return caches, faults


class CacheContents:
    """What one patch cache holds.

    Patches are numbered through all images, in the manifest's order.

    Args:
        path: A manifest, or a folder that holds only one. It is checked as
            `PatchingSequence` checks it.

    Attributes:
        manifest_path: `pathlib.Path` of the manifest.
        manifest: The `Manifest`.
        shard_bytes: Dict from a shard's file name to its size in bytes.
        names: Name of each patch: `leaf_0001_y0128_x0256` is the second patch
            of `leaf.png`, its top-left corner in row 128 and column 256.
        stages: Stage of each patch, as in `Source`.

    Raises:
        FileNotFoundError: If there is no manifest.
        ValueError: If manifest or shards are damaged; names the files.

    Example:

    >>> contents = CacheContents("field/images_patches")
    >>> contents.manifest.task, contents.objects is None
    ('segmentation', True)
    """

    def __init__(self, path):
        self.manifest_path, self.manifest = load_cache(path)
        self.shard_bytes = {
            shard.file: shard.bytes for shard in self.manifest.shards
        }
        self.names = [
            name
            for source in self.manifest.sources
            for name in patch_names(source)
        ]
        self.stages = [
            stage for source in self.manifest.sources for stage in source.stages
        ]
        self._places = [
            (source, row)
            for source in self.manifest.sources
            for row in range(len(source.origins))
        ]

    @property
    def image_pixels(self):
        """Pixels per patch that lie in its image, int array `(patches,)`.

        The others are padding.
        """
        inside = [
            _pixels_inside(
                self.manifest.image_size(source),
                source.origins,
                self.manifest.patch_size,
            )
            for source in self.manifest.sources
        ]
        return np.concatenate(inside)

    @property
    def class_pixels(self):
        """Pixels per class without padding, int array `(patches, classes)`.

        `None` where labels have no classes.
        """
        pixels = facts_of(self.manifest.sources, "pixels")
        if pixels is None:
            return None
        padded_with = self.manifest.parameters.get("ignore_value") or 0
        if padded_with < pixels.shape[1]:
            height, width = self.manifest.patch_size
            pixels[:, padded_with] -= height * width - self.image_pixels
        return pixels

    @property
    def objects(self):
        """Objects per patch, numbers `(patches,)`.

        Those of points are integers, each in the patch that owns it; sums of
        ready heatmaps are not. Boxes are in as many patches as hold their
        center. `None` where labels are not of objects.
        """
        return facts_of(self.manifest.sources, "objects")

    @property
    def class_boxes(self):
        """Boxes per class, int array `(patches, classes)`.

        `None` where labels are no boxes.
        """
        labels = self._read_shards("box_labels")
        return labels and np.concatenate(
            [self._count_labels(each) for each in labels]
        )

    @property
    def class_objects(self):
        """Objects of the images per class, int array `(classes,)`.

        Each is counted once, in however many patches it is. `None` where
        labels are no boxes.
        """
        objects = self._read_shards("objects")
        return objects and sum(
            self._count_labels(each[0, :, 4]) for each in objects
        )

    def _read_shards(self, kind):
        """Read the shards of a kind, an array per image; `None` without."""
        if kind not in self.manifest.kinds:
            return None
        return [
            read_shard(
                self.manifest_path.parent / SHARD_FOLDER, source.shards[kind]
            )
            for source in self.manifest.sources
        ]

    def _count_labels(self, labels):
        """Count each class along the last axis; others, as -1, do not count."""
        classes = np.arange(len(self.manifest.parameters["class_names"]))
        return (labels[..., None] == classes).sum(axis=-2)

    def read_patch(self, index):
        """Give the arrays of a patch.

        Args:
            index: Number of the patch.

        Returns:
            Dict of arrays, those that the cache has, in the shards' dtypes:
            "images" `(height, width, channels)`, "masks" and "heatmaps"
            `(height, width)`, "points" `(n, 2)` of `(y, x)`, "boxes" `(n, 4)`
            of x1, y1, x2, y2, all in pixels of the patch, and their "labels"
            `(n,)`.
        """
        source, row = self._places[index]
        (patch,) = read_patches(
            self.manifest_path, self.manifest, source, [row]
        )
        return patch


def _pixels_inside(image_size, origins, patch_size):
    # An image without objects may have no patches.
    inside = np.asarray(image_size) - np.asarray(origins, int).reshape(-1, 2)
    return np.clip(inside, 0, patch_size).prod(axis=1)
