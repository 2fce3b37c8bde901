"""Between the output of a YOLO detector and boxes, with static shapes.

After Redmon and Farhadi 2017, "YOLO9000: Better, Faster, Stronger"
(https://arxiv.org/abs/1612.08242). A patch is divided into a grid; each cell
has a prediction per anchor, of channels x, y, width, height, objectness and
one per class. The center lies in the cell, the size is a multiple of the
anchor's.

Boxes are center x, center y, width and height in cells here; anchors are
`(height, width)` in pixels.
"""

import numpy as np
from keras import ops

from keras_patching.ops.boxes import as_corners, iou

# Sizes of up to e**6 anchors, which keeps the first steps finite.
_MAX_LOG_SIZE = 6.0


def decode_boxes(raw, anchors, patch_size):
    """Turn the output of a detector into boxes in cells.

    Args:
        raw: Tensor `(batch, rows, cols, anchors, 5 + classes)`.
        anchors: Pairs `(height, width)` in pixels.
        patch_size: `(height, width)` in pixels.

    Returns:
        Tensor of the same shape: center x, center y, width, height in cells of
        the patch's grid; then objectness and classes as they came, logits.
    """
    rows, cols = raw.shape[1:3]
    x, y = (ops.sigmoid(raw[..., axis]) for axis in (0, 1))
    x = x + ops.arange(cols, dtype="float32")[:, None]
    y = y + ops.arange(rows, dtype="float32")[:, None, None]
    log_size = ops.clip(raw[..., 2:4], -_MAX_LOG_SIZE, _MAX_LOG_SIZE)
    size = ops.exp(log_size) * _in_cells(anchors, (rows, cols), patch_size)
    center = ops.stack([x, y], axis=-1)
    return ops.concatenate([center, size, raw[..., 4:]], axis=-1)


def to_xyxy(boxes, grid_size, patch_size):
    """Turn boxes in cells into x1, y1, x2, y2 in pixels of the patch.

    Args:
        boxes: Tensor `(..., 4)`: center x, center y, width, height in cells.
        grid_size: `(rows, cols)`.
        patch_size: `(height, width)` in pixels.
    """
    boxes = ops.convert_to_tensor(boxes)
    cell = _cell_size(grid_size, patch_size)
    center, half = boxes[..., :2] * cell, boxes[..., 2:] * (cell / 2)
    return ops.concatenate([center - half, center + half], axis=-1)


def assign(boxes, labels, anchors, grid_size, patch_size):
    """Give each object a cell and an anchor of its own.

    The cell is the one that holds the center. The anchor is the one whose
    shape has the highest IoU with the box, among those that no other object in
    the cell has taken; who fits an anchor best comes first.

    Memory grows with the objects and with the slots, a slot being an anchor of
    a cell, not with both multiplied.

    Args:
        boxes: Tensor `(batch, n, 4)`, xyxy in pixels of the patch, padded
            with -1.
        labels: Integer tensor `(batch, n)`, padded with -1.
        anchors: Pairs `(height, width)` in pixels.
        grid_size: `(rows, cols)`.
        patch_size: `(height, width)` in pixels.

    Returns:
        float32 `(batch, rows, cols, anchors, 6)`: center x, center y, width,
        height in cells, 1 where there is an object (else all is 0), and its
        label; and float32 `(batch,)`, how many objects found no anchor.
    """
    targets, is_assigned = assign_each(
        boxes, labels, anchors, grid_size, patch_size
    )
    is_object = ops.cast(labels >= 0, "float32")
    return targets, ops.sum(is_object - is_assigned, axis=1)


