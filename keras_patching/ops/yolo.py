"""Between the output of a YOLO detector and boxes, with static shapes.

After Redmon and Farhadi 2017, "YOLO9000: Better, Faster, Stronger"
(https://arxiv.org/abs/1612.08242). A patch is divided into a grid; each cell
has a prediction per anchor, of channels x, y, width, height, objectness and
one per class. The centre lies in the cell, the size is a multiple of the
anchor's.

Boxes are centre x, centre y, width and height in cells here; anchors are
`(height, width)` in pixels.
"""

import numpy as np
from keras import ops

# Sizes of up to e**6 anchors, which keeps the first steps finite.
_MAX_LOG_SIZE = 6.0


def decode_boxes(raw, anchors, patch_size):
    """Turn the output of a detector into boxes in cells.

    Args:
        raw: Tensor `(batch, rows, cols, anchors, 5 + classes)`.
        anchors: Pairs `(height, width)` in pixels.
        patch_size: `(height, width)` in pixels.

    Returns:
        Tensor of the same shape: centre x, centre y, width, height in cells of
        the patch's grid; then objectness and classes as they came, logits.
    """
    rows, cols = raw.shape[1:3]
    x, y = (ops.sigmoid(raw[..., axis]) for axis in (0, 1))
    x = x + ops.arange(cols, dtype="float32")[:, None]
    y = y + ops.arange(rows, dtype="float32")[:, None, None]
    log_size = ops.clip(raw[..., 2:4], -_MAX_LOG_SIZE, _MAX_LOG_SIZE)
    size = ops.exp(log_size) * _in_cells(anchors, (rows, cols), patch_size)
    centre = ops.stack([x, y], axis=-1)
    return ops.concatenate([centre, size, raw[..., 4:]], axis=-1)


def to_xyxy(boxes, grid_size, patch_size):
    """Turn boxes in cells into x1, y1, x2, y2 in pixels of the patch.

    Args:
        boxes: Tensor `(..., 4)`: centre x, centre y, width, height in cells.
        grid_size: `(rows, cols)`.
        patch_size: `(height, width)` in pixels.
    """
    boxes = ops.convert_to_tensor(boxes)
    cell = _cell_size(grid_size, patch_size)
    centre, half = boxes[..., :2] * cell, boxes[..., 2:] * (cell / 2)
    return ops.concatenate([centre - half, centre + half], axis=-1)


def assign(boxes, labels, anchors, grid_size, patch_size):
    """Give each object a cell and an anchor of its own.

    The cell is the one that holds the centre. The anchor is the one whose
    shape overlaps the box most, among those that no other object in the cell
    has taken; who fits an anchor best comes first.

    Args:
        boxes: Tensor `(batch, n, 4)`, xyxy in pixels of the patch, padded
            with -1.
        labels: Integer tensor `(batch, n)`, padded with -1.
        anchors: Pairs `(height, width)` in pixels.
        grid_size: `(rows, cols)`.
        patch_size: `(height, width)` in pixels.

    Returns:
        float32 `(batch, rows, cols, anchors, 6)`: centre x, centre y, width,
        height in cells, 1 where there is an object (else all is 0), and its
        label; and float32 `(batch,)`, how many objects found no anchor.
    """
    rows, cols = grid_size
    num_anchors = len(anchors)
    slots = rows * cols * num_anchors
    boxes = ops.cast(boxes, "float32")
    cell = _cell_size(grid_size, patch_size)
    size = (boxes[..., 2:] - boxes[..., :2]) / cell
    centre = (boxes[..., 2:] + boxes[..., :2]) / (2 * cell)
    column = ops.clip(ops.floor(centre[..., 0]), 0, cols - 1)
    row = ops.clip(ops.floor(centre[..., 1]), 0, rows - 1)
    first_slot = ops.cast((row * cols + column) * num_anchors, "int32")
    fits = _overlap_of_shapes(size, _in_cells(anchors, grid_size, patch_size))

    waiting = ops.cast(labels >= 0, "float32")
    batch = ops.cast(ops.zeros_like(first_slot[:, :1]), "float32")
    taken = batch + ops.zeros((1, slots), "float32")
    chosen = ops.zeros((1, 1, slots), "float32")
    choices = first_slot[..., None] + ops.arange(num_anchors, dtype="int32")
    for _ in range(num_anchors):  # each round, one object wins what it wants
        is_taken = _gather(taken, choices)
        best = ops.argmax(fits - 2 * is_taken, axis=-1)[..., None]
        best = ops.cast(best, "int32")
        is_free = ops.take_along_axis(is_taken, best, axis=-1)[..., 0] < 0.5
        fit = ops.take_along_axis(fits, best, axis=-1)[..., 0]
        wants = ops.one_hot(first_slot + best[..., 0], slots, dtype="float32")
        wants = wants * (waiting * ops.cast(is_free, "float32"))[..., None]
        wins = wants * _is_first_best(wants, fit)
        chosen = chosen + wins
        taken = taken + ops.sum(wins, axis=1)
        waiting = waiting * (1 - ops.sum(wins, axis=-1))
    values = ops.concatenate(
        [
            centre,
            size,
            ops.ones_like(size[..., :1]),
            ops.cast(labels, "float32")[..., None],
        ],
        axis=-1,
    )
    targets = ops.matmul(ops.transpose(chosen, (0, 2, 1)), values)
    targets = ops.reshape(targets, (-1, rows, cols, num_anchors, 6))
    return targets, ops.sum(waiting, axis=1)


def _is_first_best(wants, fit):
    """Tell who fits best of those that want a slot, the first of equals."""
    score = wants * (1 + fit)[..., None]
    best = ops.max(score, axis=1, keepdims=True)
    is_best = ops.cast(ops.logical_and(score >= best, best > 0), "float32")
    is_first = ops.cumsum(is_best, axis=1) < 1.5
    return is_best * ops.cast(is_first, "float32")


def _gather(taken, choices):
    """Look up slots `(batch, n, anchors)` in `(batch, slots)`."""
    flat = ops.reshape(choices, (-1, choices.shape[1] * choices.shape[2]))
    found = ops.take_along_axis(taken, flat, axis=1)
    return ops.reshape(found, (-1, *choices.shape[1:]))


def _overlap_of_shapes(size, anchors):
    """Intersection over union of boxes and anchors with a common centre."""
    shared = ops.minimum(size[..., None, :], anchors)
    shared = shared[..., 0] * shared[..., 1]
    area = size[..., 0] * size[..., 1]
    both = area[..., None] + anchors[:, 0] * anchors[:, 1]
    return shared / (both - shared)


def _in_cells(anchors, grid_size, patch_size):
    """Give anchors as a tensor `(anchors, 2)` of width, height in cells."""
    sizes = np.asarray(anchors, "float32")[:, ::-1].copy()
    cell = _cell_size(grid_size, patch_size)
    return ops.convert_to_tensor(sizes, "float32") / cell


def _cell_size(grid_size, patch_size):
    """Give width and height of a cell in pixels, a tensor `(2,)`."""
    height, width = np.divide(patch_size, grid_size).tolist()
    return ops.convert_to_tensor([width, height], "float32")
