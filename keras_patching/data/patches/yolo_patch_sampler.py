"""Which patches of an image a YOLO detector learns from: a plan, no pixels.

The contract: every cell of the detector's grid sees the center of an object
in some patch of each image, wherever the image allows it. Boxes are xyxy in
pixels; origins are integers `(y, x)` inside the image, which is padded at the
bottom and right where it is smaller than a patch. Nothing is drawn and then
rejected: along each axis, the origins that put a center into a cell are an
interval, and a draw is one from that interval.
"""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Sequence

import numpy as np

from keras_patching._checks import as_boxes, check_integer
from keras_patching._types import ArrayLike, NDArray
from keras_patching.box_geometry import box_centers
from keras_patching.geometry import as_positive_pair

# What a plan holds; another number where the same draws mean other patches.
PLAN_VERSION = 2

# Shares of the spread of the patch's own values.
_BRIGHTNESS = tuple(percent / 100 for percent in range(20, 41))
_NAMED_CELLS = 20


@dataclasses.dataclass(frozen=True)
class PlannedPatch:
    """One patch of a plan.

    Attributes:
        origin: `(y, x)` of its top-left corner in the padded image.
        stage: `"grid"`, `"augmented"` or `"random"`.
        augmentation: What is done to its pixels and boxes, for
            `patch_augmentation`: a dict of one entry that JSON can hold, or
            `None`.
    """

    origin: tuple[int, int]
    stage: str
    augmentation: dict | None = None


