"""All that `keras_patching` gives, imported at once.

In a module of its own, since a command imports it only when it is asked for.
Its `__all__` is for type checkers: these are no names that it only uses.
"""

from keras_patching._backend import choose_backend

choose_backend()

from keras_patching import (
    callbacks,
    data,
    inference,
    layers,
    losses,
    metrics,
    models,
    visualization,
)
from keras_patching.data import (
    ImageSequence,
    PatchingSequence,
    YoloPatchSampler,
    read_boxes,
    read_points,
)
from keras_patching.geometry import PatchGrid
from keras_patching.inference import check_leakage, verify_tiling
from keras_patching.layers import PatchedPredictor
from keras_patching.losses import DensityMapLoss, SegmentationLoss, YoloLoss
from keras_patching.models import (
    HeatmapObjectCountingModel,
    ObjectDetectionModel,
    PatchedModel,
    SemanticSegmentationModel,
    fit_anchors,
)
from keras_patching.models.counting.loaders import (
    load_heatmap_dataset_with_csv_from_directory,
    load_heatmap_dataset_with_heatmap_files_from_directory,
    load_heatmap_dataset_with_json_files_from_directory,
)
from keras_patching.models.detection.loaders import (
    load_yolo_dataset_from_directory,
)
from keras_patching.models.segmentation.loaders import (
    load_dataset_from_directory_with_segmentation_masks,
)
from keras_patching.receptive_fields.walk import receptive_field

__all__ = [
    "DensityMapLoss",
    "HeatmapObjectCountingModel",
    "ImageSequence",
    "ObjectDetectionModel",
    "PatchGrid",
    "PatchedModel",
    "PatchedPredictor",
    "PatchingSequence",
    "SegmentationLoss",
    "SemanticSegmentationModel",
    "YoloLoss",
    "YoloPatchSampler",
    "callbacks",
    "check_leakage",
    "data",
    "fit_anchors",
    "inference",
    "layers",
    "load_dataset_from_directory_with_segmentation_masks",
    "load_heatmap_dataset_with_csv_from_directory",
    "load_heatmap_dataset_with_heatmap_files_from_directory",
    "load_heatmap_dataset_with_json_files_from_directory",
    "load_yolo_dataset_from_directory",
    "losses",
    "metrics",
    "models",
    "read_boxes",
    "read_points",
    "receptive_field",
    "verify_tiling",
    "visualization",
]