def assign_each(boxes, labels, anchors, grid_size, patch_size):
    """As `assign`, but tell of each object whether it found an anchor.

    Returns:
        The targets, and float32 `(batch, n)`, 1 for objects that found one.
    """
    rows, cols = grid_size
    num_anchors = len(anchors)
    slots = rows * cols * num_anchors
    boxes = in_cells(boxes, grid_size, patch_size)
    center, size = boxes[..., :2], boxes[..., 2:]
    column = ops.clip(ops.floor(center[..., 0]), 0, cols - 1)
    row = ops.clip(ops.floor(center[..., 1]), 0, rows - 1)
    patch = ops.arange(ops.shape(boxes)[0], dtype="int32")[:, None]
    # Slots are numbered over all patches.
    first_slot = ops.cast((row * cols + column) * num_anchors, "int32")
    first_slot = first_slot + patch * slots
    number = ops.shape(boxes)[0] * slots
    fits = _iou_of_shapes(size, _in_cells(anchors, grid_size, patch_size))

    waiting = ops.cast(labels >= 0, "float32")
    is_assigned = ops.zeros_like(waiting)
    # Of no object: as many as slots, of a number that only the graph knows.
    taken = _sum_per_slot(is_assigned, first_slot, number)
    targets = _sum_per_slot(
        ops.zeros_like(boxes[..., :1]) + ops.zeros((6,)), first_slot, number
    )
    values = ops.concatenate(
        [
            boxes,
            ops.ones_like(size[..., :1]),
            ops.cast(labels, "float32")[..., None],
        ],
        axis=-1,
    )
    choices = first_slot[..., None] + ops.arange(num_anchors, dtype="int32")
    for _ in range(num_anchors):  # each round, one object wins what it wants
        is_taken = ops.take(taken, choices, axis=0)
        best = ops.argmax(fits - 2 * is_taken, axis=-1)[..., None]
        best = ops.cast(best, "int32")
        is_free = ops.take_along_axis(is_taken, best, axis=-1)[..., 0] < 0.5
        fit = ops.take_along_axis(fits, best, axis=-1)[..., 0]
        slot = first_slot + best[..., 0]
        wants = waiting * ops.cast(is_free, "float32")
        wins = _is_first_best(wants, fit, slot, number)
        targets = targets + _sum_per_slot(
            values * wins[..., None], slot, number
        )
        taken = taken + _sum_per_slot(wins, slot, number)
        waiting = waiting - wins
        is_assigned = is_assigned + wins
    targets = ops.reshape(targets, (-1, rows, cols, num_anchors, 6))
    return targets, is_assigned


def _is_first_best(wants, fit, slot, number):
    """Tell who fits best of those that want a slot, the first of equals."""
    score = wants * (1 + fit)
    is_best = score >= _highest_per_slot(score, slot, number)
    is_best = wants * ops.cast(is_best, "float32")
    count = slot.shape[1]
    earliness = is_best * ops.arange(count, 0, -1, dtype="float32")
    is_first = earliness >= _highest_per_slot(earliness, slot, number)
    return is_best * ops.cast(is_first, "float32")


def _highest_per_slot(values, slot, number):
    """Give for each object the highest of all that want its slot."""
    highest = ops.segment_max(
        ops.reshape(values, (-1,)), ops.reshape(slot, (-1,)), number
    )
    return ops.take(highest, slot, axis=0)


def _sum_per_slot(values, slot, number):
    values = ops.reshape(values, (-1, *values.shape[2:]))
    return ops.segment_sum(values, ops.reshape(slot, (-1,)), number)


def in_cells(boxes, grid_size, patch_size):
    """Turn boxes xyxy in pixels into centers and sizes in cells.

    Args:
        boxes: Tensor `(..., 4)`, xyxy in pixels of the patch.
        grid_size: `(rows, cols)`.
        patch_size: `(height, width)` in pixels.

    Returns:
        float32 `(..., 4)`: center x, center y, width, height.
    """
    boxes = ops.cast(boxes, "float32")
    cell = _cell_size(grid_size, patch_size)
    return ops.concatenate(
        [
            (boxes[..., 2:] + boxes[..., :2]) / (2 * cell),
            (boxes[..., 2:] - boxes[..., :2]) / cell,
        ],
        axis=-1,
    )


def highest_iou(boxes, true_boxes, counts):
    """Find the highest intersection over union of boxes with true ones.

    Args:
        boxes: Tensor `(batch, slots, 4)`: center x, center y, width, height.
        true_boxes: Tensor `(batch, n, 4)`, likewise.
        counts: float32 `(batch, n)`: 1 for those that count, else 0.

    Returns:
        float32 `(batch, slots)`, 0 where none counts.
    """
    boxes, true_boxes, counts = (
        ops.convert_to_tensor(each) for each in (boxes, true_boxes, counts)
    )
    found = iou(as_corners(boxes)[:, :, None], as_corners(true_boxes)[:, None])
    # One more, of 0: there may be none.
    found = ops.pad(found * counts[:, None], [(0, 0), (0, 0), (0, 1)])
    return ops.max(found, axis=-1)


def _iou_of_shapes(size, anchors):
    """Return the IoU of boxes and anchors that have one corner in common."""
    boxes, anchors = (
        ops.concatenate([ops.zeros_like(each), each], axis=-1)
        for each in (size, anchors)
    )
    return iou(boxes[..., None, :], anchors)


def _in_cells(anchors, grid_size, patch_size):
    """Give anchors as a tensor `(anchors, 2)` of width, height in cells."""
    sizes = np.asarray(anchors, "float32")[:, ::-1].copy()
    cell = _cell_size(grid_size, patch_size)
    return ops.convert_to_tensor(sizes, "float32") / cell


def _cell_size(grid_size, patch_size):
    """Give width and height of a cell in pixels, a tensor `(2,)`."""
    height, width = np.divide(patch_size, grid_size).tolist()
    return ops.convert_to_tensor([width, height], "float32")
