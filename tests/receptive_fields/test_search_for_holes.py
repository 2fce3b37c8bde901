"""Whatever a net is built of: it agrees with the whole image, or is refused.

Nets are drawn at random that hold something which may differ from place to
place, put where it is hard to see.
"""

import functools
import os

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops
from networks import fill

from keras_patching import PatchedPredictor, receptive_field
from keras_patching.layers import RowStream

L = keras.layers
HEIGHT, WIDTH = 12, 8
# With a number in the environment, other nets are drawn each time.
MORE = os.environ.get("HOLES_EXAMPLES")

# Shapes that are the same everywhere, and shapes that are not.
SHAPES = (
    (),
    (2,),
    (1, 1, 2),
    (1, 1, 1, 2),
    (HEIGHT, 1, 1),
    (1, HEIGHT, 1, 2),
    (WIDTH, 2),
    (HEIGHT, WIDTH, 1),
    (1, HEIGHT, WIDTH, 2),
    (1, 1, WIDTH, 1),
)


def ramp(shape):
    numbers = np.linspace(0.2, 1.7, int(np.prod(shape)), dtype="float32")
    return numbers.reshape(shape)


class Owner(L.Layer):
    """Holds a number in one of many ways."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.built = True


def weight(shape):
    owner = Owner()
    number = owner.add_weight(shape=shape, name="number")
    number.assign(ramp(shape))
    return number


CONSTANTS = {
    "array": ramp,
    "list": lambda shape: ramp(shape).tolist(),
    "tensor": lambda shape: ops.convert_to_tensor(ramp(shape)),
    "variable": lambda shape: keras.Variable(ramp(shape)),
    "weight": weight,
    "made of a variable": lambda shape: (
        ops.exp(keras.Variable(ramp(shape))) - 1
    ),
    "made of a tensor": lambda shape: ops.tanh(
        ops.convert_to_tensor(ramp(shape))
    ),
}


def channels_of(number):
    """Make it as wide as an image, which is what layers merge with."""
    return ops.broadcast_to(
        number, (1, *np.broadcast_shapes(ops.shape(number), (1, 1, 2))[-3:])
    )


# What is done with a tensor and a constant.
USES = {
    "add": lambda x, c: x + c,
    "multiply first": lambda x, c: ops.multiply(c, x),
    "subtract": lambda x, c: ops.subtract(x1=x, x2=c),
    "maximum": lambda x, c: ops.maximum(x, c),
    "power": lambda x, c: ops.abs(x) ** c,
    "where": lambda x, c: ops.where(x > 0, x, c),
    "where by it": lambda x, c: ops.where(ops.greater(c, 0.9), x, -x),
    "compare": lambda x, c: ops.cast(x > c, "float32"),
    "clip": lambda x, c: ops.clip(x, -0.1, c),
    "slope": lambda x, c: ops.leaky_relu(x, c),
    "concatenate": lambda x, c: (
        ops.concatenate([x, channels_of(c)], axis=-1)[..., :2] * 2
    ),
    "concatenate and sum": lambda x, c: (
        ops.sum(ops.concatenate([x, channels_of(c)], -1), -1, keepdims=True) + x
    ),
    "einsum": lambda x, c: ops.einsum("bhwc,ohwc->bhwc", x, channels_of(c)),
    "matmul": lambda x, c: ops.matmul(x, channels_of(c) + np.eye(2)),
    "take": lambda x, c: ops.take(x, ops.cast(c, "int32"), axis=-1)[..., :2],
    "look up": lambda x, c: x + ops.take(c, ops.cast(x > 0, "int32"), axis=0),
    "stack": lambda x, c: ops.max(ops.stack([x, x * c], axis=-1), axis=-1),
    "normalize": lambda x, c: ops.batch_normalization(
        x, ops.reshape(c, (-1,)), ops.reshape(c, (-1,)) + 1, axis=-1
    ),
    "layer": lambda x, c: L.Add()([x, channels_of(c)]),
    "layer first": lambda x, c: L.Multiply()([channels_of(c), x]),
    "rescaling": lambda x, c: L.Rescaling(2.0, offset=c)(x),
    "softmax": lambda x, c: L.Softmax()(x, mask=ops.greater(c, 0.5)),
    "batch normalization": lambda x, c: _with(
        L.BatchNormalization(), x, gamma=c
    ),
    "bias": lambda x, c: _with(L.Conv2D(2, 1), x, bias=c),
    "bias of dense": lambda x, c: _with(L.Dense(2), x, bias=c),
    "slope of a layer": lambda x, c: _with(L.LeakyReLU(), x, negative_slope=c),
    "activation": lambda x, c: L.Conv2D(2, 1, activation=lambda y: y * c)(x),
    "method": lambda x, c: _replaced(L.Conv2D(2, 1), x, lambda y: y * c),
    "carried": lambda x, c: Adder(c)(x),
    "masked": lambda x, c: L.Softmax()(Masked(c)(x)),
    "called with": lambda x, c: Shift()(x, shift=c),
}


class Adder(L.Layer):
    def __init__(self, number, **kwargs):
        super().__init__(**kwargs)
        self.number = {"inside": [number]}

    def call(self, inputs):
        return inputs + self.number["inside"][0]


class Masked(L.ReLU):
    """Passes on a mask of its own."""

    def __init__(self, number, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.number = number

    def compute_mask(self, inputs, mask=None):
        return inputs > self.number


class Shift(L.Layer):
    def call(self, inputs, shift):
        return inputs - shift


def _with(layer, x, **attributes):
    """Call a layer that is given other attributes once it is built."""
    made = layer(x)
    del made
    vars(layer).update(attributes)
    return layer(x)


def _replaced(layer, x, function):
    layer.build(x.shape)
    call = layer.call
    layer.call = lambda inputs: function(call(inputs))
    return layer(x)


# What needs no constant to know where it is, or what the whole image holds.
BARE = {
    "arange": lambda x: (
        x
        + ops.reshape(ops.arange(ops.shape(x)[1], dtype="float32"), (-1, 1, 1))
    ),
    "cumulative": lambda x: x + ops.cumsum(ops.ones_like(x), axis=1) / 9,
    "cumulative channels": lambda x: ops.cumsum(x, axis=-1),
    "positions sorted": lambda x: (
        x + ops.cast(ops.argsort(x, axis=2), "float32")
    ),
    "mean": lambda x: x - ops.mean(x, axis=(1, 2), keepdims=True),
    "mean of channels": lambda x: x - ops.mean(x, axis=-1, keepdims=True),
    "largest": lambda x: x / (1 + ops.max(ops.abs(x))),
    "largest of rows": lambda x: x - ops.max(x, axis=1, keepdims=True),
    "softmax of columns": lambda x: ops.softmax(x, axis=2),
    "flip": lambda x: x + x[:, ::-1],
    "flip channels": lambda x: x + x[..., ::-1],
    "roll": lambda x: ops.roll(x, 1, axis=1),
    "first row": lambda x: x + x[:, :1],
    "a row": lambda x: x + x[:, 2][:, None],
    "shift": lambda x: x - ops.pad(x, ((0, 0), (1, 0), (0, 0), (0, 0)))[:, :-1],
    "reflect": lambda x: ops.pad(
        x, ((0, 0), (1, 0), (0, 1), (0, 0)), "reflect"
    )[:, :-1, 1:],
    "columns by columns": lambda x: ops.einsum("bhwc,bhvc->bhwc", x, x),
    "channels by channels": lambda x: ops.einsum("bhwc,bhwd->bhwc", x, x),
    "matmul": lambda x: ops.matmul(x, ops.transpose(x, (0, 1, 3, 2))) @ x,
    "reshape": lambda x: ops.reshape(
        ops.reshape(x, (-1, HEIGHT * WIDTH, 2))[:, ::-1], (-1, HEIGHT, WIDTH, 2)
    ),
    "reshape by size": lambda x: ops.reshape(
        x[..., None], (-1, ops.shape(x)[1], ops.shape(x)[2], 2)
    ),
    "other order": lambda x: (
        ops.reshape(x, (-1, ops.shape(x)[1], 2, ops.shape(x)[2]))[:, :, :1] * 0
        + 1
    ),
    "size": lambda x: x / ops.cast(ops.shape(x)[1], "float32"),
    "even or odd": lambda x: x * (1 + ops.shape(x)[1] % 2),
    "transposed": lambda x: ops.transpose(x, (0, 2, 1, 3)),
    "there and back": lambda x: ops.transpose(
        ops.relu(ops.transpose(x, (0, 2, 1, 3))), (0, 2, 1, 3)
    ),
    "first channels": lambda x: ops.transpose(
        ops.tanh(ops.transpose(x, (0, 3, 1, 2))), (0, 2, 3, 1)
    ),
    "images mixed": lambda x: x - ops.mean(x, axis=0, keepdims=True),
    "at random": lambda x: x + float(keras.random.normal(())),
    "group normalization": lambda x: L.GroupNormalization(1)(x),
    "pooled": lambda x: x * L.GlobalMaxPooling2D(keepdims=True)(x),
    "normalized rows": lambda x: ops.normalize(x, axis=1),
    "variance": lambda x: x / (1 + ops.std(x)),
    "pooled by operation": lambda x: ops.max_pool(x, 3, 1, "same"),
    "convolved": lambda x: ops.conv(x, ramp((3, 3, 2, 2)) / 9, 1, "same"),
    "repeated": lambda x: ops.repeat(x[:, ::2], 2, axis=1),
    "scan": lambda x: ops.associative_scan(lambda a, b: a + b, x, axis=1),
    "one number": lambda x: x * ops.sum(ops.ones((2,))),
    "histogram": lambda x: x + ops.median(x),
    "count": lambda x: x + ops.cast(ops.count_nonzero(x > 0), "float32"),
}


# Where it is put.


class Inside(L.Layer):
    def __init__(self, function, **kwargs):
        super().__init__(**kwargs)
        self.function = function

    def call(self, inputs):
        return self.function(inputs)

    def compute_output_shape(self, input_shape):
        return input_shape


class Whole(keras.Model):
    def __init__(self, function, **kwargs):
        super().__init__(**kwargs)
        self.function = function

    def build(self, input_shape):
        self.built = True

    def call(self, inputs, training=False):
        return self.function(inputs)

    def compute_output_shape(self, input_shape):
        return input_shape


class InTraining(Inside):
    def call(self, inputs, training=None):
        return inputs * 0 if training else self.function(inputs)


def nested(function, x):
    inner = keras.Input(x.shape[1:])
    return keras.Model(inner, function(inner))(x)


PLACES = {
    "graph": lambda function, x: function(x),
    "layer": lambda function, x: Inside(function)(x),
    "lambda": lambda function, x: L.Lambda(
        function, output_shape=lambda shape: shape
    )(x),
    "subclassed": lambda function, x: Whole(function)(x),
    "nested": nested,
    "nested layer": lambda function, x: nested(Inside(function), x),
    "layer in layer": lambda function, x: Inside(Inside(function))(x),
    "in training": lambda function, x: InTraining(function)(x),
    "activation": lambda function, x: L.Activation(function)(x),
    "activation of a layer": lambda function, x: L.Conv2D(
        2, 1, activation=function
    )(x),
}


@st.composite
def nets(draw):
    size = draw(st.sampled_from([(None, None), (HEIGHT, WIDTH)]))
    steps = [_step(draw) for _ in range(draw(st.integers(1, 2)))]
    names = " then ".join(" in ".join(each[:2]) for each in steps)
    return names, lambda: _build(size, [each[2] for each in steps])


def _step(draw):
    """Draw what is done, where, and the function that does it."""
    use = draw(st.sampled_from([*USES, *BARE]))
    place = draw(st.sampled_from([*PLACES]))
    function = BARE.get(use)
    if function is None:
        make = CONSTANTS[draw(st.sampled_from([*CONSTANTS]))]
        number = make(draw(st.sampled_from(SHAPES)))
        function = functools.partial(_use, USES[use], number)
    return use, place, functools.partial(PLACES[place], function)


def _use(use, number, x):
    return use(x, number)


def _build(size, steps):
    inputs = keras.Input((*size, 2))
    x = L.Conv2D(2, 3, padding="same")(inputs)
    for step in steps:
        x = step(x)
    return fill(keras.Model(inputs, x))


def draw_image(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def refusal_of(ask):
    """Return what a net is refused by, `None` if it is not."""
    try:
        ask()
    except ValueError as error:
        return str(error)
    return None


@pytest.mark.filterwarnings("ignore")
@settings(
    max_examples=int(MORE or 25),
    deadline=None,
    database=None,
    derandomize=MORE is None,
)
@given(nets())
def test_a_net_agrees_with_the_whole_image_or_is_refused(drawn):
    names, build = drawn
    image = draw_image(2, HEIGHT, WIDTH, 2)
    try:
        net = build()
        whole = ops.convert_to_numpy(net(image, training=False))
    except Exception:
        return  # Keras does not build or run it.
    refused = refusal_of(lambda: receptive_field(net))
    if refused is not None:
        assert any(word in refused for word in ("layer '", "operation '"))
        return
    stream = RowStream(net, 4)
    np.testing.assert_allclose(
        ops.convert_to_numpy(stream(image)),
        whole,
        rtol=1e-4,
        atol=1e-5,
        err_msg=f"{names}, streamed",
    )
    if None not in net.input_shape[1:3]:
        return
    field = receptive_field(net)
    axes = list(zip(field.overlap, field.stride, strict=True))
    image = draw_image(
        1, *(overlap + 5 * stride for overlap, stride in axes), 2
    )
    predictor = PatchedPredictor(
        net,
        [overlap + 2 * stride for overlap, stride in axes],
        overlap=field.overlap,
        multiple_of=field.stride,
        blend="crop",
    )
    np.testing.assert_allclose(
        ops.convert_to_numpy(predictor(image, training=False)),
        ops.convert_to_numpy(net(image, training=False)),
        rtol=1e-4,
        atol=1e-5,
        err_msg=f"{names}, tiled",
    )
