"""Keeps the best box of each object.

Boxes are `x1, y1, x2, y2` in pixels.
"""

import itertools

import numpy as np

from keras_patching._checks import check_share
from keras_patching.box_geometry import intersection_over_smaller, iou
from keras_patching.models.detection.neighbours import Neighbours

MATCH_METRICS = {"iou": iou, "ios": intersection_over_smaller}


def non_max_suppression(
    boxes, scores, labels, iou_threshold, match_metric="iou"
):
    """Keep the best box of each object of an image.

    Greedy non-maximum suppression: the best box is kept, all boxes of its
    class whose IoU with it is above the threshold are dropped, and so on with
    what is left. Of equal scores the first is the better one. The result
    is that of comparing all pairs, but only boxes that share pixels are
    compared, which takes `n log n` for boxes that are spread out.

    Args:
        boxes: Finite array `(n, 4)` of x1, y1, x2, y2 in pixels.
        scores: Array `(n,)`.
        labels: Integer array `(n,)`, the class of each box.
        iou_threshold: From 0 to 1. Only what is above it counts as the same
            object.
        match_metric: What is compared with it: the area that both boxes share,
            over that of their union (`"iou"`) or of the smaller one (`"ios"`),
            which also drops a part of an object inside a box of the whole.

    Returns:
        Integer array `(m,)`: which boxes are kept, best first.

    Raises:
        ValueError: If the threshold or the metric is none of these.

    Example:

    >>> boxes = [[0, 0, 8, 8], [0, 0, 8, 9], [20, 0, 28, 8]]
    >>> non_max_suppression(boxes, [0.6, 0.9, 0.1], [0, 0, 0], 0.5)
    array([1, 2])
    """
    check_iou_rule(iou_threshold, match_metric)
    order = np.argsort(-np.asarray(scores, "float64"), kind="stable")
    boxes = np.asarray(boxes, "float64").reshape(-1, 4)[order]
    classes = np.unique(np.asarray(labels), return_inverse=True)[1][order]

    share = MATCH_METRICS[match_metric]

    def is_same(boxes, others):
        return share(boxes, others) > iou_threshold

    return order[_best_of_each(boxes, classes, is_same)]


def check_iou_rule(iou_threshold, match_metric):
    """Refuse what `non_max_suppression` cannot go by.

    Raises:
        ValueError: If the threshold or the metric is none.
    """
    if match_metric not in MATCH_METRICS:
        raise ValueError(
            f"`match_metric` must be one of {(*MATCH_METRICS,)}. "
            f"Received: match_metric={match_metric!r}"
        )
    check_share(iou_threshold, "iou_threshold")


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
    neighbours = Neighbours(boxes, classes, boxes, classes)
    if not neighbours.is_one_chunk:
        return _best_of_halves(boxes, classes, is_same)
    one, other = neighbours.pairs(slice(None))
    better, worse = np.minimum(one, other), np.maximum(one, other)
    same = np.flatnonzero(better < worse)
    same = same[is_same(boxes[better[same]], boxes[worse[same]])]
    return drop_worse(len(boxes), better[same], worse[same])


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
    for first, second in neighbouring_pairs(*sides):
        same = is_same(boxes[better[first]], boxes[half + second])
        dropped[second[same]] = True
    left = half + np.flatnonzero(~dropped)
    left = left[_best_of_each(boxes[left], classes[left], is_same)]
    keep = np.zeros(len(boxes), bool)
    keep[better] = keep[left] = True
    return keep


def neighbouring_pairs(boxes, classes, others, other_classes):
    """Yield index arrays, chunk by chunk, of pairs that may share pixels."""
    neighbours = Neighbours(boxes, classes, others, other_classes)
    yield from neighbours.chunks()
    neighbours = Neighbours(others, other_classes, boxes, classes)
    for second, first in neighbours.chunks():
        yield first, second


def drop_worse(count, better, worse):
    """Go through pairs from the best box on: who is kept drops the other."""
    order = np.argsort(better, kind="stable")
    better, worse = better[order], worse[order]
    borders = np.flatnonzero(np.diff(better, prepend=-1, append=-1)).tolist()
    keep = np.ones(count, bool)
    for start, end in itertools.pairwise(borders):
        if keep[better[start]]:
            keep[worse[start:end]] = False
    return keep
