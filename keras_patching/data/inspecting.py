"""Tells what a patch cache holds, from its manifest."""

import json
import pathlib

import numpy as np

from keras_patching.data.manifest import (
    SHARD_FOLDER,
    list_manifests,
    load_cache,
)

# A patch has objects from half a one on, as for the foreground of a
# `PatchingSequence`: what a Gaussian beyond the seam leaves here is none.
HAS_OBJECTS = 0.5


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
    for manifest in list_caches(path):
        try:
            caches.append(CacheContents(manifest))
        except ValueError as error:
            faults.append(str(error))
    return caches, faults


def describe_disk_use(caches):
    """Say what caches of one folder take together, shared shards once."""
    shards = {}
    for cache in caches:
        shards.update(cache.shard_bytes)
    return (
        f"{len(caches)} caches, {sum(shards.values()):,} bytes on disk; shards "
        "that they share are counted once."
    )


class CacheContents:
    """What one patch cache holds.

    Patches are numbered through all images, in the manifest's order.

    Args:
        path: A manifest, or a folder that holds only one. It is checked as
            `PatchingSequence` checks it.

    Attributes:
        path: `pathlib.Path` of the manifest.
        manifest: The `Manifest`.
        shard_bytes: Dict from a shard's file name to its size in bytes.
        names: Name of each patch: `leaf_0001_y0128_x0256` is the second patch
            of `leaf.png`, its top-left corner in row 128 and column 256.

    Raises:
        FileNotFoundError: If there is no manifest.
        ValueError: If manifest or shards are damaged; names the files.

    Example:
    >>> contents = CacheContents("field/images_patches")
    >>> print(contents.describe())
    """

    def __init__(self, path):
        self.path, self.manifest = load_cache(path)
        self.shard_bytes = {
            shard.file: shard.bytes for shard in self.manifest.shards
        }
        self.names = [
            name
            for source in self.manifest.sources
            for name in patch_names(source)
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
                self.manifest.files[source.name].image_header.size,
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
        pixels = self._facts("pixels")
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
        ready heatmaps are not. `None` where labels are not of objects.
        """
        return self._facts("objects")

    def _facts(self, name):
        facts = [
            shard.facts[name]
            for shard in self.manifest.shards
            if name in shard.facts
        ]
        return np.concatenate(facts) if facts else None

    def read_patch(self, index):
        """Give the arrays of a patch.

        Args:
            index: Number of the patch.

        Returns:
            Dict from kind ("images", "masks", "heatmaps", "points") to an
            array of the shard's dtype: `(height, width, channels)` for images,
            `(n, 2)` of `(y, x)` in pixels of the patch for points.
        """
        source, row = self._places[index]
        patch = {
            kind: np.array(open_shard(self.path, shard)[row])
            for kind, shard in source.shards.items()
        }
        if "points" in patch:
            patch["points"] = without_padding(patch["points"])
        return patch

    def describe(self):
        """Say in lines of text what the cache holds."""
        manifest = self.manifest
        height, width = manifest.patch_size
        image_pixels = self.image_pixels
        padding = 1 - image_pixels.mean() / (height * width)
        facts = {
            "task": manifest.task,
            "patch size": f"{height} x {width}",
            **{
                name: json.dumps(value)
                for name, value in manifest.parameters.items()
            },
            "labels": _tell_labels(manifest),
            "images": f"{len(manifest.sources):,}",
            "patches": f"{manifest.num_patches:,}",
            "on disk": f"{sum(self.shard_bytes.values()):,} bytes",
            "padding": f"{padding:.1%} of the pixels, not counted below",
        }
        if self.objects is not None:
            facts.update(_tell_objects(self.objects))
        longest = max(map(len, facts))
        lines = [f"  {name:<{longest + 2}}{facts[name]}" for name in facts]
        if self.class_pixels is not None:
            lines += ["", *_class_table(self.class_pixels, image_pixels)]
        return "\n".join([str(self.path), *lines])


def _pixels_inside(image_size, origins, patch_size):
    inside = np.asarray(image_size) - np.asarray(origins)
    return np.clip(inside, 0, patch_size).prod(axis=1)


def _tell_labels(manifest):
    kinds = ", ".join(kind for kind in manifest.kinds if kind != "images")
    folder = manifest.label_folder
    return (f"{kinds} from {folder}" if folder else kinds) or "none"


def _tell_objects(objects):
    empty = (objects < HAS_OBJECTS).sum()
    return {
        "objects": _rounded(objects.sum()),
        "per patch": f"{_rounded(objects.min())} to "
        f"{_rounded(objects.max())}, {objects.mean():.4g} on average",
        "empty patches": f"{empty:,} ({empty / len(objects):.1%})",
    }


def _rounded(number):
    return f"{number:,}" if isinstance(number, np.integer) else f"{number:,.2f}"


def _class_table(pixels, image_pixels):
    columns = {str(index): counts for index, counts in enumerate(pixels.T)}
    unlabelled = image_pixels - pixels.sum(axis=1)
    if unlabelled.any():
        columns["unlabelled"] = unlabelled
    yield f"  {'class':<14}{'pixels':>16}{'fraction':>12}{'in patches':>12}"
    for name, counts in columns.items():
        fraction = counts.sum() / image_pixels.sum()
        yield (
            f"  {name:<14}{counts.sum():>16,}{fraction:>12.6f}"
            f"{(counts > 0).sum():>12,}"
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


def without_padding(points):
    """Give the points of a patch without the -1 that pads them.

    Args:
        points: `(m, 2)` of `(y, x)` in pixels of the patch.
    """
    return points[points[:, 0] >= 0]


def open_shard(manifest_path, record):
    """Map the array of a shard, patches first, without reading it."""
    path = manifest_path.parent / SHARD_FOLDER / record.file
    return np.load(path, mmap_mode="r", allow_pickle=False)


def pick_patches(pixels, count):
    """Pick patches that together show every class.

    Each class gets an equal part, the rarest first. Its patches are spread
    evenly over the data set, and are of the half that holds most of it, so
    that it can be seen.

    Args:
        pixels: Integers `(patches, classes)`, pixels of each class.
        count: Number of patches to pick; fewer where there are fewer, more
            where there are more classes.

    Returns:
        Sorted list of patch numbers, the same for the same pixels.
    """
    pixels = np.asarray(pixels)
    num_patches = (pixels > 0).sum(axis=0)
    classes = [c for c in np.argsort(num_patches, kind="stable")]
    classes = [c for c in classes if num_patches[c]]
    picked = []
    for position, c in enumerate(classes):
        share = max(1, (count - len(picked)) // (len(classes) - position))
        holders = np.flatnonzero(pixels[:, c])
        most = pixels[holders, c] >= np.median(pixels[holders, c])
        picked += _spread(np.setdiff1d(holders[most], picked), share)
    return sorted(picked)


def _spread(items, count):
    if count >= len(items):
        return items.tolist()
    places = np.linspace(0, len(items) - 1, count).round().astype(int)
    return items[places].tolist()
