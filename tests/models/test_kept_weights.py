"""What a training has learned outlives the exception that ends it."""

import keras
import numpy as np
import pytest
from training_a_share import Interrupt

from keras_patching import PatchedModel

PATCHES = np.random.default_rng(0).random((8, 8, 8, 3)).astype("float32")
TARGETS = np.zeros((8, 8, 8, 2), "float32")


@pytest.fixture
def model():
    patch_model = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.Conv2D(2, 3, padding="same"),
        ]
    )
    return PatchedModel(patch_model, patch_size=8)


def weights_of(model):
    return [np.array(weight) for weight in model.get_weights()]


@pytest.mark.parametrize(
    "how",
    [{}, {"jit_compile": False}, {"run_eagerly": True}],
    ids=["compiled", "not compiled", "eager"],
)
@pytest.mark.parametrize("is_looked_at", [False, True])
def test_an_interrupted_training_keeps_what_it_learned(
    model, how, is_looked_at
):
    model.compile("adam", "mse", **how)
    model.fit(PATCHES, TARGETS, batch_size=4, verbose=0)
    before = weights_of(model)
    views = model.get_weights() if is_looked_at else None
    with pytest.raises(KeyboardInterrupt):
        model.fit(
            PATCHES,
            TARGETS,
            batch_size=4,
            epochs=5,
            callbacks=[Interrupt(3)],
            verbose=0,
        )
    assert int(model.optimizer.iterations) == 5
    for old, new in zip(before, weights_of(model), strict=True):
        assert np.abs(old - new).max() > 0
    model.fit(PATCHES, TARGETS, batch_size=4, verbose=0)
    assert int(model.optimizer.iterations) == 7
    if is_looked_at and keras.backend.backend() == "jax":
        # Views of the others are of the memory that is trained.
        for old, view in zip(before, views, strict=True):
            np.testing.assert_array_equal(old, view)


def test_a_model_trains_on_after_its_first_step_failed(model):
    model.compile("adam", "mse")
    before = weights_of(model)
    with pytest.raises(Exception, match=r"."):
        model.fit(PATCHES, np.zeros((8, 5, 7, 9)), verbose=0)
    for old, new in zip(before, weights_of(model), strict=True):
        np.testing.assert_array_equal(old, new)
    model.fit(PATCHES, TARGETS, verbose=0)
    assert int(model.optimizer.iterations) == 1
    model.evaluate(PATCHES, TARGETS, verbose=0)


def test_what_was_learned_outlives_a_validation_that_fails(model):
    model.compile("adam", "mse")
    before = weights_of(model)
    with pytest.raises(Exception, match=r"."):
        model.fit(
            PATCHES,
            TARGETS,
            validation_data=(PATCHES, np.zeros((8, 5, 7, 9))),
            verbose=0,
        )
    assert int(model.optimizer.iterations) == 1
    for old, new in zip(before, weights_of(model), strict=True):
        assert np.abs(old - new).max() > 0
