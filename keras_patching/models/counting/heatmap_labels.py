"""The labels of object counting, as `data.patched_dataset.Labels`."""

import dataclasses
import functools
import math

import numpy as np

from keras_patching._checks import check_positive
from keras_patching.data.cache.records import facts_of
from keras_patching.data.cache.shard_builder import ShardPlan
from keras_patching.data.images.label_images import decode_label
from keras_patching.data.images.resampling import resampled
from keras_patching.data.labels.density_maps import MAP_VERSION, density_map
from keras_patching.data.labels.doubts import (
    doubt_corner,
    doubt_counts,
    doubt_density,
    doubt_duplicates,
)
from keras_patching.data.labels.pairing import pair_faults
from keras_patching.data.labels.point_labels import (
    check_points_inside,
    count_classes,
    points_without_data,
)
from keras_patching.data.labels.summaries import summarize_objects
from keras_patching.data.patched_dataset import tile_source


class DrawnHeatmaps:
    """Heatmaps that are drawn from points, and the points of each patch.

    Args:
        data: `PointData`.
        sigma: Standard deviation of the Gaussians in pixels.
        reading: JSON-able dict of how the labels were read.
    """

    def __init__(self, data, sigma, reading):
        self.path = data.path
        self.sigma = check_positive(sigma, "density_map_sigma")
        self.parameters = {"density_map_sigma": self.sigma, **reading}
        self._labels = data.labels
        self._notes = data.notes

    def faults(self, headers, cache):
        faults = check_points_inside(self._labels, headers)
        return faults + points_without_data(self._labels, headers)

    def resize(self, scales):
        self._labels = {
            image: dataclasses.replace(
                each, points=scales[image].points(each.points)
            )
            for image, each in self._labels.items()
        }

    def source(self, image, header, pixels):
        shards = functools.partial(self._shards, self._labels[image].points)
        return tile_source(image, header, pixels, shards)

    def summarize(self, records, headers):
        counts = [len(each.points) for each in self._labels.values()]
        summary = summarize_objects(counts, count_classes(self._labels))
        return "\n".join([*self._notes, summary])

    def doubts(self, records, headers):
        points = [self._labels[path].points for path in headers]
        sizes = [header.size for header in headers.values()]
        return (
            doubt_counts(list(map(len, points)))
            + doubt_corner(points, sizes)
            + doubt_duplicates(points)
        )

    def _shards(self, points, shards):
        grid = shards.grid
        size = [int(length) for length in grid.image_size]
        content = [size, points.tolist()]
        owned = points_per_patch(points, grid)
        return [
            shards.plan(
                "heatmaps",
                np.dtype("float32"),
                [MAP_VERSION, self.sigma, *content],
                functools.partial(
                    density_map, points, grid.image_size, self.sigma
                ),
            ),
            ShardPlan(
                kind="points",
                shape=owned.shape,
                dtype=owned.dtype,
                parameters=[grid.patch_size, *content],
                make=functools.partial(np.copy, owned),
                facts=_count_points,
            ),
        ]


class ReadyHeatmaps:
    """Heatmaps that are files.

    Args:
        pairs: Pairs of paths, image and heatmap.
        folder: Folder of the heatmaps.
        unit: Objects per pixel that a value of 1 in the files stands for.
            `None` is 1 for floats, and refuses integers.
    """

    def __init__(self, pairs, folder, unit):
        self.path = folder
        self._takes_integers = unit is not None
        self.unit = check_positive(
            1.0 if unit is None else unit, "heatmap_unit"
        )
        self._paths = dict(pairs)
        self._is_resized = False

    @property
    def parameters(self):
        return {"heatmap_unit": self.unit}

    def faults(self, headers, cache):
        faults = pair_faults(self._paths.items(), headers, cache, "heatmap")
        if faults or self._takes_integers:
            return faults
        integers = [
            path
            for path in self._paths.values()
            if cache.header(path).dtype.kind in "iu"
        ]
        return _describe_integers(integers, cache)

    def summarize(self, records, headers):
        return summarize_objects(_sum_objects(records))

    def doubts(self, records, headers):
        total = sum(_sum_objects(records))
        pixels = sum(math.prod(header.size) for header in headers.values())
        return doubt_counts([total]) + doubt_density(total, pixels, self.unit)

    def resize(self, scales):
        self._is_resized = True

    def source(self, image, header, pixels):
        shards = functools.partial(self._shards, self._paths[image])
        return tile_source(image, header, pixels, shards)

    def _shards(self, path, shards):
        size = shards.grid.image_size
        plan = shards.plan(
            "heatmaps",
            np.dtype("float32"),
            [self.unit, *([size] if self._is_resized else [])],
            functools.partial(_read, path=path, size=size, unit=self.unit),
            path=path,
            facts=_sum_heatmaps,
        )
        return [plan]


def points_per_patch(points, grid):
    """Give each point to the patch that owns it, the one that its pixel is in.

    Args:
        points: Array `(n, 2)` of `(y, x)` in pixels of the image.
        grid: `PatchGrid` without overlap.

    Returns:
        float32 `(patches, m, 2)`: `(y, x)` in pixels of the patch, padded
        with -1 up to the largest number of points in a patch, at least 1.
    """
    tile = (points // grid.patch_size).astype(int)
    patch = tile[:, 0] * grid.cols + tile[:, 1]
    counts = np.bincount(patch, minlength=grid.num_patches)
    owned = np.full((grid.num_patches, max(1, counts.max()), 2), -1, "float32")
    order = np.argsort(patch, kind="stable")
    place = np.arange(len(points)) - (np.cumsum(counts) - counts)[patch[order]]
    inside = (points - tile * grid.patch_size).astype("float32")
    # float32 may round a point up to the next patch.
    last = np.nextafter(np.float32(grid.patch_size), np.float32(0))
    owned[patch[order], place] = np.minimum(inside, last)[order]
    return owned


def _read(data, path, size, unit):
    heatmap = _as_heatmap(decode_label(data, path, "heatmap"), path)
    # As many objects, also where the image is read at another size.
    return resampled(heatmap * np.float32(unit), size, "sum")


def _as_heatmap(heatmap, path):
    """Check that pixels can be a heatmap; give them as float32."""
    lowest = heatmap.min()
    if not (lowest >= 0 and heatmap.max() < np.inf):  # also for NaN
        raise ValueError(
            f"{path}: a heatmap must hold numbers from 0. Found values from "
            f"{lowest} to {heatmap.max()}. Replace those that are negative or "
            "not finite."
        )
    return heatmap.astype("float32")


def _describe_integers(paths, cache):
    """Say which units integers may have, in a list of one fault."""
    if not paths:
        return []
    dtype = cache.header(paths[0]).dtype
    highest = np.iinfo(dtype).max
    return [
        f"{paths[0]}: holds integers ({dtype}), as do {len(paths) - 1} more "
        "heatmaps, and nothing says what they stand for. Pass heatmap_unit=1 "
        "if they are objects per pixel, or objects per pixel of a value of 1: "
        f"heatmap_unit=1 / {highest} if {highest} stands for one object per "
        "pixel. The sum of a file times the unit is its number of objects. If "
        'each object is a dot on black, pass dots="pixels" or dots="blobs".'
    ]


def _sum_objects(records):
    return [facts_of([record], "objects").sum() for record in records]


def _count_points(points):
    return {"objects": (points[..., 0] >= 0).sum(axis=1).tolist()}


def _sum_heatmaps(heatmaps):
    sums = heatmaps.sum(axis=(1, 2), dtype="float64")
    return {"objects": np.round(sums, 4).tolist()}
