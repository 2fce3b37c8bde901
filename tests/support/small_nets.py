"""Small nets for code that is shown to users, as they are compiled soon."""

import keras

import keras_patching as kp
from keras_patching.models.detection.yolo_net import yolo_net
from keras_patching.models.unet import unet


def with_small_nets(code, grid_size, num_anchors):
    """Make README or notebook take small nets instead of the default ones.

    Args:
        code: Text of Python code.
        grid_size, num_anchors: Of its detector.

    Returns:
        The code, and a dict of the names that it needs.
    """
    nets = {
        "SemanticSegmentationModel": lambda: unet(2, filters=(4, 4)),
        "HeatmapObjectCountingModel": lambda: unet(1, "linear", filters=(4, 4)),
        "ObjectDetectionModel": lambda: yolo_net(
            grid_size, num_anchors, num_classes=1, filters=(8, 8)
        ),
    }
    for name in nets:
        start = f"kp.{name}("
        code = code.replace(
            start, f"{start}patch_model=small_nets[{name!r}](), "
        )
    assert "small_nets" in code
    return code, {"small_nets": nets}


def counting_model(**tiling):
    """Return a model of one convolution that counts in images from 0 to 1."""
    net = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.Conv2D(1, 5, padding="same", activation="relu"),
        ]
    )
    return kp.HeatmapObjectCountingModel(
        net,
        density_map_sigma=1.5,
        value_range=(0, 1),
        patch_size=32,
        **tiling,
    )
