"""Demonstrations on made-up data, one module per task.

Each does what a user would do with data of their own, and prints at every
step the call that it stands for. They need the core installation only. The
steps that they share are in `console`, the images in `drawing`, and what the
models are compared with in `thresholding`.
"""

from keras_patching.demos.counting import counting_demo
from keras_patching.demos.detection import detection_demo
from keras_patching.demos.drawing.fields import (
    write_plant_field,
    write_seedling_field,
)
from keras_patching.demos.segmentation import segmentation_demo

__all__ = [
    "TASKS",
    "counting_demo",
    "detection_demo",
    "segmentation_demo",
    "write_plant_field",
    "write_seedling_field",
]

TASKS = {
    "segmentation": segmentation_demo,
    "counting": counting_demo,
    "detection": detection_demo,
}
