"""Nets that look at the whole image: what is refused, and the ways round.

README has these as a table.
"""

import keras
import numpy as np
import pytest
from networks import built_on, conv, fill, numpy_zeros

import keras_patching as kp

L = keras.layers


def squeeze_excite(x):
    x = conv(4, 3, strides=2, activation="relu")(x)
    weights = L.GlobalAveragePooling2D(keepdims=True)(x)
    weights = L.Conv2D(4, 1, activation="sigmoid")(weights)
    return L.UpSampling2D()(L.Multiply()([x, weights]))


def pooled_branch(x):
    """As DeepLab has it."""
    x = conv(4, 3, activation="relu")(x)
    pooled = L.GlobalAveragePooling2D(keepdims=True)(x)
    return L.Add()([x, L.Conv2D(4, 1)(pooled)])


def group_normalized(x):
    return L.GroupNormalization(2)(conv(4, 3, activation="relu")(x))


def batch_normalized(x):
    return L.BatchNormalization()(conv(4, 3, activation="relu")(x))


def layer_normalized(x):
    return L.LayerNormalization()(conv(4, 3, activation="relu")(x))


LOOK_AT_ALL = {
    squeeze_excite: "GlobalAveragePooling2D",
    pooled_branch: "GlobalAveragePooling2D",
    group_normalized: "GroupNormalization",
}


def net(block):
    return fill(built_on(lambda x: conv(2, 1)(block(x))))


def model_of(block, **tiling):
    return kp.PatchedModel(net(block), patch_size=32, **tiling)


def images():
    return np.random.default_rng(0).normal(size=(1, 70, 54, 1)).astype("f4")


def whole(block):
    """What the net gives for the whole image, at once."""
    return keras.ops.convert_to_numpy(net(block)(images()))


@pytest.mark.parametrize("block", LOOK_AT_ALL)
def test_no_seams_are_refused_with_the_layer_and_the_numbers(block):
    layer = rf"\({LOOK_AT_ALL[block]}\) looks at the whole image"
    with pytest.raises(ValueError, match=rf"{layer}.*overlap=<pixels>"):
        model_of(block, overlap="auto")


@pytest.mark.parametrize("block", LOOK_AT_ALL)
def test_an_overlap_in_numbers_leaves_seams_that_are_measured(block):
    model = model_of(block, overlap=16, multiple_of=2)
    difference = kp.verify_tiling(model, images()).largest_difference
    seams = np.abs(model.predict(images(), verbose=0) - whole(block)).max()
    assert difference == pytest.approx(seams, rel=1e-3)
    assert difference > 1e-3


@pytest.mark.parametrize("block", LOOK_AT_ALL)
def test_whole_images_may_be_predicted_at_once(block):
    model = model_of(block, predict_patch_size=(None, None), multiple_of=2)
    predicted = model.predict(images(), verbose=0)
    np.testing.assert_allclose(predicted, whole(block), atol=1e-5)


@pytest.mark.parametrize("block", [batch_normalized, layer_normalized])
def test_in_place_of_groups_each_pixel_may_be_normalized_by_itself(block):
    model = model_of(block, overlap="auto")
    assert kp.verify_tiling(model, images()).largest_difference < 1e-5


# Encoders of keras.applications


def encoder(name):
    with keras.StatelessScope(initialize_variables=False):
        return getattr(keras.applications, name)(
            weights=None, include_top=False, input_shape=(None, None, 3)
        )


@pytest.mark.parametrize("name", ["MobileNet", "ResNet50V2", "Xception"])
def test_encoders_without_squeeze_excite_have_no_seams(name):
    assert kp.receptive_field(encoder(name)).stride == (32, 32)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("EfficientNetB0", r"squeeze' \(GlobalAveragePooling2D\) looks at the"),
        ("EfficientNetV2B0", r"squeeze' \(GlobalAveragePooling2D\) looks at"),
        ("MobileNetV3Small", r"pool' \(GlobalAveragePooling2D\) looks at the"),
        ("InceptionV3", r"is of shape \(batch, height / 32 - 2"),
    ],
)
def test_encoders_that_need_numbers_are_refused_with_the_reason(name, reason):
    with pytest.raises(ValueError, match=reason):
        kp.receptive_field(encoder(name))


@pytest.mark.parametrize(
    ("name", "last"),
    [
        ("MobileNet", "conv_pw_3_relu"),
        pytest.param("ResNet50V2", "pool1_pool", marks=pytest.mark.slow),
        pytest.param(
            "MobileNetV3Small",
            "expanded_conv_project_bn",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_an_encoder_is_tiled_with_numbers_and_a_small_decoder(name, last):
    # Nothing to compile; `fill` comes last.
    with keras.saving.custom_object_scope({"glorot_uniform": numpy_zeros}):
        encoder = getattr(keras.applications, name)(
            weights=None, include_top=False, input_shape=(None, None, 3)
        )
    x = L.UpSampling2D(4)(encoder.get_layer(last).output)
    outputs = L.Conv2D(2, 1, activation="softmax")(x)
    model = kp.SemanticSegmentationModel(
        2,
        fill(keras.Model(encoder.input, outputs)),
        overlap=16,
        multiple_of=8,
        patch_size=32,
    )
    predicted = model.predict(np.full((1, 50, 40, 3), 90, "uint8"), verbose=0)
    assert predicted.shape == (1, 50, 40, 2)
    np.testing.assert_allclose(predicted.sum(axis=-1), 1, atol=1e-5)
