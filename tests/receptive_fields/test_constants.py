"""What a patch model combines its input with is the same for every pixel."""

import keras
import numpy as np
import pytest
from keras import ops
from networks import chain, conv, fill

from keras_patching import PatchedPredictor, receptive_field, verify_tiling
from keras_patching.receptive_fields.walk import register_rule

L = keras.layers


def ramp(*shape):
    size = int(np.prod(shape))
    return np.linspace(0.1, 1, size, dtype="float32").reshape(shape)


def tensor(*shape):
    return ops.convert_to_tensor(ramp(*shape))


def variable(*shape):
    return keras.Variable(ramp(*shape))


class Shift(L.Layer):
    """Adds what it is called with: one pixel at a time, but for that."""

    def call(self, inputs, shift, further=None):
        return inputs + shift


register_rule(Shift)(lambda layer, fields: fields[0])


class AddPosition(L.Add):
    """Overrides what `call` of all merging layers calls."""

    def _merge_function(self, inputs):
        return super()._merge_function(inputs) + ramp(1, 8, 8, 1)


class BiasOfPixels(L.Dense):
    """Builds another bias than its class does."""

    def build(self, input_shape):
        super().build(input_shape)
        self.bias = self.add_weight(shape=(8, 8, 2))


class PositionEmbedding(L.Layer):
    """Holds a number for each pixel, as vision transformers do."""

    def build(self, input_shape):
        self.position = self.add_weight(shape=input_shape[1:])

    def call(self, inputs):
        return inputs + self.position


def embedded_positions(x):
    positions = L.Embedding(8, 2)(ops.arange(8))
    return x + ops.reshape(positions, (1, 8, 1, 2))


# Each takes an input of 8 x 8 pixels and 2 channels.
DIFFERENT = {
    "array": lambda x: x + ramp(8, 1),
    "array first": lambda x: ops.multiply(ramp(8, 8, 1), x),
    "tensor": lambda x: x * tensor(1, 8, 8, 1),
    "variable": lambda x: x - variable(8, 8, 2),
    "by keyword": lambda x: ops.multiply(x1=x, x2=tensor(8, 1)),
    "for each image": lambda x: x * tensor(4, 1, 1, 1),
    "of five axes": lambda x: x * tensor(1, 1, 1, 1, 1),
    "concatenated": lambda x: ops.concatenate([x, tensor(1, 8, 8, 1)], -1),
    "concatenated first": lambda x: ops.concatenate([ramp(1, 8, 8, 3), x], -1),
    "concatenated by a layer": lambda x: L.Concatenate()(
        [x, tensor(1, 8, 8, 3)]
    ),
    "concatenated variable": lambda x: ops.concatenate(
        xs=(x, variable(1, 8, 8, 2)), axis=3
    ),
    "merged tensor": lambda x: L.Multiply()([x, tensor(1, 8, 8, 1)]),
    "merged array": lambda x: L.Average()([x, ramp(1, 8, 1, 2)]),
    "merged variable": lambda x: L.Maximum()([x, variable(1, 8, 8, 2)]),
    "merged along the batch": lambda x: L.Multiply()([x, tensor(2)]),
    "clipped": lambda x: ops.clip(x, 0, ramp(8, 1)),
    "clipped by lists": lambda x: ops.clip(x, [[0.0]] * 8, 1.0),
    "slope": lambda x: ops.leaky_relu(x, tensor(8, 1)),
    "power": lambda x: x ** tensor(8, 8, 1),
    "activation": lambda x: L.ELU(alpha=ramp(8, 1))(x),
    "activation of a layer": lambda x: L.Conv2D(
        2, 1, activation=L.ELU(ramp(8, 1))
    )(x),
    "mask": lambda x: L.Softmax()(x, mask=tensor(1, 8, 8, 2) > 0),
    "mask by position": lambda x: L.Softmax()(x, tensor(1, 8, 8, 2) > 0),
    "rescaled": lambda x: L.Rescaling(1.0, offset=tensor(8, 8, 1))(x),
    "own layer": lambda x: Shift()(x, tensor(1, 8, 8, 1)),
    "own layer by keyword": lambda x: Shift()(x, shift=ramp(1, 8, 8, 1)),
    "own layer, dict": lambda x: Shift()(
        x, shift=0.0, further={"also": [tensor(1, 8, 8, 1)]}
    ),
    "own class of a layer": lambda x: AddPosition()([x, x]),
    "own weights of a layer": lambda x: BiasOfPixels(2)(x),
    "position embedding": PositionEmbedding(),
    "embedded positions": embedded_positions,
    "nested": lambda x: keras.Model(
        tensor_of := keras.Input((8, 8, 2)), tensor_of + tensor(8, 1)
    )(x),
}


