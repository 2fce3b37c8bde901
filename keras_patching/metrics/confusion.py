"""Scores of masks of whole images, as functions of numpy arrays."""

import numpy as np

from keras_patching._types import NDArray


def confusion_matrix(
    true_mask: NDArray,
    mask: NDArray,
    num_classes: int,
    ignore_value: int | None = None,
) -> NDArray:
    """Count the pixels of each pair of a true and a predicted class.

    Args:
        true_mask: Integer array `(height, width)` of class ids, or of
            `ignore_value`.
        mask: Integer array of the same shape, of class ids.
        num_classes: Number of classes.
        ignore_value: Value of true pixels that do not count; `None` if all do.

    Returns:
        int64 `(num_classes, num_classes)`: true classes in rows, predicted
        ones in columns. Sum those of several images.

    Raises:
        ValueError: If the masks are not as large, or hold other classes.

    Example:

    >>> true_mask, mask = np.array([[0, 1, 1]]), np.array([[0, 0, 1]])
    >>> keras_patching.metrics.confusion_matrix(true_mask, mask, 2).tolist()
    [[1, 0], [1, 1]]
    """
    if true_mask.shape != mask.shape:
        raise ValueError(
            "True and predicted mask must be as large. Received: shapes "
            f"{true_mask.shape} and {mask.shape}"
        )
    if ignore_value is not None:
        is_labelled = true_mask != ignore_value
        true_mask, mask = true_mask[is_labelled], mask[is_labelled]
    for name, classes in (("true_mask", true_mask), ("mask", mask)):
        _check_classes(classes, name, num_classes)
    pairs = true_mask.astype("int64") * num_classes + mask
    counts = np.bincount(pairs.ravel(), minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes)


def _check_classes(classes, name, num_classes):
    lowest = classes.min(initial=0)
    highest = classes.max(initial=0)
    if lowest < 0 or highest >= num_classes:
        raise ValueError(
            f"`{name}` must hold classes from 0 to {num_classes - 1}, or "
            "`ignore_value` where it is true. Received: "
            f"{name} of values from {lowest} to {highest}"
        )


def iou_per_class(confusion):
    """Return the intersection over union of each class that occurs at all.

    Args:
        confusion: As of `confusion_matrix`, or a sum of these.

    Returns:
        Dict of floats, `iou_<class>`.
    """
    intersection = np.diag(confusion)
    union = confusion.sum(axis=0) + confusion.sum(axis=1) - intersection
    return {
        f"iou_{index}": float(intersection[index] / union[index])
        for index in np.flatnonzero(union)
    }
