"""Scores of masks of whole images, as functions of numpy arrays."""

import numpy as np


def confusion_matrix(true_mask, mask, num_classes, ignore_value=None):
    """Count the pixels of each pair of a true and a predicted class.

    Args:
        true_mask: Integer array `(height, width)` of class ids, or of
            `ignore_value`.
        mask: Integer array of the same shape, of class ids.
        num_classes: Number of classes.
        ignore_value: Value of true pixels that do not count; `None` if all do.

    Returns:
        int64 `(num_classes, num_classes)`: true classes in rows, predicted
        ones in columns.
    """
    true_mask = true_mask.astype("int64")
    pairs = true_mask * num_classes + mask
    if ignore_value is not None:
        pairs = pairs[true_mask != ignore_value]
    counts = np.bincount(pairs.ravel(), minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes)


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
