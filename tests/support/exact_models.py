"""Models that find exactly what is red, or green, for tests of results."""

import keras
import numpy as np
from keras import ops

from keras_patching import (
    HeatmapObjectCountingModel,
    ObjectDetectionModel,
    SemanticSegmentationModel,
)


def red_model(channels=3, **kwargs):
    """A model that finds what is redder than 100, exactly."""
    patch_model = keras.Sequential(
        [
            keras.Input((None, None, channels)),
            keras.layers.Conv2D(2, 1, activation="softmax"),
        ]
    )
    kernel = np.zeros((1, 1, channels, 2))
    kernel[0, 0, 0, 1] = 1
    patch_model.layers[0].set_weights([kernel, np.array([100.5, 0])])
    return SemanticSegmentationModel(
        2, patch_model, patch_size=8, channels=channels, **kwargs
    )


def red_counter(**kwargs):
    """A model whose objects per pixel are the red channel over 1000."""
    patch_model = keras.Sequential(
        [keras.Input((None, None, 3)), keras.layers.Conv2D(1, 1)]
    )
    kernel = np.zeros((1, 1, 3, 1))
    kernel[0, 0, 0, 0] = 1
    patch_model.layers[0].set_weights([kernel, np.zeros(1)])
    return HeatmapObjectCountingModel(
        patch_model,
        density_map_sigma=2.0,
        density_scale=1000,
        patch_size=8,
        **kwargs,
    )


def blocks(outputs):
    """Find 4 x 2 boxes where red or green is lit; the value is the score."""
    found = ops.reshape(outputs, (-1, 64, 3))[..., :2]
    places = ops.arange(64)
    x, y = ops.cast(places % 8, "float32"), ops.cast(places // 8, "float32")
    boxes = ops.stack([x, y, x + 4, y + 2], axis=-1)[None]
    boxes = ops.tile(boxes, (len(found), 1, 1))
    scores = ops.max(found, axis=-1) / 100
    return {
        "boxes": boxes,
        "scores": ops.where(scores > 0, scores, -1.0),
        "labels": ops.argmax(found, axis=-1),
    }


def detector(class_names=("leaf", "fruit"), **kwargs):
    net = keras.Sequential(
        [keras.Input((None, None, 3)), keras.layers.Identity()]
    )
    return ObjectDetectionModel(
        net,
        class_names=class_names,
        prediction_decoder=blocks,
        patch_size=8,
        overlap=4,
        **kwargs,
    )
