"""Makes one list of boxes of what was found in the patches of an image.

With an overlap, an object at a seam is seen by several patches. Each pixel of
the image is owned by one of them, and so is each box: by the patch that owns
the pixel of its centre. But each patch places an object a little differently:
two may own it, or none. So boxes that are one object are found before owners
choose.

Boxes are `x1, y1, x2, y2` in pixels; pixel `i` reaches from `i` to `i + 1`.
"""

import itertools

import numpy as np

from keras_patching._checks import check_distance, check_share
from keras_patching.models.detection.seams import Seams

METRICS = ("iou", "ios")

# Pairs of boxes that are looked at together: some 150 MB.
_MOST_PAIRS = 1_000_000

# Pixels that two patches may place an object apart, where overlaps are small:
# four standard deviations of 2 pixels of noise in both places.
_LEAST_MARGIN = 12
_ROUNDING = 1e-6


def merge(detections, grid, iou_threshold=0.5, metric="iou", margin=None):
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
        iou_threshold, metric: See `suppress_in_image`.
        margin: How many pixels apart two patches may place one object. `None`
            is an eighth of the overlap, and at least 12.

    Returns:
        Dict of `"boxes"`, float32 `(m, 4)` in pixels of the image and inside
        of it, `"scores"`, float32 `(m,)`, and `"labels"`, int32 `(m,)`, best
        first.

    Raises:
        ValueError: If there are not as many patches as the grid has, or as
            `suppress_in_image` does.

    Example:

    >>> grid = PatchGrid((64, 100), patch_size=64, overlap=16)
    >>> boxes = np.zeros((1, 2, 1, 4))
    >>> boxes[0, :, 0] = [[44, 8, 54, 20], [8, 8, 18, 20]]  # one object, twice
    >>> ones = np.ones((1, 2, 1))
    >>> merge({"boxes": boxes, "scores": ones, "labels": ones}, grid)["boxes"]
    array([[44.,  8., 54., 20.]], dtype=float32)
    """
    found = _found(detections, grid)
    of_patch = found["labels"] * grid.num_patches + found["patches"]
    for labels in (of_patch, None):
        if labels is None:
            found = _take(found, _one_of_each(found, grid, margin))
            labels = found["labels"]
        kept = suppress_in_image(
            found["boxes"], found["scores"], labels, iou_threshold, metric
        )
        found = _take(found, kept)
    return {
        "boxes": found["boxes"].astype("float32"),
        "scores": found["scores"].astype("float32"),
        "labels": found["labels"].astype("int32"),
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

    A patch owns a box when it owns the pixel of its centre. Owners are those
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
        centre lies from what the patch owns. It is 0 where the patch owns it,
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
        `(n,)`: how far their centres are from what the patch owns.
    """
    patches = range(axis.count)
    origins = np.array([axis.origin(i) for i in patches])
    borders = np.array([*map(axis.border, patches), axis.length])
    index = np.asarray(index, int)
    ends = ends + origins[index][:, None]
    centres = ends.mean(axis=1)
    low, high = borders[index], borders[index + 1]
    outside = np.maximum(low - centres, 0)
    # The border itself is the first pixel of the next patch.
    beyond = np.maximum(centres - high, np.finfo(float).tiny)
    outside = np.where(centres >= high, beyond, outside)
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
    # Of what its own edge cuts, a patch that does not own it tells little.
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
    keep = _drop_worse(
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


def _is_cut(boxes, extents, grid):
    """Tell which boxes reach to an edge of their patch inside the image."""
    height, width = grid.image_size
    cut = (boxes[:, :2] < extents[:, :2] + 1) & (extents[:, :2] > 0)
    cut |= (boxes[:, 2:] > extents[:, 2:] - 1) & (
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
    yield from _Neighbours(grown, classes, grown, classes).chunks()


def suppress_in_image(boxes, scores, labels, iou_threshold, metric="iou"):
    """Keep the best box of each object of an image.

    Greedy non-maximum suppression: the best box is kept, all boxes of its
    class that overlap it by more than the threshold are dropped, and so on
    with what is left. Of equal scores the first is the better one. The result
    is that of comparing all pairs, but only boxes that share pixels are
    compared, which takes `n log n` for boxes that are spread out.

    Args:
        boxes: Finite array `(n, 4)` of x1, y1, x2, y2 in pixels.
        scores: Array `(n,)`.
        labels: Integer array `(n,)`, the class of each box.
        iou_threshold: From 0 to 1. Only what is above it counts as the same
            object.
        metric: What is compared with it: the area that both boxes share, over
            that of their union (`"iou"`) or of the smaller one (`"ios"`), which
            also drops a part of an object inside a box of the whole.

    Returns:
        Integer array `(m,)`: which boxes are kept, best first.

    Raises:
        ValueError: If the threshold or the metric is none of these.

    Example:

    >>> boxes = [[0, 0, 8, 8], [0, 0, 8, 9], [20, 0, 28, 8]]
    >>> suppress_in_image(boxes, [0.6, 0.9, 0.1], [0, 0, 0], 0.5)
    array([1, 2])
    """
    check_overlap_rule(iou_threshold, metric)
    order = np.argsort(-np.asarray(scores, "float64"), kind="stable")
    boxes = np.asarray(boxes, "float64").reshape(-1, 4)[order]
    classes = np.unique(np.asarray(labels), return_inverse=True)[1][order]

    def is_same(boxes, others):
        return _overlap(boxes, others, metric) > iou_threshold

    return order[_best_of_each(boxes, classes, is_same)]


def check_overlap_rule(iou_threshold, metric):
    """Refuse what `suppress_in_image` cannot go by.

    Raises:
        ValueError: If the threshold or the metric is none.
    """
    if metric not in METRICS:
        raise ValueError(
            f"`metric` must be one of {METRICS}. Received: metric={metric!r}"
        )
    check_share(iou_threshold, "iou_threshold")


def _overlap(boxes, others, metric):
    """Return the metric of each box `(n, 4)` with the other `(n, 4)`."""
    shared = np.minimum(boxes[:, 2:], others[:, 2:])
    shared -= np.maximum(boxes[:, :2], others[:, :2])
    shared = np.maximum(shared, 0, out=shared).prod(axis=1)
    area, other_area = (
        (b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1]) for b in (boxes, others)
    )
    if metric == "ios":
        whole = np.minimum(area, other_area)
    else:
        whole = area + other_area - shared
    return np.divide(shared, whole, out=np.zeros_like(shared), where=shared > 0)


def _best_of_each(boxes, classes, is_same):
    """Suppress boxes that are sorted, best first.

    Args:
        boxes: float64 `(n, 4)`.
        classes: Integer array `(n,)`.
        is_same: Function of two arrays of boxes, `(m, 4)`, that tells for each
            pair whether it is one object.

    Returns:
        Bool array `(n,)`, true for what is kept.
    """
    if not len(boxes):
        return np.ones(0, bool)
    neighbours = _Neighbours(boxes, classes, boxes, classes)
    if neighbours.num_pairs > _MOST_PAIRS:
        return _best_of_halves(boxes, classes, is_same)
    one, other = neighbours.pairs(slice(None))
    better, worse = np.minimum(one, other), np.maximum(one, other)
    same = np.flatnonzero(better < worse)
    same = same[is_same(boxes[better[same]], boxes[worse[same]])]
    return _drop_worse(len(boxes), better[same], worse[same])


def _best_of_halves(boxes, classes, is_same):
    """Suppress the better half, then what it leaves of the other half.

    Where thousands of boxes are one object, few pairs are left to look at.
    """
    half = len(boxes) // 2
    better = np.flatnonzero(
        _best_of_each(boxes[:half], classes[:half], is_same)
    )
    dropped = np.zeros(len(boxes) - half, bool)
    sides = boxes[better], classes[better], boxes[half:], classes[half:]
    for first, second in _neighbouring_pairs(*sides):
        same = is_same(boxes[better[first]], boxes[half + second])
        dropped[second[same]] = True
    left = half + np.flatnonzero(~dropped)
    left = left[_best_of_each(boxes[left], classes[left], is_same)]
    keep = np.zeros(len(boxes), bool)
    keep[better] = keep[left] = True
    return keep


def _neighbouring_pairs(boxes, classes, others, other_classes):
    """Yield index arrays, chunk by chunk, of pairs that may share pixels."""
    neighbours = _Neighbours(boxes, classes, others, other_classes)
    for first, second in neighbours.chunks():
        yield first, second
    neighbours = _Neighbours(others, other_classes, boxes, classes)
    for second, first in neighbours.chunks():
        yield first, second


def _drop_worse(count, better, worse):
    """Go through pairs from the best box on: who is kept drops the other."""
    order = np.argsort(better, kind="stable")
    better, worse = better[order], worse[order]
    borders = np.flatnonzero(np.diff(better, prepend=-1, append=-1)).tolist()
    keep = np.ones(count, bool)
    for start, end in itertools.pairwise(borders):
        if keep[better[start]]:
            keep[worse[start:end]] = False
    return keep


class _Neighbours:
    """Pairs of a box and another of its class that may share pixels.

    The plane is cut into strips along x, about as high as a box. A box lies in
    all strips that it touches; its neighbours are the others in these strips
    whose left side is between its own two sides. Where two boxes share pixels,
    one of them is so a neighbour of the other. A pair that shares two strips
    comes twice.

    Each class has strips of its own, and strips hold their boxes from left to
    right: all strips are one sorted array, and neighbours are a range of it.
    """

    def __init__(self, boxes, classes, others, other_classes):
        strips = _Strips(np.concatenate([boxes, others]))
        self.box, strip = strips.of(boxes, classes)
        self.other, other_strip = strips.of(others, other_classes)
        lefts = np.sort(others[:, 0])
        # Whole numbers, since sums of floats would round positions.
        scale = len(lefts) + 1
        rank = np.searchsorted(lefts, others[:, 0])
        position = other_strip * scale + rank[self.other]
        order = np.argsort(position)
        self.other, position = self.other[order], position[order]
        first, last = np.searchsorted(lefts, boxes[:, 0::2].T)
        self.start, end = (
            np.searchsorted(position, strip * scale + rank[self.box])
            for rank in (first, last)
        )
        self.count = np.maximum(end - self.start, 0)

    @property
    def num_pairs(self):
        return int(self.count.sum())

    def pairs(self, part):
        """Return two index arrays: a box, and the other, of each pair.

        Args:
            part: Slice of `self.box`.
        """
        count = self.count[part]
        first_pair = np.cumsum(count) - count
        offset = np.arange(count.sum()) - np.repeat(first_pair, count)
        others = self.other[np.repeat(self.start[part], count) + offset]
        return np.repeat(self.box[part], count), others

    def chunks(self):
        """Yield all pairs, about `_MOST_PAIRS` at a time."""
        chunk = np.cumsum(self.count) // _MOST_PAIRS
        borders = np.flatnonzero(np.diff(chunk, prepend=-1, append=-1))
        for start, end in itertools.pairwise(borders.tolist()):
            yield self.pairs(slice(start, end))


class _Strips:
    """Strips along x of equal height, numbered from the top, per class.

    They are as high as the mean box, so that a box touches three at the most,
    on average; and higher where they would outnumber the boxes.
    """

    def __init__(self, boxes):
        self.top, bottom = boxes[:, 1].min(), boxes[:, 3].max()
        mean = (boxes[:, 3] - boxes[:, 1]).mean()
        self.height = max(mean, (bottom - self.top) / len(boxes)) or 1.0
        self.count = int(self._number(bottom)) + 1

    def _number(self, y):
        return np.floor((y - self.top) / self.height).astype(int)

    def of(self, boxes, classes):
        """Return two arrays: the index of a box, and a strip it touches."""
        first, last = self._number(boxes[:, 1]), self._number(boxes[:, 3])
        touched = np.maximum(last - first, 0) + 1
        first_entry = np.cumsum(touched) - touched
        index = np.repeat(np.arange(len(boxes)), touched)
        strip = classes * self.count + first - first_entry
        return index, strip[index] + np.arange(len(index))
