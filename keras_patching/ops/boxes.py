"""Operations on boxes, with static shapes, of any backend.

Boxes are `x1, y1, x2, y2` in pixels. A set of them has a fixed length, filled
up with -1, as in `keras.utils.bounding_boxes`.
"""

from keras import ops

from keras_patching.ops.compiling import compiled_on_jax

# What two boxes without area are divided by.
_LEAST_AREA = 1e-9


def iou(boxes, others):
    """Return the intersection over union of boxes with others.

    Args:
        boxes, others: Float tensors `(..., 4)` of x1, y1, x2, y2, whose leading
            axes broadcast.

    Returns:
        Tensor `(...)`, from 0 to 1; 0 where both are without area.

    Example:

    >>> found = iou(ops.array([0.0, 0, 2, 2]), ops.array([[0.0, 0, 2, 4]]))
    >>> float(found[0])
    0.5
    """
    low = ops.maximum(boxes[..., :2], others[..., :2])
    high = ops.minimum(boxes[..., 2:], others[..., 2:])
    shared = ops.prod(ops.maximum(high - low, 0.0), axis=-1)
    areas = (
        ops.prod(b[..., 2:] - b[..., :2], axis=-1) for b in (boxes, others)
    )
    return shared / ops.maximum(sum(areas) - shared, _LEAST_AREA)


def as_corners(boxes):
    """Turn boxes of a center and a size into x1, y1, x2, y2.

    Args:
        boxes: Tensor `(..., 4 or more)`: center x, center y, width, height.

    Returns:
        Tensor `(..., 4)`.
    """
    center, half = boxes[..., :2], boxes[..., 2:4] / 2
    return ops.concatenate([center - half, center + half], axis=-1)


@compiled_on_jax("max_boxes")
def non_max_suppression_padded(boxes, scores, labels, iou_threshold, max_boxes):
    """Keep the best box of each object: greedy non-maximum suppression.

    The best box is kept, all boxes of its class whose IoU with it is above the
    threshold are dropped, and so on with what is left, `max_boxes` times.
    Of equal scores the first is the better one. Boxes whose score is negative,
    or not a number, are padding and never kept.

    Memory grows with the number of boxes, not with its square, and the number
    of steps is `max_boxes`.

    Args:
        boxes: Float tensor `(..., n, 4)` of x1, y1, x2, y2 in pixels, with
            any leading axes and static `n` of at least 1.
        scores: Float tensor `(..., n)`, at least 0 where there is a box.
        labels: Integer tensor `(..., n)`, the class of each box.
        iou_threshold: Intersection over union from 0 to 1. Only what is above
            it counts as the same object.
        max_boxes: How many boxes are kept at the most, an integer.

    Returns:
        Dict of `"boxes"`, `(..., max_boxes, 4)`, `"scores"` and `"labels"`,
        `(..., max_boxes)`, of the dtypes that came in, best first. All three
        are -1 where no box was left.

    Example:

    >>> boxes = [[[0.0, 0, 8, 8], [0, 0, 8, 9], [0, 0, 8, 7], [9, 9, 10, 10]]]
    >>> kept = non_max_suppression_padded(
    ...     ops.array(boxes),
    ...     scores=ops.array([[0.6, 0.9, 0.7, 0.1]]),
    ...     labels=ops.array([[0, 0, 1, 0]]),
    ...     iou_threshold=0.5,
    ...     max_boxes=4,
    ... )
    >>> [round(float(score), 1) for score in kept["scores"][0]]
    [0.9, 0.7, 0.1, -1.0]
    """
    leading = ops.shape(scores)[:-1]
    boxes = ops.reshape(boxes, (-1, *boxes.shape[-2:]))
    scores, labels = (
        ops.reshape(values, (-1, values.shape[-1]))
        for values in (scores, labels)
    )
    picked, is_box = _pick(boxes, scores, labels, iou_threshold, max_boxes)
    return {
        name: ops.reshape(
            _take(values, picked, is_box), (*leading, max_boxes, *shape)
        )
        for name, values, shape in (
            ("boxes", boxes, (4,)),
            ("scores", scores, ()),
            ("labels", labels, ()),
        )
    }


def _pick(boxes, scores, labels, iou_threshold, max_boxes):
    """Return which boxes are kept, and which of these are none.

    Both are of shape `(batch, max_boxes)`.
    """
    boxes = ops.cast(boxes, "float32")
    slots = ops.arange(max_boxes, dtype="int32")[None]

    def pick_best(step, state):
        remaining, picked, is_box = state
        best = ops.argmax(remaining, axis=1, keepdims=True)
        best = ops.cast(best, "int32")
        found = ops.take_along_axis(remaining, best, axis=1) >= 0
        best_box = ops.take_along_axis(boxes, best[..., None], axis=1)
        same_class = labels == ops.take_along_axis(labels, best, axis=1)
        dropped = ops.logical_and(
            same_class, iou(best_box, boxes) > iou_threshold
        )
        # A box without area shares nothing, not even with itself.
        itself = ops.arange(boxes.shape[1], dtype="int32")[None] == best
        dropped = ops.logical_or(dropped, itself)
        slot = slots == step
        return (
            ops.where(dropped, ops.full_like(remaining, -1), remaining),
            ops.where(slot, best, picked),
            ops.where(slot, found, is_box),
        )

    # Not a number is not at least 0 either.
    remaining = ops.where(scores >= 0, scores, ops.full_like(scores, -1))
    picked = ops.zeros_like(scores[:, :1], dtype="int32") + ops.zeros_like(
        slots
    )
    state = remaining, picked, picked > 0
    _, picked, is_box = ops.fori_loop(0, max_boxes, pick_best, state)
    return picked, is_box


def _take(values, picked, is_box):
    """Gather along axis 1, with -1 where there is no box."""
    if len(values.shape) == 3:
        picked, is_box = picked[..., None], is_box[..., None]
    taken = ops.take_along_axis(values, picked, axis=1)
    return ops.where(is_box, taken, ops.full_like(taken, -1))
