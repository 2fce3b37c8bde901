"""Models that train on patches and predict whole images, a folder per task.

A new task is a folder with a `TaskModel` and its loaders, and a module in
`inference.reports`; what tasks share is in `task_model` and `patched_model`.
"""

from keras_patching.models.counting.heatmap_object_counting_model import (
    HeatmapObjectCountingModel,
)
from keras_patching.models.detection.anchors import fit_anchors
from keras_patching.models.detection.object_detection_model import (
    ObjectDetectionModel,
)
from keras_patching.models.patched_model import PatchedModel
from keras_patching.models.segmentation.semantic_segmentation_model import (
    SemanticSegmentationModel,
)

__all__ = [
    "HeatmapObjectCountingModel",
    "ObjectDetectionModel",
    "PatchedModel",
    "SemanticSegmentationModel",
    "fit_anchors",
]
