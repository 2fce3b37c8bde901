"""Makes one list of boxes of what was found in the patches of an image.

With an overlap, an object at a seam is seen by several patches. Each pixel of
the image is owned by one of them, and so is each box: by the patch that owns
the pixel of its center. But each patch places an object a little differently:
two may own it, or none. So boxes that are one object are found before owners
choose.

Boxes are `x1, y1, x2, y2` in pixels; pixel `i` reaches from `i` to `i + 1`.
"""

import numpy as np

from keras_patching._checks import check_distance
from keras_patching.models.detection.neighbours import Neighbours
from keras_patching.models.detection.non_max_suppression import (
    drop_worse,
    non_max_suppression,
)
from keras_patching.models.detection.seams import Seams

# Pixels that two patches may place an object apart, where overlaps are small:
# four standard deviations of 2 pixels of noise in both places.
_LEAST_MARGIN = 12
_ROUNDING = 1e-6


def merge(detections, grid, iou_threshold=0.5, match_metric="iou", margin=None):
    """Make one list of boxes of what was found in the patches of an image.

    What one patch says twice is suppressed first. Then boxes of different
    patches that are one object are found, see `seams`, and one is kept: that
    of the patch that owns it, or the better one where two do. An object that
    no patch owns, since each places it on the other's side of the border, is
    kept as well. At last all boxes are suppressed once more.

    Args:
        detections: Dict of numpy arrays, for the patches of one image:
            `"boxes"`, `(rows, cols, n, 4)` of x1, y1, x2, y2 in pixels of the
            patch; `"scores"` and `"labels"`, `(rows, cols, n)`. A score below
            0 marks padding.
        grid: `PatchGrid` of the image.
        iou_threshold, match_metric: See `non_max_suppression`.
        margin: How many pixels apart two patches may place one object. `None`
            is an eighth of the overlap, and at least 12.

    Returns:
        Dict of `"boxes"`, float32 `(m, 4)` in pixels of the image and inside
        of it, `"scores"`, float32 `(m,)`, and `"labels"`, int32 `(m,)`, best
        first.

    Raises:
        ValueError: If there are not as many patches as the grid has, `margin`
            is no number of at least 0, or as `non_max_suppression` does.

    Example:

    >>> grid = keras_patching.PatchGrid((64, 100), patch_size=64, overlap=16)
    >>> boxes = np.zeros((1, 2, 1, 4))
    >>> boxes[0, :, 0] = [[44, 8, 54, 20], [8, 8, 18, 20]]  # one object, twice
    >>> ones = np.ones((1, 2, 1))
    >>> merge({"boxes": boxes, "scores": ones, "labels": ones}, grid)["boxes"]
    array([[44.,  8., 54., 20.]], dtype=float32)
    """
    found = merge_with_cuts(
        detections, grid, iou_threshold, match_metric, margin
    )
    del found["cut"]
    return found


def merge_with_cuts(
    detections, grid, iou_threshold=0.5, match_metric="iou", margin=None
):
    """Do as `merge`, and tell which boxes the edge of their patch may cut.

    Args:
        detections, grid, iou_threshold, match_metric, margin: As there.

    Returns:
        The dict of `merge`, and in it `"cut"`, bool `(m,)`: boxes that come so
        near to an edge of their patch, inside of the image, as patches may
        place an object apart, or as an eighth of the patch.
    """

    def suppress(found, labels):
        kept = non_max_suppression(
            found["boxes"], found["scores"], labels, iou_threshold, match_metric
        )
        return _take(found, kept)

    found = _found(detections, grid)
    of_patch = found["labels"] * grid.num_patches + found["patches"]
    found = suppress(found, of_patch)
    found = _take(found, _one_of_each(found, grid, margin))
    found = suppress(found, found["labels"])
    extents = _extents(grid)[found["patches"]]
    near = np.minimum(_margins(grid, margin), np.divide(grid.patch_size, 8))
    return {
        "boxes": found["boxes"].astype("float32"),
        "scores": found["scores"].astype("float32"),
        "labels": found["labels"].astype("int32"),
        "cut": _is_cut(found["boxes"], extents, grid, np.maximum(near, 1)),
    }


def _found(detections, grid):
    """Give what lies in the image as a dict of arrays, one row per box."""
    scores = np.asarray(detections["scores"])
    _check_patches(scores.shape, grid)
    index = np.flatnonzero(scores >= 0)
    rows, cols, _ = np.unravel_index(index, scores.shape)
    boxes, outside = place_boxes(
        np.reshape(detections["boxes"], (-1, 4))[index], rows, cols, grid
    )
    found = {
        "boxes": boxes,
        "outside": outside,
        "patches": rows * grid.cols + cols,
        "scores": scores.ravel()[index],
        "labels": np.asarray(detections["labels"]).ravel()[index].astype(int),
    }
    return _take(found, np.isfinite(outside).all(axis=1))


def _take(found, rows):
    return {name: values[rows] for name, values in found.items()}


def _check_patches(shape, grid):
    if len(shape) != 3 or shape[:2] != (grid.rows, grid.cols):
        raise ValueError(
            f"Scores must be of shape ({grid.rows}, {grid.cols}, n), the rows "
            f"and columns of {grid}. Received: shape {shape}"
        )


