"""The labels of object counting, as `data.patched_dataset.Labels`."""

import functools

import numpy as np

from keras_patching.data.density_maps import density_map
from keras_patching.data.image_io import decode_image
from keras_patching.data.pairing import pair_faults
from keras_patching.data.patched_dataset import tile_source
from keras_patching.data.point_labels import check_points_inside
from keras_patching.data.shard_builder import ShardPlan
from keras_patching.data.tiling import cut_patches


class DrawnHeatmaps:
    """Heatmaps that are drawn from points, and the points of each patch.

    Args:
        labels: Dict from image path to `PointLabels`.
        sigma: Standard deviation of the Gaussians in pixels.
    """

    folder = None

    def __init__(self, labels, sigma):
        self.sigma = check_positive(sigma, "density_map_sigma")
        self._labels = labels

    @property
    def parameters(self):
        return {"density_map_sigma": self.sigma}

    def faults(self, headers, cache):
        sizes = {path: header.size for path, header in headers.items()}
        return check_points_inside(self._labels, sizes)

    def source(self, image, header, pixels):
        shards = functools.partial(self._shards, self._labels[image].points)
        return tile_source(image, header, pixels, shards)

    def _shards(self, points, grid):
        size = [int(length) for length in grid.image_size]
        content = [grid.patch_size, size, points.tolist()]
        shape = (grid.num_patches, *grid.patch_size)
        owned = points_per_patch(points, grid)
        return [
            ShardPlan(
                kind="heatmaps",
                shape=shape,
                dtype=np.dtype("float32"),
                parameters=[self.sigma, *content],
                make=functools.partial(
                    _draw, points=points, sigma=self.sigma, grid=grid
                ),
            ),
            ShardPlan(
                kind="points",
                shape=owned.shape,
                dtype=owned.dtype,
                parameters=content,
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
    """

    def __init__(self, pairs, folder, unit):
        self.folder = folder
        self.unit = check_positive(unit, "heatmap_unit")
        self._paths = dict(pairs)

    @property
    def parameters(self):
        return {"heatmap_unit": self.unit}

    def faults(self, headers, cache):
        return pair_faults(self._paths.items(), headers, cache, "heatmap")

    def source(self, image, header, pixels):
        shards = functools.partial(self._shards, self._paths[image])
        return tile_source(image, header, pixels, shards)

    def _shards(self, path, grid):
        plan = ShardPlan(
            kind="heatmaps",
            shape=(grid.num_patches, *grid.patch_size),
            dtype=np.dtype("float32"),
            parameters=[grid.patch_size, self.unit],
            path=path,
            make=functools.partial(_cut, path=path, grid=grid, unit=self.unit),
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


def check_positive(number, name):
    """Return a number as a float, or refuse what is not positive."""
    is_number = isinstance(number, (int, float, np.number))
    if not is_number or isinstance(number, bool) or not 0 < number < np.inf:
        raise ValueError(
            f"`{name}` must be a positive number. Received: {name}={number!r}"
        )
    return float(number)


def _draw(points, sigma, grid):
    heatmap = density_map(points, grid.image_size, sigma)
    return cut_patches(heatmap, grid.origins, grid.patch_size, pad_value=0)


def _cut(data, path, grid, unit):
    heatmap = _as_heatmap(decode_image(data, path), path)
    return cut_patches(
        heatmap * np.float32(unit), grid.origins, grid.patch_size, pad_value=0
    )


def _as_heatmap(image, path):
    """Check that an image can be a heatmap; give it as float32 of rank 2."""
    heatmap = image[..., 0]
    if image.shape[2] > 1 and (image != image[..., :1]).any():
        raise ValueError(
            f"{path}: a heatmap must have one channel, or channels that are "
            f"all equal. Found {image.shape[2]} channels that differ. Save it "
            "as a grey image."
        )
    lowest = heatmap.min()
    if not (lowest >= 0 and heatmap.max() < np.inf):  # also for NaN
        raise ValueError(
            f"{path}: a heatmap must hold numbers from 0. Found values from "
            f"{lowest} to {heatmap.max()}. Replace those that are negative or "
            "not finite."
        )
    return heatmap.astype("float32")


def _count_points(points):
    return {"objects": (points[..., 0] >= 0).sum(axis=1).tolist()}


def _sum_heatmaps(heatmaps):
    sums = heatmaps.sum(axis=(1, 2), dtype="float64")
    return {"objects": np.round(sums, 4).tolist()}
