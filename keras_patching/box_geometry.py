"""Areas of boxes and what they share, as functions of numpy arrays.

Boxes are `x1, y1, x2, y2` in pixels, in arrays `(..., 4)` whose leading axes
broadcast. `ops.boxes` holds the same for graphs.
"""

import numpy as np


def area(boxes):
    """Return the area of boxes `(...)`, 0 where corners are swapped."""
    sides = np.maximum(boxes[..., 2:] - boxes[..., :2], 0)
    return sides[..., 0] * sides[..., 1]


def box_centers(boxes):
    """Return the centers of boxes, `(..., 2)` of `(y, x)`."""
    return ((boxes[..., :2] + boxes[..., 2:]) / 2)[..., ::-1]


def intersection(boxes, others):
    """Return the boxes that are in both; corners are swapped where none is."""
    low = np.maximum(boxes[..., :2], others[..., :2])
    high = np.minimum(boxes[..., 2:], others[..., 2:])
    return np.concatenate([low, high], axis=-1)


def iou(boxes, others):
    """Return the intersection over union of boxes with others.

    Args:
        boxes, others: Float arrays `(..., 4)`.

    Returns:
        Array `(...)`, from 0 to 1; 0 where both are without area.

    Example:

    >>> iou(np.array([0, 0, 2, 2.0]), np.array([[0, 0, 2, 4.0], [1, 0, 3, 2]]))
    array([0.5       , 0.33333333])
    """
    shared = area(intersection(boxes, others))
    return _share(shared, area(boxes) + area(others) - shared)


def intersection_over_smaller(boxes, others):
    """Return the intersection over the area of the smaller box; as `iou`."""
    shared = area(intersection(boxes, others))
    return _share(shared, np.minimum(area(boxes), area(others)))


def _share(part, whole):
    return np.divide(part, whole, out=np.zeros_like(part), where=part > 0)


def pairwise_iou(boxes, others):
    """Return the IoU `(n, m)` of each of `(n, 4)` with each of `(m, 4)`."""
    return iou(boxes[:, None], others)
