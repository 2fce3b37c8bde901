"""Train Keras models on patches of large images, predict whole images."""

import importlib

from keras_patching._backend import is_command_line

__version__ = "0.1.0"

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
    "__version__",
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

if is_command_line():
    # It imports what it needs when it runs.
    def __getattr__(name):
        """Give what a user's own module asks for while a command runs."""
        if name in __all__:
            public = importlib.import_module("keras_patching._public")
            return getattr(public, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

else:
    from keras_patching._public import *
