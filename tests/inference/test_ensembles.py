"""One model of several saved ones."""

import keras
import networks
import numpy as np
import pytest

import keras_patching as kp
from keras_patching.inference import load_ensemble


def net(seed, channels, activation):
    layer = keras.layers.Conv2D(
        channels, 3, padding="same", activation=activation
    )
    model = keras.Sequential([keras.Input((None, None, 3)), layer])
    return networks.fill(model, seed)


def segmenter(seed, activation="softmax", **arguments):
    return kp.SemanticSegmentationModel(
        2,
        net(seed, 2, activation),
        patch_size=16,
        overlap="auto",
        value_range=(0, 1),
        **arguments,
    )


def counter(seed, **arguments):
    return kp.HeatmapObjectCountingModel(
        net(seed, 1, "relu"), patch_size=16, value_range=(0, 1), **arguments
    )


IMAGES = np.random.default_rng(0).random((1, 40, 30, 3)).astype("float32")


@pytest.mark.parametrize("activation", ["softmax", "linear"])
def test_saved_models_are_averaged_and_saved_again(activation, tmp_path):
    models = [segmenter(seed, activation) for seed in range(2)]
    models[0].save(tmp_path / "0.keras")
    both = load_ensemble([tmp_path / "0.keras", models[1]])

    def probabilities(model):
        predicted = model.predict(IMAGES, verbose=0)
        if activation == "linear":
            return keras.ops.convert_to_numpy(keras.ops.softmax(predicted))
        return predicted

    expected = sum(map(probabilities, models)) / 2
    np.testing.assert_allclose(probabilities(both), expected, atol=1e-6)
    assert (both.patch_size, both.activation) == ((16, 16), activation)
    both.save(tmp_path / "both.keras")
    loaded = kp.inference.load_model(tmp_path / "both.keras")
    np.testing.assert_allclose(probabilities(loaded), expected, atol=1e-6)


def test_the_count_is_the_mean_of_counts():
    models = [counter(seed) for seed in range(3)]
    both = load_ensemble(models)
    counts = [
        model.decode_predictions(model.predict(IMAGES, verbose=0))[0]
        for model in models
    ]
    (found,) = both.decode_predictions(both.predict(IMAGES, verbose=0))
    assert found == pytest.approx(np.mean(counts), rel=1e-5)


@pytest.mark.parametrize(
    ("models", "message"),
    [
        (lambda: [segmenter(0), counter(1)], "of one task"),
        (
            lambda: [segmenter(0), segmenter(1, class_names=["a", "b"])],
            "class_names",
        ),
        (
            lambda: [counter(0), counter(1, density_map_sigma=2)],
            "density_map_sigma",
        ),
        (lambda: "0.keras", "a list of models"),
        (lambda: [segmenter(0)], "two or more"),
    ],
)
def test_models_that_do_not_agree_are_refused(models, message):
    with pytest.raises(ValueError, match=message):
        load_ensemble(models())