class YoloPatchSampler:
    """Plans the patches of an image, so that each grid cell sees objects.

    Three stages, in this order:

    1. `"grid"`: for every grid cell, a patch that puts the center of an object
       into that cell, wherever one is feasible. The object is drawn among the
       feasible ones, then the origin among those feasible for it. A cell
       that no object can be put into gets none: see `coverage`.
    2. `"augmented"`: as many patches as the grid has cells, each at a random
       origin that contains the center of an object drawn at random. Each is
       either turned by 90, 180 or 270 degrees (only 180 if the patch is not
       square), or flipped, or made brighter or darker by 20% to 40% of the
       spread of its own values; each of the three is as likely as the others.
    3. `"random"`: as many again as both, at uniform origins. An image without
       objects gets `empty_patches` of these, and no others.

    What is drawn depends on `seed`, the name of the image and the stage alone:
    not on other images, nor on which process plans which image.

    Args:
        patch_size: `(height, width)` of a patch in pixels, or one integer.
        grid_size: `(rows, cols)` of the detector's grid, or one integer. The
            patch is divided evenly: cells need not be whole pixels.
        seed: Integer that all draws come from.
        empty_patches: Patches of an image without objects.

    Attributes:
        patch_size, grid_size: As pairs.
        seed, empty_patches: As given.

    Raises:
        ValueError: If an argument is not as above, or a cell of the grid would
            be smaller than a pixel.

    Example:

    >>> sampler = keras_patching.YoloPatchSampler(patch_size=64, grid_size=2)
    >>> plan = sampler.plan((100, 200), [[10, 10, 30, 30]], name="a.png")
    >>> [patch.stage for patch in plan[:4]]
    ['grid', 'augmented', 'augmented', 'augmented']
    >>> sampler.coverage((100, 200), [[10, 10, 30, 30]]).tolist()
    [[1, 0], [0, 0]]
    """

    def __init__(
        self,
        patch_size: int | Sequence[int],
        grid_size: int | Sequence[int] = (7, 7),
        seed: int = 0,
        empty_patches: int = 0,
    ) -> None:
        self.patch_size = as_positive_pair(patch_size, "patch_size")
        self.grid_size = as_positive_pair(grid_size, "grid_size")
        self.seed = check_integer(seed, "seed")
        self.empty_patches = check_integer(empty_patches, "empty_patches", 0)
        if any(np.greater(self.grid_size, self.patch_size)):
            raise ValueError(
                "`grid_size` must not be larger than the patch: a cell has at "
                f"least one pixel. Received: grid_size={self.grid_size}, "
                f"patch_size={self.patch_size}"
            )

    def plan(
        self,
        image_size: Sequence[int],
        boxes: ArrayLike,
        name: str = "",
        resample: int = 0,
    ) -> list[PlannedPatch]:
        """Plan the patches of an image.

        Args:
            image_size: `(height, width)` of the image in pixels.
            boxes: Array `(boxes, 4)` of x1, y1, x2, y2 in pixels, with
                x1 < x2, y1 < y2 and centers inside the image.
            name: Name of the image, which its draws come from.
            resample: Integer; another one draws the stages `"augmented"` and
                `"random"` anew, in the same numbers. The stage `"grid"` stays.

        Returns:
            A list of `PlannedPatch`, ordered by stage. Those of stage `"grid"`
            are in row-major order of their cells.

        Raises:
            ValueError: If `image_size` or a box is not as above.
        """
        centers, last = self._check(image_size, boxes)
        rng = functools.partial(_generator, self.seed, name)
        resample = check_integer(resample, "resample")
        if not len(centers):
            return _plan_random(
                self.empty_patches, last, rng("random", resample)
            )
        grid = self._plan_grid(centers, last, rng("grid", 0))
        augmented = self._plan_augmented(
            centers, last, rng("augmented", resample)
        )
        random = _plan_random(
            len(grid) + len(augmented), last, rng("random", resample)
        )
        return grid + augmented + random

    def coverage(self, image_size: Sequence[int], boxes: ArrayLike) -> NDArray:
        """Count the patches of stage `"grid"` for each cell of the grid.

        The sum over images is the coverage of a dataset: a cell with 0 never
        sees an object by plan, since no object can be put there.

        Args:
            image_size: `(height, width)` of the image in pixels.
            boxes: Array `(boxes, 4)`, as in `plan`.

        Returns:
            Integer array `(rows, cols)`: 1 where a patch puts an object into
            the cell, 0 where none can.

        Raises:
            ValueError: If `image_size` or a box is not as in `plan`.
        """
        y_origins, x_origins = self._cell_origins(
            *self._check(image_size, boxes)
        )
        return _feasible(y_origins, x_origins).any(axis=2).astype(int)

    def _check(self, image_size, boxes):
        """Return the boxes' centers, and the last origin `(y, x)`."""
        image_size = as_positive_pair(image_size, "image_size")
        boxes = as_boxes(boxes, "boxes")
        _check_boxes(boxes, image_size)
        padded_size = np.maximum(image_size, self.patch_size)
        return box_centers(boxes), padded_size - self.patch_size

    def _cell_origins(self, centers, last):
        return [
            _origin_intervals(*axis)
            for axis in zip(
                centers.T, self.patch_size, self.grid_size, last, strict=True
            )
        ]

    def _plan_grid(self, centers, last, rng):
        y_origins, x_origins = self._cell_origins(centers, last)
        feasible = _feasible(y_origins, x_origins)
        drawn = _draw_one_each(feasible.reshape(-1, len(centers)), rng)
        rows, cols, objects = np.unravel_index(drawn, feasible.shape)
        origins = _origins(
            rng.integers(*y_origins[:, rows, objects]),
            rng.integers(*x_origins[:, cols, objects]),
        )
        return [PlannedPatch(origin, "grid") for origin in origins]

    def _plan_augmented(self, centers, last, rng):
        height, width = self.patch_size
        rows, cols = self.grid_size
        objects = rng.integers(len(centers), size=rows * cols)
        # To contain a center is to have it in the only cell of a 1x1 grid.
        y_origins, x_origins = (
            _origin_intervals(*axis)[:, 0]
            for axis in zip(
                centers[objects].T, self.patch_size, (1, 1), last, strict=True
            )
        )
        origins = _origins(rng.integers(*y_origins), rng.integers(*x_origins))
        augmentations = _draw_augmentations(
            len(origins), square=height == width, rng=rng
        )
        return [
            PlannedPatch(origin, "augmented", augmentation)
            for origin, augmentation in zip(origins, augmentations, strict=True)
        ]


def boxes_in_patch(boxes, origin, patch_size):
    """Find the boxes that belong to a patch, and clip them to it.

    A box belongs to a patch when its center does: `origin <= center <
    origin + patch_size`. So what is left of it has an area.

    Args:
        boxes: Array `(boxes, 4)` of x1, y1, x2, y2 in pixels of the image.
        origin: `(y, x)` of the patch's top-left corner.
        patch_size: `(height, width)` of the patch in pixels, or one integer.

    Returns:
        `(indices, clipped)`: which boxes, in order, and a float64 array
        `(indices, 4)` of x1, y1, x2, y2 in pixels of the patch, each from 0 to
        its width or height.

    Raises:
        ValueError: If `boxes` is no array `(boxes, 4)` of finite numbers.
    """
    boxes = as_boxes(boxes, "boxes")
    top, left = origin
    height, width = as_positive_pair(patch_size, "patch_size")
    y, x = box_centers(boxes).T
    indices = np.flatnonzero(
        (y >= top) & (y < top + height) & (x >= left) & (x < left + width)
    )
    moved = boxes[indices] - (left, top, left, top)
    return indices, np.clip(moved, 0, (width, height, width, height))


