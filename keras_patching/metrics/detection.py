"""Scores of boxes, as a function of numpy arrays."""

import warnings
from collections.abc import Mapping, Sequence

import numpy as np

from keras_patching._checks import as_boxes, check_optional, check_share
from keras_patching._types import ArrayLike
from keras_patching.box_geometry import pairwise_iou

# Spaced as COCO does, to the last bit: an IoU may equal a threshold.
COCO_IOU_THRESHOLDS = tuple(np.linspace(0.5, 0.95, 10).tolist())
_RECALLS = np.linspace(0, 1, 101)

# Pairs of detections and true boxes that are compared at once.
_MOST_PAIRS = 1_000_000

# Where the score is at most `_POOR`, true boxes are tried in other formats, and
# a warning says so if one of them scores at least `_GOOD`. Fewer boxes than
# `_ENOUGH` may fit by chance.
_POOR, _GOOD, _ENOUGH = 0.1, 0.5, 5
_OTHER_FORMATS = {
    "y1, x1, y2, x2": lambda boxes: boxes[:, [1, 0, 3, 2]],
    "x, y, width, height": lambda boxes: np.hstack(
        [boxes[:, :2], boxes[:, :2] + boxes[:, 2:]]
    ),
}


def average_precision(
    detections: Sequence[Mapping[str, ArrayLike]],
    truths: Sequence[Mapping[str, ArrayLike]],
    iou_thresholds: Sequence[float] = (0.5,),
    max_detections: int | None = None,
) -> dict[str, float]:
    """Score boxes as COCO does: the area below precision over recall.

    From the best score on, a box is a hit if its IoU with a true box of its
    image and class, not hit before, is at least the threshold; it hits the one
    with the highest. Precision, made to never rise with recall, is
    averaged over the recalls 0, 0.01, ... 1, and the result over the classes
    that occur in the truth.

    The numbers are those of pycocotools for objects of all sizes, without
    crowds.

    Source: https://cocodataset.org/#detection-eval

    Args:
        detections: List of dicts, one per image: `"boxes"`, `(n, 4)` of x1,
            y1, x2, y2 in pixels; `"scores"` and `"labels"`, `(n,)`. No
            padding.
        truths: List of dicts of `"boxes"` and `"labels"`, in the same order of
            images.
        iou_thresholds: Intersections over union from 0 to 1, of which
            `COCO_IOU_THRESHOLDS` are COCO's ten: 0.5, 0.55, ... 0.95.
        max_detections: How many boxes count per image and class, the best
            ones; None for all. COCO's own tables count 100.

    Returns:
        Dict of floats: `ap50` for the threshold 0.5, and so on; with several
        thresholds, also their mean, `ap50_95` for the first and the last. Not
        a number where there is nothing in the truth. A warning says so if
        true boxes with swapped axes, or as a corner and a size, would fit.

    Raises:
        ValueError: If the images are not as many, or their scores, labels and
            boxes; a box is not x1 <= x2, y1 <= y2 of finite numbers, a score
            not a number, or a threshold not from 0 to 1.

    Example:

    >>> truth = {"boxes": [[0, 0, 9, 9], [20, 0, 29, 9]], "labels": [0, 0]}
    >>> found = {"boxes": [[0, 0, 9, 8]], "scores": [0.7], "labels": [0]}
    >>> keras_patching.metrics.average_precision([found], [truth])
    {'ap50': 0.504950495049505}
    """
    check_optional(max_detections, "max_detections", 0)
    detections, truths = checked_images(detections, truths)
    thresholds = np.array(
        [check_share(each, "iou_thresholds") for each in iou_thresholds]
    )
    scores = _score(detections, truths, thresholds, max_detections)
    _warn_of_format(scores, detections, truths, thresholds[:1], max_detections)
    return _named(scores, thresholds)


def checked_images(detections, truths):
    """Return detections and truths of images as lists of dicts of arrays."""
    _check_as_many("images", detections, truths)
    detections = [
        _checked(each, ("scores", "labels"), f"detections[{index}]")
        for index, each in enumerate(detections)
    ]
    truths = [
        _checked(each, ("labels",), f"truths[{index}]")
        for index, each in enumerate(truths)
    ]
    return detections, truths


def _score(detections, truths, thresholds, max_detections):
    """Return the mean over classes of the average precision, `(t,)`."""
    classes = np.unique([label for t in truths for label in t["labels"]])
    per_class = [
        _precision_of_class(
            detections, truths, label, thresholds, max_detections
        )
        for label in classes
    ]
    if not per_class:
        per_class.append(np.full(len(thresholds), np.nan))
    return np.mean(per_class, axis=0)


def _warn_of_format(scores, detections, truths, thresholds, max_detections):
    """Warn where true boxes in another format would fit far better."""
    num_true = sum(len(truth["boxes"]) for truth in truths)
    if num_true < _ENOUGH or scores[0] > _POOR:
        return
    for boxes, change in _OTHER_FORMATS.items():
        changed = [{**t, "boxes": change(t["boxes"])} for t in truths]
        better = _score(detections, changed, thresholds, max_detections)[0]
        if better > _GOOD:
            warnings.warn(
                f"The score of {scores[0]:.2f} would be {better:.2f} if the "
                f"true boxes were {boxes}: they must be x1, y1, x2, y2 in "
                "pixels.",
                stacklevel=3,
            )
            return


