"""Models that train on patches and predict whole images, a folder per task.

A new task is a folder with a `TaskModel` and its loaders, and a module in
`inference.reports`; what tasks share is in `task_model` and `patched_model`.

A patch model is any Keras model: here an encoder of `keras.applications` with a
small decoder. What it ends in (softmax, a sigmoid channel, logits) is read off
its last layer.

Example:

>>> encoder = keras.applications.MobileNetV2(
...     input_shape=(None, None, 3), alpha=0.35, include_top=False, weights=None
... )
>>> names = [f"block_{index}_expand_relu" for index in (1, 3, 6, 13)]
>>> skips = [encoder.get_layer(name).output for name in names]
>>> inputs = keras.Input((None, None, 3))
>>> x = keras.layers.Rescaling(1 / 127.5, offset=-1)(inputs)
>>> *skips, x = keras.Model(encoder.inputs, skips)(x)
>>> for skip in reversed(skips):
...     x = keras.layers.UpSampling2D()(x)
...     x = keras.layers.Concatenate()([x, skip])
...     x = keras.layers.Conv2D(48, 3, padding="same", activation="relu")(x)
>>> x = keras.layers.UpSampling2D()(x)
>>> x = keras.layers.Conv2D(3, 3, padding="same", activation="softmax")(x)
>>> model = keras_patching.SemanticSegmentationModel(
...     num_classes=3, patch_model=keras.Model(inputs, x)
... )
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
