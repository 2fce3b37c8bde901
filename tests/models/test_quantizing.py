"""`quantize` makes the patch model one of 8 bits, or says that it cannot."""

import keras
import numpy as np
import pytest

import keras_patching as kp

NOT_QUANTIZED = pytest.mark.filterwarnings(
    "ignore:Layer Conv2D does not have a `quantize:UserWarning",
    "ignore:Layer InputLayer does not have a `quantize:UserWarning",
)


def model_with_dense(**tiling):
    patch_model = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.Conv2D(8, 3, padding="same", activation="relu"),
            keras.layers.Dense(2),
        ]
    )
    return kp.PatchedModel(patch_model, 16, **tiling)


def draw(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def as_array(tensor):
    return keras.ops.convert_to_numpy(tensor)


@NOT_QUANTIZED
def test_what_is_quantized_is_predicted_and_saved(tmp_path):
    model = model_with_dense(overlap="auto", predict_patch_size=(8, None))
    images = draw(1, 24, 16, 3)
    before = model.predict(images, verbose=0)
    list(model.predict_images(images, verbose=False))
    model.quantize("int8")
    dense = model.patch_model.layers[-1]
    assert keras.backend.standardize_dtype(dense._kernel.dtype) == "int8"
    whole = as_array(model.patch_model(images))
    assert 1e-4 < np.abs(whole - before).max() < 0.1
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for each in (model, loaded):
        predicted = each.predict(images, verbose=0)
        np.testing.assert_allclose(predicted, whole, atol=1e-5)
        (one,) = each.predict_images(images, verbose=False)
        np.testing.assert_allclose(one, whole[0], atol=1e-5)


def test_a_net_of_convolutions_is_not_quantized_in_words():
    patch_model = keras.Sequential(
        [keras.Input((16, 16, 3)), keras.layers.Conv2D(2, 3, padding="same")]
    )
    model = kp.PatchedModel(patch_model, 16)
    with pytest.raises(ValueError, match=r"it has Conv2D, .*LiteRT"):
        model.quantize("int8")
