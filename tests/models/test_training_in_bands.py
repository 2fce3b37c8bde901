"""Whole images are trained on in bands of rows, as at once."""

import keras
import numpy as np
import pytest
from networks import chain, conv, fill

import keras_patching as kp

L = keras.layers


def draw(*shape):
    return np.random.default_rng(0).uniform(size=shape).astype("float32")


def net_of(*layers, dtype=None):
    return fill(
        chain(
            conv(4, 3, activation="relu", dtype=dtype),
            *layers,
            L.MaxPooling2D(),
            conv(4, 5, activation="relu", dtype=dtype),
            L.UpSampling2D(),
            conv(2, 1, activation="softmax", dtype="float32"),
            channels=3,
        )
    )


def segmenter(net, in_bands=True, **kwargs):
    """A model that trains in bands of 8 rows, or at once."""
    tiling = {"overlap": "auto", "predict_patch_size": (8, None)}
    return kp.SemanticSegmentationModel(
        2,
        net,
        patch_size=16,
        value_range=(0, 1),
        **(tiling if in_bands else {"predict_patch_size": 64, "shrink": True}),
        **kwargs,
    )


IMAGES, MASKS = draw(4, 42, 20, 3), (draw(4, 42, 20) > 0.7).astype("uint8")


def trained(model, steps=2, **kwargs):
    model.compile(keras.optimizers.SGD(0.5, **kwargs), jit_compile=False)
    history = model.fit(
        IMAGES, MASKS, batch_size=2, epochs=steps, shuffle=False, verbose=0
    )
    return history.history["loss"], model.patch_model.get_weights()


def batches():
    while True:
        yield IMAGES, MASKS


def assert_alike(one, other, tolerance=1e-4):
    (losses, weights), (other_losses, other_weights) = one, other
    np.testing.assert_allclose(losses, other_losses, rtol=tolerance)
    for each, expected in zip(weights, other_weights, strict=True):
        np.testing.assert_allclose(each, expected, atol=tolerance)


def test_fit_is_that_of_whole_images():
    in_bands, at_once = segmenter(net_of()), segmenter(net_of(), in_bands=False)
    assert_alike(trained(in_bands), trained(at_once))
    scores = in_bands.evaluate(IMAGES, MASKS, verbose=0, return_dict=True)
    expected = at_once.evaluate(IMAGES, MASKS, verbose=0, return_dict=True)
    assert scores == pytest.approx(expected, rel=1e-4)


def test_gradients_are_accumulated_over_images():
    way = {"gradient_accumulation_steps": 2}
    assert_alike(
        trained(segmenter(net_of()), **way),
        trained(segmenter(net_of(), in_bands=False), **way),
    )


def test_weights_are_regularized_once():
    def train(in_bands):
        layer = conv(4, 3, kernel_regularizer=keras.regularizers.L2(0.1))
        return trained(segmenter(net_of(layer), in_bands))

    assert_alike(train(in_bands=True), train(in_bands=False))


def test_mixed_precision_trains():
    model = segmenter(net_of(dtype="mixed_float16"))
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.5))
    model.compile(optimizer)
    losses = model.fit(
        IMAGES, MASKS, batch_size=2, epochs=4, verbose=0
    ).history["loss"]
    assert losses[-1] < losses[0]


def test_dropout_trains():
    model = segmenter(net_of(L.Dropout(0.2), L.SpatialDropout2D(0.2)))
    losses, _ = trained(model, steps=4)
    assert losses[-1] < losses[0]


def test_counts_are_of_whole_images():
    heatmaps = draw(2, 24, 20, 1) / 100
    losses = []
    for tiling in (
        {"overlap": "auto", "predict_patch_size": (4, None)},
        {"predict_patch_size": 64, "shrink": True},
    ):
        net = chain(conv(2, 3, activation="relu"), conv(1, 3), channels=3)
        model = kp.HeatmapObjectCountingModel(
            fill(net), patch_size=16, value_range=(0, 1), **tiling
        )
        model.compile("sgd")
        images = IMAGES[:2, :24]
        losses.append(model.train_on_batch(images, heatmaps))
        losses.append(model.train_on_batch(images, heatmaps))
    np.testing.assert_allclose(losses[:2], losses[2:], rtol=1e-5)


def test_several_outputs_train():
    inputs = keras.Input((None, None, 3))
    x = conv(2, 3)(inputs)
    outputs = {"fine": conv(1, 1)(x), "coarse": L.MaxPooling2D()(conv(1, 3)(x))}
    net = fill(keras.Model(inputs, outputs))
    targets = {"fine": draw(2, 24, 20, 1), "coarse": draw(2, 12, 10, 1)}
    losses = []
    for tiling in (
        {"overlap": "auto", "predict_patch_size": (4, None)},
        {"predict_patch_size": 64, "shrink": True},
    ):
        model = kp.PatchedModel(net, 16, **tiling)
        model.compile(keras.optimizers.SGD(0.0), "mse")
        losses.append(model.train_on_batch(IMAGES[:2, :24], targets))
    np.testing.assert_allclose(*losses, rtol=1e-5)


def test_batch_normalization_is_refused_before_anything_is_trained():
    net = net_of(L.BatchNormalization(name="normalized"))
    model = segmenter(net)
    model.compile("sgd")
    before = model.get_weights()
    for train in (
        lambda: model.fit(IMAGES, MASKS, verbose=0),
        lambda: model.train_on_batch(IMAGES, MASKS),
        lambda: model.fit(batches(), steps_per_epoch=1, shuffle=False),
    ):
        with pytest.raises(ValueError, match=r"'normalized'.*Freeze it"):
            train()
    for one, other in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)
    # Patches have statistics of their own, and so have images at once.
    model.fit(IMAGES[:, :16, :16], MASKS[:, :16, :16], verbose=0)
    model.set_tiling(overlap="auto", predict_patch_size=None)
    model.fit(IMAGES, MASKS, verbose=0)
    # As many would not be, but there are not as many.
    model.fit(IMAGES, MASKS, batch_size=1024, verbose=0)


def test_frozen_batch_normalization_trains():
    def train(in_bands):
        layer = L.BatchNormalization()
        layer.trainable = False
        return trained(segmenter(net_of(layer), in_bands))

    assert_alike(train(in_bands=True), train(in_bands=False))