@pytest.mark.parametrize("case", DIFFERENT)
def test_numbers_that_differ_from_pixel_to_pixel_are_refused(case):
    inputs = keras.Input((8, 8, 2))
    patch_model = keras.Model(inputs, DIFFERENT[case](inputs))
    with pytest.raises(ValueError, match=r"(operation|layer) '") as error:
        receptive_field(patch_model)
    assert "overlap=<pixels>, multiple_of=<stride>" in str(error.value)


# Each takes an input of any size and 2 channels.
SAME = {
    "number": lambda x: (x * 2 + np.float32(1)) / (20 * tensor()),
    "channels": lambda x: (x * ramp(2) + tensor(1, 2)) * variable(1, 1, 1, 2),
    "by keyword": lambda x: ops.multiply(x1=x, x2=tensor(1, 1, 2)),
    "merged": lambda x: L.Multiply()([x, tensor(1, 1, 1, 2)]),
    "clipped": lambda x: ops.clip(x, ramp(2) - 1, ramp(1, 2)),
    "slope": lambda x: ops.leaky_relu(x, 0.3),
    "activation": lambda x: L.LeakyReLU(0.3)(L.ReLU(1.0, 0.1, 0.2)(x)),
    "normalized": lambda x: L.Normalization(mean=[0.1, 0.2], variance=[1, 2])(
        L.BatchNormalization()(L.LayerNormalization()(x), training=False)
    ),
    "rescaled": lambda x: L.Rescaling([0.5, 2.0], offset=ramp(2))(x),
    "own layer": lambda x: Shift()(x, tensor(1, 1, 1, 2), further="none"),
}


@pytest.mark.parametrize("case", SAME)
def test_numbers_that_are_the_same_for_every_pixel_leave_no_seam(case):
    inputs = keras.Input((None, None, 2))
    x = SAME[case](conv(2, 3)(inputs))
    patch_model = fill(keras.Model(inputs, conv(1, 3)(x)))
    image = np.random.default_rng(0).normal(size=(1, 21, 30, 2))
    for tiling in (12, (6, None)):  # tiles, and a stream of rows
        predictor = PatchedPredictor(
            patch_model, 12, overlap="auto", predict_patch_size=tiling
        )
        report = verify_tiling(predictor, image.astype("float32"))
        assert report.largest_difference <= 1e-5
        assert (report.grid.num_patches > 1) == (tiling == 12)


def test_a_subclass_that_computes_the_same_has_the_rule_of_its_class():
    class Blur(L.DepthwiseConv2D):
        """A convolution under a name of its own."""

        def __init__(self, **kwargs):
            super().__init__((3, 5), padding="same", **kwargs)

        def get_config(self):
            return {"name": self.name}

        def compute_output_shape(self, input_shape):
            return input_shape

    assert receptive_field(chain(Blur())).halo == (1, 2)


def test_a_constant_for_each_channel_is_passed_as_the_message_says():
    inputs = keras.Input((None, None, 2))
    model = keras.Model(inputs, L.Add()([inputs, tensor(2)]))
    with pytest.raises(ValueError, match=r"shape \(1, 1, 1, channels\)"):
        receptive_field(model)
    model = keras.Model(inputs, L.Add()([inputs, tensor(1, 1, 1, 2)]))
    assert receptive_field(model).halo == (0, 0)
