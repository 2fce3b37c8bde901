"""Scores of whole images, as functions of numpy arrays."""

from keras_patching.metrics.counting import count_errors, localization_scores
from keras_patching.metrics.detection import (
    COCO_IOU_THRESHOLDS,
    average_precision,
)

__all__ = [
    "COCO_IOU_THRESHOLDS",
    "average_precision",
    "count_errors",
    "localization_scores",
]
