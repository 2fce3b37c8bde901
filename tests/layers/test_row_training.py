"""Bands of rows have the gradients of the whole image."""

import keras
import numpy as np
import pytest
from gradients import loss_and_gradients
from keras import ops
from networks import (
    built_on,
    chain,
    conv,
    fill,
    nested_and_shared,
    random_network,
    residual_pyramid,
    separable,
    separable_with_batch_normalization,
    strided_unet,
    transposed,
    two_scales,
)

from keras_patching.layers import RowStream, register_rule

L = keras.layers

NETS = (
    strided_unet,
    separable_with_batch_normalization,
    residual_pyramid,
    two_scales,
    nested_and_shared,
)


def draw(*shape, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=shape).astype("float32")


def weighed(outputs):
    """A loss that weighs each number of the outputs by another."""
    total = 0.0
    for index, output in enumerate(keras.tree.flatten(outputs)):
        weights = ops.convert_to_tensor(draw(*output.shape, seed=index))
        total += ops.mean(weights * output**2)
    return total


def in_training(net):
    return lambda images: net(images, training=True)


def freeze(net):
    for layer in net._flatten_layers():
        if isinstance(layer, L.BatchNormalization):
            layer.trainable = False
    return net


def assert_trains_as_at_once(
    net, image, rows, tolerance=1e-5, loss_tolerance=1e-6
):
    streamed = RowStream(net, rows, training=True)
    loss, gradients = loss_and_gradients(streamed, net, image, weighed)
    loss_at_once, at_once = loss_and_gradients(
        in_training(net), net, image, weighed
    )
    assert loss == pytest.approx(loss_at_once, rel=loss_tolerance)
    largest = max(np.abs(each).max() for each in at_once)
    assert largest > 0
    for one, other in zip(gradients, at_once, strict=True):
        scale = max(np.abs(other).max(), largest * 1e-2)
        np.testing.assert_allclose(one / scale, other / scale, atol=tolerance)


@pytest.mark.parametrize("build", NETS, ids=lambda build: build.__name__)
def test_every_kind_of_net(build):
    net = freeze(fill(build()))
    stride = RowStream(net, 48).stride
    image = draw(2, 7 * stride[0], 3 * stride[1], net.input_shape[-1])
    assert_trains_as_at_once(net, image, rows=2 * stride[0])


@pytest.mark.skipif(
    keras.backend.backend() == "torch",
    reason="Keras cannot train it on torch: its groups are dilated.",
)
def test_a_net_drawn_at_random():
    net = freeze(fill(random_network(0)))
    stride = RowStream(net, 36).stride
    image = draw(1, 5 * stride[0], 3 * stride[1], 2)
    # What makes up the loss cancels out, but for a hundredth of it.
    assert_trains_as_at_once(
        net, image, rows=2 * stride[0], loss_tolerance=1e-5
    )


@pytest.mark.parametrize("strides", [1, 3])
@pytest.mark.parametrize("kernel", [1, (3, 4)])
def test_convolutions_of_every_size_and_stride(kernel, strides):
    net = chain(conv(2, 3), conv(3, kernel, strides=strides), channels=2)
    assert_trains_as_at_once(fill(net), draw(2, 18, 12, 2), rows=6)


def test_dilated_convolutions():
    net = chain(conv(2, 3, dilation_rate=2), conv(2, (2, 3), dilation_rate=3))
    assert_trains_as_at_once(fill(net), draw(1, 20, 14, 1), rows=4)


def test_what_is_outside_of_an_image_has_no_slope_that_spreads():
    # Outside there are zeros and, of the largest of nothing, infinities.
    def build(x):
        x = L.Dense(2, use_bias=False)(x)
        x = L.Activation(ops.sqrt)(x * x)
        x = ops.sqrt(ops.log(x * x + 1))
        x = L.MaxPooling2D(3, 1, "same")(x)
        x = L.Dense(2)(L.LayerNormalization()(L.Dense(3)(x)))
        return x / ops.sqrt(ops.sum(x * x, axis=-1, keepdims=True))

    assert_trains_as_at_once(fill(built_on(build)), draw(1, 12, 5, 1), rows=4)


def with_weights(net, weight, bias):
    """Make activations finite wherever images are."""
    weights = net.get_weights()
    net.set_weights(
        [np.full(w.shape, weight if w.ndim > 1 else bias) for w in weights]
    )
    return net


@pytest.mark.parametrize(
    ("layer", "bias"),
    [
        (lambda: conv(2, 3, activation=ops.sqrt), 0.0),
        (lambda: separable(2, 3, activation=ops.log), 0.0),
        (lambda: transposed(2, 4, 2, activation=ops.reciprocal), 0.0),
        (lambda: L.Dense(2, activation=ops.sqrt), -0.2),
    ],
    ids=["convolution", "separable", "transposed", "dense"],
)
def test_activations_of_layers_have_slopes_where_images_end(layer, bias):
    net = with_weights(chain(layer(), conv(2, 3), channels=1), 0.15, bias)
    image = 10 + np.abs(draw(1, 12, 6, 1))
    assert_trains_as_at_once(net, image, rows=4, loss_tolerance=1e-5)


