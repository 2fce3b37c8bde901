"""What is compiled for sizes of images that nobody uses any more is freed."""

import gc
import weakref

import keras
import numpy as np
import pytest

from keras_patching import PatchedModel
from keras_patching.ops.compiling import FunctionsBySize

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "jax",
    reason="Only jax keeps what it compiled for each size of images.",
)


class Compilations(keras.layers.Layer):
    """Counts how often it is traced for patches in a loop."""

    count = 0

    def call(self, inputs):
        type(self).count += 1
        return inputs

    def compute_output_shape(self, input_shape):
        return input_shape


def small_model(most):
    patch_model = keras.Sequential(
        [keras.Input((None, None, 1)), Compilations()]
    )
    model = PatchedModel(patch_model, 4)
    model._functions = FunctionsBySize(most)
    return model


def is_compiled(model, *shape):
    """Predict, and tell whether that compiled anything."""
    before = Compilations.count
    model.predict(np.zeros((1, *shape, 1), "float32"), verbose=0)
    return Compilations.count > before


def test_the_sizes_used_last_are_not_compiled_again():
    model = small_model(most=2)
    assert is_compiled(model, 5, 6)
    first = weakref.ref(model.predict_function)
    assert is_compiled(model, 7, 6)
    assert not is_compiled(model, 5, 6)
    assert is_compiled(model, 9, 6)  # That of 7 x 6 goes.
    assert not is_compiled(model, 5, 6)
    assert is_compiled(model, 7, 6)  # That of 9 x 6 goes.
    assert is_compiled(model, 9, 6)  # That of 5 x 6 goes.
    gc.collect()
    assert first() is None


def test_another_tiling_is_predicted_with_for_every_size():
    model = small_model(most=2)
    for size in ((5, 6), (7, 6)):
        is_compiled(model, *size)
    model.set_patch_size(3)
    assert is_compiled(model, 5, 6)
    assert is_compiled(model, 7, 6)
    model.compile("sgd", "mse")
    assert is_compiled(model, 5, 6)


def test_a_prediction_that_fails_forgets_nothing():
    model = small_model(most=2)
    is_compiled(model, 5, 6)
    with pytest.raises(TypeError):
        model.predict(np.zeros((1, 7, 6, 1), "float32"), batch_size="x")
    assert not is_compiled(model, 5, 6)