def place_boxes(boxes, rows, cols, grid):
    """Move boxes from their patches to the image.

    A patch owns a box when it owns the pixel of its center. Owners are those
    of `PatchAxis.border`, as when outputs are stitched: in the zone that two
    patches share the border is in the middle, and at the edges of the image it
    is the edge. So with an overlap larger than the objects, the owner has seen
    the whole object.

    Args:
        boxes: Array `(n, 4)` of x1, y1, x2, y2 in pixels of their patch.
        rows, cols: Integer arrays `(n,)`: the patch of each box in the grid.
        grid: `PatchGrid` of the image.

    Returns:
        `(boxes, outside)`: float64 `(n, 4)` of x1, y1, x2, y2 in pixels of the
        image, clipped to it; and float64 `(n, 2)` of (y, x): how far the
        center lies from what the patch owns. It is 0 where the patch owns it,
        and infinite where nothing of the box lies in the image.
    """
    boxes = np.asarray(boxes, "float64").reshape(-1, 4)
    xs, outside_x = _place(boxes[:, 0::2], cols, grid.x_axis)
    ys, outside_y = _place(boxes[:, 1::2], rows, grid.y_axis)
    placed = np.stack([xs, ys], axis=-1).reshape(-1, 4)
    return placed, np.stack([outside_y, outside_x], axis=-1)


def _place(ends, index, axis):
    """Move intervals along an axis from their patches to the image.

    Args:
        ends: Array `(n, 2)`, first and last end in pixels of the patch.
        index: Integer array `(n,)`: the number of the patch along the axis.
        axis: `PatchAxis`.

    Returns:
        `(ends, outside)`: the intervals, clipped to the image, and an array
        `(n,)`: how far their centers are from what the patch owns.
    """
    patches = range(axis.count)
    origins = np.array([axis.origin(i) for i in patches])
    borders = np.array([*map(axis.border, patches), axis.length])
    index = np.asarray(index, int)
    ends = ends + origins[index][:, None]
    centers = ends.mean(axis=1)
    low, high = borders[index], borders[index + 1]
    outside = np.maximum(low - centers, 0)
    # The border itself is the first pixel of the next patch.
    beyond = np.maximum(centers - high, np.finfo(float).tiny)
    outside = np.where(centers >= high, beyond, outside)
    clipped = np.clip(ends, 0, axis.length)
    is_left = clipped[:, 0] < clipped[:, 1]
    return clipped, np.where(is_left, outside, np.inf)


def _one_of_each(found, grid, margin):
    """Choose one box of each object that several patches have found.

    Args:
        found: Dict of arrays, as of `_found`, each patch's suppressed.
        grid, margin: As for `merge`.

    Returns:
        Integer array: which boxes are kept.
    """
    margin = _margins(grid, margin)
    owned = (found["outside"] == 0).all(axis=1)
    extents = _extents(grid)
    seams = Seams(
        found["boxes"],
        found["labels"],
        found["patches"],
        owned,
        extents,
        margin,
    )
    for one, other in _pairs_within(found["boxes"], margin):
        seams.add(one, other)
    one, other = seams.pairs()
    has_same, has_owner, group_has_owner = seams.describe(one, other)
    near = (found["outside"] <= margin).all(axis=1)
    # A box that the edge of its patch cuts says little of the whole object.
    cut = _is_cut(found["boxes"], extents[found["patches"]], grid)
    lost = np.where(
        cut,
        has_same & ~group_has_owner & ~seams.covered,
        ~has_owner & (has_same | ~seams.covered),
    )
    candidate = owned | (near & lost)
    order = np.lexsort((-found["scores"], ~owned, ~candidate))
    rank = np.empty(len(order), int)
    rank[order] = np.arange(len(order))
    both = candidate[one] & candidate[other]
    one, other = rank[one[both]], rank[other[both]]
    keep = drop_worse(
        len(order), np.minimum(one, other), np.maximum(one, other)
    )
    return order[keep & candidate[order]]


def _margins(grid, margin):
    """Return how far apart patches may place an object, `(y, x)`."""
    if margin is None:
        return np.maximum(np.divide(grid.overlap, 8), _LEAST_MARGIN)
    return np.full(2, check_distance(margin, "margin"))


def _extents(grid):
    """Return what each patch sees, `(patches, 4)` of x1, y1, x2, y2."""
    low = np.array(grid.origins, "float64")[:, ::-1]
    return np.hstack([low, low + grid.patch_size[::-1]])


def _is_cut(boxes, extents, grid, near=(1, 1)):
    """Tell which boxes reach near an edge of their patch inside the image."""
    height, width = grid.image_size
    near = np.asarray(near)[::-1]
    cut = (boxes[:, :2] < extents[:, :2] + near) & (extents[:, :2] > 0)
    cut |= (boxes[:, 2:] > extents[:, 2:] - near) & (
        extents[:, 2:] < (width, height)
    )
    return cut.any(axis=1)


def _pairs_within(boxes, margin):
    """Yield index arrays of boxes whose sides may be so close, in chunks."""
    if not len(boxes):
        return
    grown = boxes + np.array([-1, -1, 1, 1]) * np.tile(margin[::-1] / 2, 2)
    classes = np.zeros(len(boxes), int)
    grown[:, 2:] += _ROUNDING
    yield from Neighbours(grown, classes, grown, classes).chunks()
