"""Models are built as soon as patch model and channels are known."""

import abc

import keras
import numpy as np
import pytest

from keras_patching import (
    HeatmapObjectCountingModel,
    ObjectDetectionModel,
    PatchedModel,
    SemanticSegmentationModel,
)


def convolution():
    return keras.layers.Conv2D(2, 3, padding="same", activation="softmax")


def functional(channels=3):
    inputs = keras.Input((None, None, channels))
    return keras.Model(inputs, convolution()(inputs))


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.convolution = convolution()

    def call(self, inputs):
        return self.convolution(inputs)


def counter():
    inputs = keras.Input((None, None, 3))
    return keras.Model(inputs, keras.layers.Conv2D(1, 3)(inputs))


def detector():
    inputs = keras.Input((None, None, 3))
    return keras.Model(inputs, keras.layers.Conv2D(30, 1)(inputs))


@pytest.mark.parametrize(
    "make",
    [
        lambda: SemanticSegmentationModel(2, functional()),
        lambda: HeatmapObjectCountingModel(counter()),
        lambda: ObjectDetectionModel(detector()),
    ],
    ids=["segmentation", "counting", "detection"],
)
def test_a_task_model_is_whole_before_its_first_call(make, tmp_path):
    model = make()
    assert model.count_params() > 0
    model.summary(print_fn=lambda text: None)
    model.save_weights(tmp_path / "model.weights.h5")
    other = make()
    other.load_weights(tmp_path / "model.weights.h5")
    for ours, theirs in zip(
        model.get_weights(), other.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


def test_the_summary_shows_shapes_once_there_is_a_patch_size():
    model = SemanticSegmentationModel(2, functional())
    model.set_patch_size(8)
    lines = []
    model.summary(print_fn=lines.append)
    assert "(None, None, None, 2)" in "".join(lines)


def test_a_training_is_backed_up_from_the_start(tmp_path):
    model = SemanticSegmentationModel(2, functional(), patch_size=8)
    model.compile("sgd")
    backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
    patches, masks = np.zeros((2, 8, 8, 3)), np.zeros((2, 8, 8), "uint8")
    model.fit(patches, masks, callbacks=[backup], verbose=0)


@pytest.mark.parametrize(
    "make", [Subclassed, lambda: keras.Sequential([convolution()])]
)
def test_a_patch_model_without_weights_gets_them_with_the_patch_size(make):
    model = SemanticSegmentationModel(2, make(), activation="softmax")
    assert not model.built
    model.set_patch_size(8)
    assert model.count_params() == 56
    model = PatchedModel(make(), patch_size=8)  # Of unknown channels.
    assert not model.built
    image = np.zeros((1, 20, 9, 4), "float32")  # The first call tells.
    assert model.predict(image, verbose=0).shape == (1, 20, 9, 2)


def test_channels_are_those_of_the_patch_model():
    assert PatchedModel(functional(5)).count_params() == 92
    assert SemanticSegmentationModel(2, functional(5)).count_params() == 92


class Measured(SemanticSegmentationModel):
    """Adds a metric after the constructor of its base."""

    def __init__(self, **kwargs):
        super().__init__(2, functional(), **kwargs)
        self.seen = keras.metrics.Sum(name="seen")

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        self.seen.update_state(keras.ops.ones_like(y))
        return super().compute_metrics(x, y, y_pred, sample_weight)


def test_subclasses_may_add_to_a_model_in_their_constructors():
    model = Measured(patch_size=8)
    assert model.built
    model.compile("sgd")
    patches, masks = np.zeros((2, 8, 8, 3)), np.zeros((2, 8, 8), "uint8")
    logs = model.evaluate(patches, masks, return_dict=True, verbose=0)
    assert logs["seen"] == 128


class WithHead(PatchedModel):
    """Has a layer of its own, which its first call builds."""

    def __init__(self, patch_model, **kwargs):
        super().__init__(patch_model, **kwargs)
        self.head = keras.layers.Conv2D(1, 1)

    def call(self, inputs, training=None):
        return self.head(super().call(inputs, training=training))


def test_layers_that_a_subclass_adds_are_trained():
    model = WithHead(functional(), patch_size=8)
    model.compile("adam", "mse")
    patches, targets = np.ones((2, 8, 8, 3)), np.ones((2, 8, 8, 1))
    model.fit(patches, targets, verbose=0)
    before = model.get_weights()
    model.fit(patches, targets, verbose=0)
    assert len(before) == 4
    for old, new in zip(before, model.get_weights(), strict=True):
        assert np.abs(old - new).max() > 0
    assert model.predict(patches, verbose=0).shape == (2, 8, 8, 1)


def test_a_model_may_be_abstract_too():
    class Abstract(PatchedModel, abc.ABC):
        pass

    assert Abstract(functional(), patch_size=8).count_params() == 56


def test_layers_and_metrics_are_added_to_a_model_that_is_not_used_yet():
    model = SemanticSegmentationModel(2, functional(), patch_size=8)
    model.compile("sgd")
    model.extra = keras.layers.Dense(1)
    model.seen = keras.metrics.Sum(name="seen")
    assert model.seen in model.metrics
    assert model.count_params() == 56


def test_weights_are_there_as_soon_as_they_can_be(tmp_path):
    model = SemanticSegmentationModel(2, Subclassed(), activation="softmax")
    model.set_patch_size(8)
    assert [weight.shape for weight in model.get_weights()] == [
        (3, 3, 3, 2),
        (2,),
    ]
    keras.saving.save_model(
        SemanticSegmentationModel(2, functional()), tmp_path / "model.keras"
    )
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.count_params() == 56
