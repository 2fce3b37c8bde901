"""Heatmap object counting."""

from keras_patching.models.counting.heatmap_object_counting_model import (
    HeatmapObjectCountingModel,
)
from keras_patching.models.counting.loaders import (
    load_dataset_from_directory_with_segmentation_masks,
    load_heatmap_dataset_with_csv_from_directory,
    load_heatmap_dataset_with_json_files_from_directory,
    read_points,
)

__all__ = [
    "HeatmapObjectCountingModel",
    "load_dataset_from_directory_with_segmentation_masks",
    "load_heatmap_dataset_with_csv_from_directory",
    "load_heatmap_dataset_with_json_files_from_directory",
    "read_points",
]
