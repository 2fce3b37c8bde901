"""Which windows of whole images hold a wanted class, or an object."""

import numpy as np

from keras_patching.data.cache.opening import SHARD_FOLDER
from keras_patching.data.cache.records import facts_of
from keras_patching.data.cache.shards import read_shard
from keras_patching.data.feeding.foreground import (
    HAS_OBJECTS,
    wanted_classes,
)


def open_contents(manifest_path, manifest, sources, readers, classes):
    """Give what tells which windows hold what matters.

    It says of a tile what `has_foreground` says of it.

    Args:
        manifest_path: `pathlib.Path` of the manifest.
        manifest: The `Manifest` of a cache of `store="images"`.
        sources: Those of its `Source` that are read.
        readers: Dict from key to `WindowReader`.
        classes: The wanted classes of masks; `None` is all but class 0.

    Returns:
        Picklable function from indices of sources `(n,)` and origins `(n, 2)`
        of windows of the size of a patch to a bool array `(n,)`.
    """
    size = manifest.patch_size
    if "masks" in readers:
        num_classes = facts_of(sources, "pixels").shape[1]
        ignored = manifest.parameters.get("ignore_value")
        wanted = wanted_classes(num_classes, classes, ignored)
        return _ClassContents(readers["masks"], size, wanted)
    if "points" in manifest.kinds:
        folder = manifest_path.parent / SHARD_FOLDER
        points = [_read_points(folder, source) for source in sources]
        return _PointContents(points, size)
    return _SumContents(readers["heatmaps"], size)


def _read_points(folder, source):
    """Give float64 `(n, 2)`: y and x of the points of a whole image."""
    points = read_shard(folder, source.shards["points"]).astype("float64")
    is_point = points[..., 0] >= 0
    origins = np.reshape(source.origins, (-1, 1, 2))
    return (points + origins)[is_point]


class _ClassContents:
    def __init__(self, reader, size, classes):
        self._reader, self._size, self._classes = reader, size, classes

    def __call__(self, sources, origins):
        return np.array(
            [
                self._holds(self._reader.cut(s, (*origin, *self._size)))
                for s, origin in zip(sources, origins.tolist(), strict=True)
            ],
            bool,
        )

    def _holds(self, mask):
        return any((mask == each).any() for each in self._classes)


class _SumContents:
    def __init__(self, reader, size):
        self._reader, self._size = reader, size

    def __call__(self, sources, origins):
        sums = [
            self._reader.cut(s, (*origin, *self._size)).sum(dtype="float64")
            for s, origin in zip(sources, origins.tolist(), strict=True)
        ]
        return np.array(sums) >= HAS_OBJECTS


class _PointContents:
    def __init__(self, points, size):
        self._points, self._size = points, size

    def __call__(self, sources, origins):
        return np.array(
            [
                self._is_inside(self._points[s], origin).any()
                for s, origin in zip(sources, origins, strict=True)
            ],
            bool,
        )

    def _is_inside(self, points, origin):
        places = np.floor(points) - origin
        return ((places >= 0) & (places < self._size)).all(axis=1)
