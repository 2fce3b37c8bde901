"""Patch models whose predictions are averaged."""

import checks
import keras
import networks
import numpy as np
import pytest

import keras_patching as kp
from keras_patching.layers import Ensemble, RowStream


def net(seed, activation="softmax", channels=2):
    layer = keras.layers.Conv2D(
        channels, 3, padding="same", activation=activation
    )
    model = keras.Sequential([keras.Input((None, None, 3)), layer])
    return networks.fill(model, seed)


def draw(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def test_the_layer_keeps_what_keras_promises(tmp_path):
    def arguments():
        return {
            "patch_models": [net(0), net(1)],
            "spread": False,
            "from_logits": True,
        }

    checks.check_layer(Ensemble, arguments, draw(2, 12, 20, 3), tmp_path)


def test_mean_and_spread_are_those_of_its_members():
    image, nets = draw(1, 9, 7, 3), [net(seed) for seed in range(3)]
    each = np.stack([n.predict(image, verbose=0) for n in nets])
    found = Ensemble(nets, spread=True)(image)
    found = {k: keras.ops.convert_to_numpy(v) for k, v in found.items()}
    np.testing.assert_allclose(found["mean"], each.mean(0), atol=1e-6)
    np.testing.assert_allclose(found["spread"], each.std(0), atol=1e-6)


def test_it_streams_rows_and_leaves_no_seam():
    nets = [
        networks.fill(make())
        for make in (networks.default_unet, networks.strided_unet)
    ]
    nets[1] = keras.Sequential([nets[1], keras.layers.Conv2D(2, 1)])
    image = draw(1, 48, 40, 1)
    nets[1](image)
    ensemble = Ensemble(nets)
    expected = sum(n.predict(image, verbose=0) for n in nets) / 2
    stream = RowStream(ensemble, rows=16)
    assert stream.stride == (8, 8)
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(stream(image)), expected, atol=1e-5
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Ensemble([net(0)]), "two or more"),
        (lambda: Ensemble([net(0)] * 2), "there once"),
        (
            lambda: Ensemble([net(0), kp.PatchedModel(net(1), 8)]),
            "load_ensemble",
        ),
        (
            lambda: Ensemble([net(0), net(1, channels=3)])(draw(1, 8, 8, 3)),
            "of one shape",
        ),
        (
            lambda: kp.SemanticSegmentationModel(
                2, Ensemble([net(0, "linear"), net(1, "linear")])
            ),
            "from_logits=True",
        ),
    ],
)
def test_what_has_no_mean_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
