"""Scores of the tasks, a file each.

`counting`, `detection` and `confusion` (of masks) are functions of numpy arrays
of whole images; `segmentation` has Keras metrics, which `compile` takes.
"""

from keras_patching.metrics.box_iou import BoxIoU
from keras_patching.metrics.confusion import confusion_matrix
from keras_patching.metrics.count_error import CountError
from keras_patching.metrics.counting import count_errors, localization_scores
from keras_patching.metrics.detection import (
    COCO_IOU_THRESHOLDS,
    average_precision,
)
from keras_patching.metrics.precision_recall import precision_recall_curves
from keras_patching.metrics.segmentation import (
    DiceScore,
    MeanIoU,
    PixelAccuracy,
)

__all__ = [
    "COCO_IOU_THRESHOLDS",
    "BoxIoU",
    "CountError",
    "DiceScore",
    "MeanIoU",
    "PixelAccuracy",
    "average_precision",
    "confusion_matrix",
    "count_errors",
    "localization_scores",
    "precision_recall_curves",
]