def test_quotients_by_what_waited_are_finite_where_images_end():
    net = fill(built_on(lambda x: L.Dense(2)(conv(1, 3)(x) / x), channels=1))
    image = 10 + np.abs(draw(1, 12, 5, 1))
    assert_trains_as_at_once(net, image, rows=4, loss_tolerance=1e-5)


def test_halves_keep_their_gradients_in_full():
    inputs = keras.Input((None, None, 2))
    x = L.Conv2D(3, 3, padding="same", dtype="mixed_bfloat16")(inputs)
    net = fill(keras.Model(inputs, L.Conv2D(2, 1, dtype="float32")(x)))
    image = draw(1, 12, 8, 2)
    tolerances = {"tolerance": 0.05, "loss_tolerance": 0.02}
    assert_trains_as_at_once(net, image, rows=4, **tolerances)


def test_frozen_layers_have_no_gradients():
    inputs = keras.Input((None, None, 1))
    encoder = chain(conv(2, 3), L.MaxPooling2D(), name="encoder")
    encoder.trainable = False
    x = L.UpSampling2D()(conv(2, 3)(encoder(inputs)))
    net = fill(keras.Model(inputs, x))
    assert len(net.trainable_variables) == 2
    assert_trains_as_at_once(net, draw(1, 12, 6, 1), rows=2)


def test_batch_normalization_is_refused_unless_it_is_frozen():
    net = fill(separable_with_batch_normalization())
    name = next(
        layer.name
        for layer in net.layers
        if isinstance(layer, L.BatchNormalization)
    )
    with pytest.raises(ValueError, match=f"layer '{name}'.*Freeze it.*Layer"):
        RowStream(net, 8, training=True)
    RowStream(freeze(net), 8, training=True)


def test_batch_normalization_that_is_never_in_training_is_none_of_ours():
    class Encoder(L.Layer):
        def __init__(self):
            super().__init__()
            self.normalize = L.BatchNormalization()

        def build(self, input_shape):
            self.normalize.build(input_shape)

        def call(self, inputs):
            return self.normalize(inputs, training=False)

    net = fill(chain(conv(2, 3), Encoder()))
    assert_trains_as_at_once(net, draw(1, 12, 6, 1), rows=4)


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (lambda: conv(1, 3, activity_regularizer="l2"), "activity_regularizer"),
        (lambda: L.RandomFlip(), "draws at random.*augment"),
    ],
    ids=["activity", "augmentation"],
)
def test_what_is_of_the_whole_image_in_training_is_named(build, reason):
    net = chain(conv(1, 3), build())
    with pytest.raises(ValueError, match=f"layer '.*' .*{reason}"):
        RowStream(net, 4, training=True)


def pointwise(call):
    """Return a layer of one pixel at a time, whose rule says no more."""

    class Own(L.Layer):
        def build(self, input_shape):
            self.count = self.add_weight(
                name="count", initializer="zeros", trainable=False
            )

    Own.call = call
    register_rule(Own)(lambda layer, fields: fields[0])
    return Own()


def adds_a_loss(self, inputs):
    self.add_loss(ops.mean(inputs))
    return inputs


def counts(self, inputs):
    self.count.assign(self.count + 1)
    return inputs


@pytest.mark.parametrize(
    ("call", "reason"),
    [(adds_a_loss, "adds a loss"), (counts, "count.* changed")],
)
def test_losses_and_changes_of_a_band_are_refused(call, reason):
    net = chain(conv(1, 3), pointwise(call))
    stream = RowStream(net, 4, training=True)
    with pytest.raises(ValueError, match=reason):
        stream(draw(1, 8, 4, 1))


def test_dropout_draws_for_each_pixel_once():
    net = chain(L.Dropout(0.5, seed=1), channels=2)
    image = np.ones((1, 64, 16, 2), "float32")

    outputs = ops.convert_to_numpy(RowStream(net, 8, training=True)(image))
    assert set(np.unique(outputs)) == {0.0, 2.0}
    assert 0.4 < outputs.mean() / 2 < 0.6
    bands = outputs.reshape(8, 8, 16, 2)
    assert not any((bands[0] == band).all() for band in bands[1:])
    again = ops.convert_to_numpy(RowStream(net, 8, training=True)(image))
    assert (outputs != again).any()


def test_the_way_back_drops_what_the_way_there_did():
    net = chain(L.Dense(1, use_bias=False), L.Dropout(0.5, seed=1))
    net.layers[0].set_weights([np.ones((1, 1))])
    image = 1 + np.arange(64, dtype="float32").reshape(1, 16, 4, 1)
    stream = RowStream(net, 4, training=True)
    # It is linear: the gradient is the sum of what was not dropped.
    loss, (gradient,) = loss_and_gradients(stream, net, image, ops.sum)
    assert gradient.item() == loss != image.sum()


def test_channels_are_dropped_of_the_whole_image():
    net = chain(L.SpatialDropout2D(0.5, seed=1), channels=16)
    image = np.ones((2, 24, 4, 16), "float32")
    keras.utils.set_random_seed(0)
    outputs = ops.convert_to_numpy(RowStream(net, 4, training=True)(image))
    assert (outputs == outputs[:, :1, :1]).all()
    assert len(np.unique(outputs)) == 2
    again = ops.convert_to_numpy(RowStream(net, 4, training=True)(image))
    assert (outputs != again).any()