def _named(values, thresholds):
    percents = [f"{100 * threshold:g}" for threshold in thresholds]
    scores = {
        f"ap{percent}": float(value)
        for percent, value in zip(percents, values, strict=True)
    }
    if len(percents) > 1:
        scores[f"ap{percents[0]}_{percents[-1]}"] = float(values.mean())
    return scores


def _check_as_many(what, first, second):
    if len(first) != len(second):
        raise ValueError(
            f"Scoring needs as many {what}. "
            f"Received: {len(first)} and {len(second)}"
        )


def _checked(image, names, place):
    """Return the boxes of an image and what belongs to them, as arrays."""
    missing = [name for name in ("boxes", *names) if name not in image]
    if missing:
        raise ValueError(
            f"Boxes of an image are a dict of boxes and {' and '.join(names)}. "
            f"Received: {place} without {missing}"
        )
    arrays = {"boxes": as_boxes(image["boxes"], f"boxes of {place}")}
    _check_corners(arrays["boxes"], place)
    for name in names:
        arrays[name] = np.asarray(image[name]).reshape(-1)
        _check_as_many(f"{name} as boxes", arrays[name], arrays["boxes"])
    if np.isnan(arrays.get("scores", np.zeros(0)).astype("float64")).any():
        raise ValueError(f"Scores must be numbers. Received: {place} has NaN")
    return arrays


def _check_corners(boxes, place):
    right = (boxes[:, :2] <= boxes[:, 2:]).all(axis=1)
    if not right.all():
        index = int(np.argmin(right))
        raise ValueError(
            "Boxes must be x1, y1, x2, y2 in pixels, with x1 <= x2 and "
            "y1 <= y2; not, say, a corner and a size. "
            f"Received: {place} has boxes[{index}]={boxes[index].tolist()}"
        )


def _best_of_class(detections, label, max_detections):
    """Return `(boxes, scores)` of a class in an image, best first."""
    of_class = np.flatnonzero(detections["labels"] == label)
    scores = detections["scores"][of_class].astype("float64")
    # Stable, as in COCO: of equal scores the first is the better one.
    order = np.argsort(-scores, kind="stable")[:max_detections]
    return detections["boxes"][of_class[order]], scores[order]


def _precision_of_class(detections, truths, label, thresholds, max_detections):
    """Return the average precision of a class at each threshold, `(t,)`."""
    hits, _, num_true = hits_of_class(
        detections, truths, label, thresholds, max_detections
    )
    return np.array([area_below(of_one, num_true) for of_one in hits.T])


def hits_of_class(detections, truths, label, thresholds, max_detections=None):
    """Tell which detections of a class are hits, best first.

    Args:
        detections, truths: As `checked_images` gives them.
        label: The class.
        thresholds: Array `(t,)`.
        max_detections: As for `average_precision`.

    Returns:
        Bool array `(n, t)`, scores `(n,)`, and the number of true boxes.
    """
    best = [_best_of_class(each, label, max_detections) for each in detections]
    true_boxes = [each["boxes"][each["labels"] == label] for each in truths]
    hits = np.concatenate(
        [
            _find_hits(boxes, true, thresholds)
            for (boxes, _), true in zip(best, true_boxes, strict=True)
        ]
    )
    scores = np.concatenate([scores for _, scores in best])
    order = np.argsort(-scores, kind="stable")
    return hits[order], scores[order], sum(map(len, true_boxes))


def _find_hits(boxes, true_boxes, thresholds):
    """Tell which boxes of an image hit a true one, at each threshold.

    Args:
        boxes: Array `(n, 4)`, best first.
        true_boxes: Array `(m, 4)`.
        thresholds: Array `(t,)`.

    Returns:
        Bool array `(n, t)`.
    """
    thresholds = np.minimum(thresholds, 1 - 1e-10)
    hits = np.zeros((len(boxes), len(thresholds)), bool)
    free = np.ones((len(thresholds), len(true_boxes)), bool)
    for i, ious in _near_ones(boxes, true_boxes, thresholds.min()):
        candidates = np.where(free, ious, -1)
        # The last of equals, as in COCO.
        best = len(ious) - 1 - candidates[:, ::-1].argmax(axis=1)
        hits[i] = candidates[range(len(thresholds)), best] >= thresholds
        free[hits[i], best[hits[i]]] = False
    return hits


def _near_ones(boxes, true_boxes, lowest):
    """Yield index and IoUs, of the boxes that are near any true one."""
    step = _MOST_PAIRS // max(len(true_boxes), 1) + 1
    for start in range(0, len(boxes), step):
        ious = pairwise_iou(boxes[start : start + step], true_boxes)
        near = (ious >= lowest).any(axis=1)
        yield from ((start + i, ious[i]) for i in np.flatnonzero(near))


def area_below(hits, num_true):
    """Average the precision over 101 recalls, from hits in order of score."""
    found = np.cumsum(hits)
    precision = found / np.arange(1, len(hits) + 1)
    # The best precision that is to be had at this recall or beyond.
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    reached = np.searchsorted(found / num_true, _RECALLS)
    return np.append(precision, np.zeros(1))[reached].mean()
