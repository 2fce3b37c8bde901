"""Precision over recall of boxes, as a function of numpy arrays."""

from collections.abc import Mapping, Sequence

import numpy as np

from keras_patching._checks import check_share
from keras_patching._types import ArrayLike, NDArray
from keras_patching.metrics.detection import (
    area_below,
    checked_images,
    hits_of_class,
)


def precision_recall_curves(
    detections: Sequence[Mapping[str, ArrayLike]],
    truths: Sequence[Mapping[str, ArrayLike]],
    iou_threshold: float = 0.5,
) -> dict[int, dict[str, float | NDArray]]:
    """Give precision over recall of the boxes of each class.

    Hits are those of `average_precision`. Detections of low scores belong to
    it: `merge_predictions` gives them with `score_threshold=0.01`.

    Args:
        detections, truths: As for `average_precision`.
        iou_threshold: Intersection over union from which on a box is a hit.

    Returns:
        Dict from each class of the truth to a dict of `scores` `(n,)` of its
        detections, best first, `precision` and `recall` `(n,)` of what scores
        at least as much, and `average_precision`, a float.

    Raises:
        ValueError: As of `average_precision`.

    Example:

    >>> truth = {"boxes": [[0, 0, 9, 9], [20, 0, 29, 9]], "labels": [0, 0]}
    >>> found = {"boxes": [[0, 0, 9, 8]], "scores": [0.7], "labels": [0]}
    >>> curves = keras_patching.metrics.precision_recall_curves(
    ...     [found], [truth]
    ... )
    >>> curves[0]["recall"], curves[0]["precision"]
    (array([0.5]), array([1.]))
    """
    detections, truths = checked_images(detections, truths)
    thresholds = np.array([check_share(iou_threshold, "iou_threshold")])
    classes = np.unique([label for t in truths for label in t["labels"]])
    return {
        int(label): _curve(detections, truths, label, thresholds)
        for label in classes
    }


def _curve(detections, truths, label, thresholds):
    hits, scores, num_true = hits_of_class(
        detections, truths, label, thresholds
    )
    found = np.cumsum(hits[:, 0])
    return {
        "scores": scores,
        "precision": found / np.arange(1, len(found) + 1),
        "recall": found / num_true,
        "average_precision": float(area_below(hits[:, 0], num_true)),
    }
