"""The losses of the tasks, a file each."""

from keras_patching.losses.density_map_loss import DensityMapLoss
from keras_patching.losses.segmentation_loss import SegmentationLoss
from keras_patching.losses.yolo_loss import YoloLoss

__all__ = ["DensityMapLoss", "SegmentationLoss", "YoloLoss"]
