"""A net that works at half the scale of its images, by itself."""

import keras
import numpy as np
import pytest

import keras_patching as kp

RNG = np.random.default_rng(0)
PATCHES = RNG.integers(0, 256, (4, 8, 8, 3), "uint8")
IMAGE = RNG.integers(0, 256, (1, 21, 14, 3), "uint8")


def at_half_the_scale(channels, activation):
    net = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(
                channels, 3, padding="same", activation=activation
            ),
        ]
    )
    return keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.AveragePooling2D(2),
            net,
            keras.layers.UpSampling2D(2, interpolation="bilinear"),
        ]
    )


def segmenter():
    net = at_half_the_scale(2, "softmax")
    model = kp.SemanticSegmentationModel(2, net, patch_size=8, overlap="auto")
    return model, np.zeros((4, 8, 8), "uint8")


def counter():
    net = at_half_the_scale(1, "linear")
    model = kp.HeatmapObjectCountingModel(net, patch_size=8, overlap="auto")
    return model, np.zeros((4, 8, 8), "float32")


@pytest.mark.parametrize("make", [segmenter, counter])
def test_labels_and_results_are_in_pixels_of_the_files(make):
    model, targets = make()
    model.compile(keras.optimizers.SGD(1e-6))
    model.fit(PATCHES, targets, verbose=0)
    whole = np.pad(IMAGE, ((0, 0), (0, 1), (0, 0), (0, 0)))
    expected = keras.ops.convert_to_numpy(model.patch_model(whole))[:, :21]
    if model.task == "counting":
        expected = expected / model.density_scale
    model.set_tiling(overlap="auto", predict_patch_size=(4, None))
    np.testing.assert_allclose(
        model.predict(IMAGE, verbose=0), expected, rtol=1e-3, atol=1e-5
    )
