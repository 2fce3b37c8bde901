"""Fits the anchors of a YOLO detector to boxes."""

import numpy as np

from keras_patching.box_geometry import pairwise_iou
from keras_patching.data.feeding.patching_sequence import PatchingSequence

_MAX_ROUNDS = 300
# Anchors whose axes are swapped fit the boxes so much better by their IoU.
_BETTER = 0.05


def fit_anchors(
    sequence: PatchingSequence, k: int = 5, seed: int = 0
) -> tuple[tuple[float, float], ...]:
    """Find the box shapes that fit the boxes of a data set best.

    k-means with 1 - intersection over union as the distance (Redmon and
    Farhadi 2017, https://arxiv.org/abs/1612.08242, section 2). Only labels are
    read, no images.

    Args:
        sequence: `PatchingSequence` of detection.
        k: Number of anchors.
        seed: Integer that decides where the search begins.

    Returns:
        Tuple of `k` pairs `(height, width)` in pixels of the patches, smallest
        area first.

    Raises:
        ValueError: If there are fewer boxes than anchors, or the data set is
            not one of boxes.

    Example:

    >>> train = keras_patching.load_yolo_dataset_from_directory(
    ...     "trays/labels.json", "trays/images", patch_size=64, grid_size=2
    ... )
    >>> anchors = keras_patching.fit_anchors(train, k=2)
    >>> len(anchors)
    2
    """
    sizes = _sizes(sequence)
    if not 1 <= k <= len(sizes):
        raise ValueError(
            f"`k` must be from 1 to the number of boxes, {len(sizes)}. "
            f"Received: k={k}"
        )
    rng = np.random.default_rng(seed)
    anchors = sizes[rng.choice(len(sizes), k, replace=False)]
    nearest = None
    for _ in range(_MAX_ROUNDS):
        before, nearest = nearest, _iou_of_shapes(sizes, anchors).argmax(axis=1)
        if before is not None and (before == nearest).all():
            break
        for index in np.unique(nearest):
            anchors[index] = sizes[nearest == index].mean(axis=0)
    anchors = anchors[np.argsort(anchors.prod(axis=1))]
    return tuple((float(h), float(w)) for h, w in anchors.round(1))


def doubt_anchors(sequence, anchors):
    """Say so if boxes look as if heights and widths of anchors were swapped.

    Args:
        sequence: `PatchingSequence` of detection.
        anchors: Pairs `(height, width)` in pixels.

    Returns:
        List of one sentence, or an empty one.
    """
    sizes, anchors = _sizes(sequence), np.asarray(anchors, "float64")
    if not len(sizes):
        return []
    as_given, swapped = (
        _iou_of_shapes(sizes, each).max(axis=1).mean()
        for each in (anchors, anchors[:, ::-1])
    )
    if swapped < as_given + _BETTER:
        return []
    return [
        "`anchors` are pairs (height, width), and fit the boxes better as "
        f"(width, height): with a mean IoU of {swapped:.2f}, not "
        f"{as_given:.2f}. If they were given so, swap them; `fit_anchors` "
        "finds those of a data set."
    ]


def _sizes(sequence):
    """Give `(height, width)` of all boxes of an epoch, float64 `(n, 2)`."""
    keys = getattr(sequence, "label_keys", ())
    if not {"boxes", "labels"} <= set(keys):
        raise ValueError(
            "`fit_anchors` takes a data set of detection, as "
            "`load_yolo_dataset_from_directory` gives it. "
            f"Received: sequence={sequence!r}"
        )
    targets = sequence.read_labels()
    boxes = targets["boxes"][targets["labels"] >= 0].astype("float64")
    return boxes[:, [3, 2]] - boxes[:, [1, 0]]


def _iou_of_shapes(sizes, anchors):
    """Return the IoU `(n, k)` of boxes that have one corner in common."""
    boxes, others = (
        np.hstack([np.zeros_like(each), each]) for each in (sizes, anchors)
    )
    return pairwise_iou(boxes, others)


def check_anchors(anchors):
    """Return anchors as pairs of floats, or refuse them."""
    sizes = np.asarray(anchors, "float64")
    if sizes.ndim != 2 or sizes.shape[1] != 2 or not (sizes > 0).all():
        raise ValueError(
            "`anchors` must be pairs (height, width) of positive numbers, in "
            "pixels; Deep Plant Phenomics and darknet write (width, height). "
            f"Received: anchors={anchors}"
        )
    return tuple((height, width) for height, width in sizes.tolist())