def describe_coverage(coverage):
    """Say which cells of the grid never see an object.

    Args:
        coverage: Integer array or nested list `(rows, cols)`: the sum of
            `YoloPatchSampler.coverage` over images.

    Returns:
        Text of several lines, without a line end.
    """
    coverage = np.asarray(coverage)
    digits = len(str(coverage.max()))
    table = [
        " ".join(f"{count:>{digits}}" for count in row) for row in coverage
    ]
    uncovered = np.argwhere(coverage == 0).tolist()
    rows, cols = coverage.shape
    lines = [
        f"Patches that put an object into each cell of the {rows}x{cols} grid:",
        *(f"  {row}" for row in table),
    ]
    if uncovered:
        named = ", ".join(f"({y}, {x})" for y, x in uncovered[:_NAMED_CELLS])
        more = ", ..." if len(uncovered) > _NAMED_CELLS else ""
        lines.append(
            f"{len(uncovered)} of {coverage.size} cells (row, col) have none, "
            f"since no object can be put there: {named}{more}"
        )
    return "\n".join(lines)


def _generator(seed, name, stage, resample):
    text = json.dumps([seed, name, stage, resample])
    digest = hashlib.sha256(text.encode()).digest()
    return np.random.default_rng(int.from_bytes(digest))


def _origin_intervals(centers, patch, cells, last):
    """Find the origins along one axis that put each center into each cell.

    A center is in cell `k` if `k <= (center - origin) * cells / patch < k + 1`.
    Only the fraction of a center meets floating point; the rest is integers.

    Args:
        centers: Array `(objects,)` in pixels of the image.
        patch: Length of a patch in pixels.
        cells: Number of cells along the patch.
        last: Last origin that is inside the image.

    Returns:
        Integer array `(2, cells, objects)` of first origins and, exclusive,
        ends. Where no origin is feasible, the end is not above the first.
    """
    whole = np.floor(centers)
    part = np.floor((centers - whole) * cells).astype(int)
    borders = np.arange(cells + 1)[:, None] * patch
    # The last origins at which the center is at or beyond each cell border.
    ends = whole.astype(int) + (part - borders) // cells
    return np.stack(
        [np.maximum(ends[1:] + 1, 0), np.minimum(ends[:-1], last) + 1]
    )


def _feasible(y_origins, x_origins):
    """Return a bool array `(rows, cols, objects)`: can it be put there?"""
    (y_first, y_end), (x_first, x_end) = y_origins, x_origins
    return (y_first < y_end)[:, None] & (x_first < x_end)[None]


def _draw_one_each(feasible, rng):
    """Draw a true value of each row that has one; return flat indices."""
    counts = feasible.sum(axis=1)
    counts = counts[counts > 0]
    starts = np.cumsum(counts) - counts
    return np.flatnonzero(feasible)[starts + rng.integers(counts)]


def _draw_augmentations(count, square, rng):
    """Draw dicts of one entry; each kind is as likely as the others."""
    kinds = (
        ("turns", (1, 2, 3) if square else (2,)),
        ("flip", ("horizontal", "vertical")),
        ("brightness", (*_BRIGHTNESS, *(-share for share in _BRIGHTNESS))),
    )
    sizes = np.array([len(values) for _, values in kinds])
    drawn = rng.integers(len(kinds), size=count)
    picks = rng.integers(sizes[drawn])
    return [
        {kinds[kind][0]: kinds[kind][1][pick]}
        for kind, pick in zip(drawn, picks, strict=True)
    ]


def _plan_random(count, last, rng):
    y, x = (rng.integers(end + 1, size=count) for end in last)
    return [PlannedPatch(origin, "random") for origin in _origins(y, x)]


def _origins(y, x):
    return list(zip(y.tolist(), x.tolist(), strict=True))


def _check_boxes(boxes, image_size):
    x1, y1, x2, y2 = boxes.T
    y, x = box_centers(boxes).T
    height, width = image_size
    fine = (x1 < x2) & (x >= 0) & (x < width)
    fine &= (y1 < y2) & (y >= 0) & (y < height)
    if not fine.all():
        index = int(np.argmin(fine))
        raise ValueError(
            "A box must have x1 < x2, y1 < y2 and its center inside the image "
            f"of {height}x{width} pixels (height x width). "
            f"Received: boxes[{index}]={boxes[index].tolist()}"
        )
