"""A patch model that was compiled before leaves the logs of `fit` alone."""

import keras
import numpy as np
import pytest

from keras_patching import (
    PatchedModel,
    PatchedPredictor,
    SegmentationLoss,
    SemanticSegmentationModel,
)

IMAGES = np.random.default_rng(0).random((4, 8, 8, 3)).astype("float32")
MASKS = np.random.default_rng(1).integers(0, 2, (4, 8, 8)).astype("uint8")


def convolution():
    return keras.layers.Conv2D(2, 3, padding="same", activation="softmax")


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.convolution = convolution()

    def call(self, inputs):
        return self.convolution(inputs)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], 2)


class Around(keras.layers.Layer):
    """A layer with a model in it."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def build(self, input_shape):
        self.built = True

    def call(self, inputs):
        return self.model(inputs)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], 2)


def sequential():
    return keras.Sequential([keras.Input((None, None, 3)), convolution()])


def functional():
    inputs = keras.Input((None, None, 3))
    return keras.Model(inputs, convolution()(inputs))


def compiled(model):
    model.compile("sgd", SegmentationLoss(2), metrics=["accuracy"])
    return model


def trained(model):
    compiled(model).fit(IMAGES, MASKS, verbose=0)
    return model


def loaded(model, tmp_path):
    trained(model).save(tmp_path / "model.keras")
    return keras.saving.load_model(tmp_path / "model.keras")


PATCH_MODELS = {
    "compiled sequential": lambda _: compiled(sequential()),
    "trained functional": lambda _: trained(functional()),
    "loaded functional": lambda path: loaded(functional(), path),
    "compiled subclass": lambda _: compiled(Subclassed()),
    "compiled patched model": lambda _: compiled(PatchedModel(functional(), 8)),
    "compiled model in a layer": lambda _: Around(compiled(functional())),
}


def task(patch_model):
    return SemanticSegmentationModel(
        2,
        patch_model,
        activation="softmax",
        patch_size=8,
        value_range=(0, 1),
    )


def base(patch_model):
    return PatchedModel(patch_model, 8)


def plain(patch_model):
    return keras.Sequential(
        [keras.Input((None, None, 3)), PatchedPredictor(patch_model, 8)]
    )


@pytest.mark.parametrize(
    ("kind", "wrap"),
    [
        ("compiled sequential", base),
        ("trained functional", plain),
        ("trained functional", task),
        ("loaded functional", plain),
        ("loaded functional", task),
        ("compiled subclass", task),
        ("compiled patched model", plain),
        ("compiled patched model", task),
        ("compiled model in a layer", base),
    ],
)
def test_logs_are_those_of_the_model_that_is_trained(kind, wrap, tmp_path):
    model = wrap(PATCH_MODELS[kind](tmp_path))
    loss = SegmentationLoss(2)
    model.compile(keras.optimizers.SGD(0.0), loss, metrics=["accuracy"])
    stop = keras.callbacks.EarlyStopping("val_loss")
    logs = model.fit(
        IMAGES,
        MASKS,
        validation_data=(IMAGES, MASKS),
        callbacks=[stop],
        verbose=0,
    ).history
    evaluated = model.evaluate(IMAGES, MASKS, return_dict=True, verbose=0)
    predicted = model.predict(IMAGES, verbose=0)
    expected = float(loss(MASKS, predicted))
    accuracy = (predicted.argmax(-1) == MASKS).mean()
    assert float(stop.best) == pytest.approx(expected, rel=1e-4)
    for found in (logs["loss"][0], logs["val_loss"][0], evaluated["loss"]):
        assert found == pytest.approx(expected, rel=1e-4)
    assert evaluated["accuracy"] == pytest.approx(accuracy)
    assert logs["val_accuracy"][0] == pytest.approx(accuracy)


class Meter(keras.layers.Layer):
    """Watches its inputs."""

    def __init__(self):
        super().__init__()
        self.brightness = keras.metrics.Mean(name="brightness")

    def call(self, inputs):
        self.brightness.update_state(keras.ops.mean(inputs))
        return inputs


@pytest.mark.skipif(
    keras.backend.backend() == "jax",
    reason="Keras on jax trains no layer that updates a metric",
)
@pytest.mark.parametrize("wrap", [base, plain])
def test_what_a_layer_measures_stays_in_the_logs(wrap):
    inputs = keras.Input((None, None, 3))
    outputs = convolution()(Meter()(inputs))
    model = wrap(compiled(keras.Model(inputs, outputs)))
    model.compile("sgd", SegmentationLoss(2))
    logs = model.evaluate(IMAGES, MASKS, return_dict=True, verbose=0)
    assert set(logs) == {"loss", "brightness"}
    assert logs["brightness"] == pytest.approx(IMAGES.mean(), rel=1e-4)
