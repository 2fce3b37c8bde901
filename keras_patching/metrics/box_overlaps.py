"""How much boxes overlap, as a function of numpy arrays."""

import numpy as np

METRICS = ("iou", "ios")


def overlap(boxes, others, metric="iou"):
    """Return the share of boxes that others cover.

    Args:
        boxes, others: Float arrays `(..., 4)` of x1, y1, x2, y2 in pixels,
            whose leading axes broadcast.
        metric: The area that both share is divided by that of their union
            (`"iou"`), or of the smaller one (`"ios"`).

    Returns:
        Array `(...)`, from 0 to 1.
    """
    shared = np.minimum(boxes[..., 2:], others[..., 2:])
    shared -= np.maximum(boxes[..., :2], others[..., :2])
    shared = np.maximum(shared, 0, out=shared).prod(axis=-1)
    area, other_area = (
        (b[..., 2] - b[..., 0]) * (b[..., 3] - b[..., 1])
        for b in (boxes, others)
    )
    if metric == "ios":
        whole = np.minimum(area, other_area)
    else:
        whole = area + other_area - shared
    return np.divide(shared, whole, out=np.zeros_like(shared), where=shared > 0)
