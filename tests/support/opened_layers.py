"""Layers and operations that have no rule, and are opened; all are bounded.

Each takes a tensor with channels `CHANNELS`, of height and width multiples of
12, and returns another.
"""

import keras
import numpy as np
from keras import ops

L = keras.layers
CHANNELS = 6


def conv(filters, kernel=3, **kwargs):
    return L.Conv2D(filters, kernel, padding="same", **kwargs)


class LayerScale(L.Layer):
    """As in ConvNeXt."""

    def build(self, input_shape):
        self.gamma = self.add_weight(shape=(input_shape[-1],))

    def call(self, inputs):
        return inputs * self.gamma


class StochasticDepth(L.Layer):
    """As in ConvNeXt: it drops whole paths, in training."""

    def __init__(self, rate, **kwargs):
        super().__init__(**kwargs)
        self.rate = rate
        self.seed_generator = keras.random.SeedGenerator(1)

    def call(self, inputs, training=None):
        if not training:
            return inputs
        keep = (
            1
            - self.rate
            + keras.random.uniform(
                (ops.shape(inputs)[0], 1, 1, 1), seed=self.seed_generator
            )
        )
        return inputs / (1 - self.rate) * ops.floor(keep)


def convnext_block(x):
    y = L.DepthwiseConv2D(7, padding="same")(x)
    y = L.LayerNormalization(epsilon=1e-6)(y)
    y = L.Dense(12, activation="gelu")(y)
    y = LayerScale()(L.Dense(CHANNELS)(y))
    return x + StochasticDepth(0.5)(y)


class ConvNormAct(L.Layer):
    """As in libraries of backbones: padding of its own, layers inside."""

    def __init__(self, filters, strides=1, activation="relu", **kwargs):
        super().__init__(**kwargs)
        self.padding = L.ZeroPadding2D(1)
        self.conv = L.Conv2D(filters, 3, strides, use_bias=False)
        self.norm = L.BatchNormalization()
        self.act = L.Activation(activation)

    def build(self, input_shape):
        for layer in (self.padding, self.conv, self.norm):
            layer.build(input_shape)
            input_shape = layer.compute_output_shape(input_shape)

    def call(self, inputs, training=None):
        x = self.conv(self.padding(inputs))
        return self.act(self.norm(x, training=training))

    def compute_output_shape(self, input_shape):
        return self.conv.compute_output_shape(
            self.padding.compute_output_shape(input_shape)
        )


class CrossStage(L.Layer):
    """As in CSPNet: half of the channels go past a stage of blocks."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.blocks = [ConvNormAct(3) for _ in range(2)]

    def build(self, input_shape):
        for block in self.blocks:
            block.build((*input_shape[:-1], 3))

    def call(self, inputs):
        past, x = ops.split(inputs, 2, axis=-1)
        for block in self.blocks:
            x = x + block(x)
        return ops.concatenate([x, past], axis=-1)


class UnitKernelConv(L.Conv2D):
    """A convolution whose kernel has unit length."""

    def call(self, inputs):
        kernel = self.kernel / ops.sqrt(
            ops.sum(ops.square(self.kernel), axis=(0, 1, 2), keepdims=True)
        )
        x = ops.conv(inputs, kernel, 1, "same", self.data_format)
        return x + ops.reshape(self.bias, (1, 1, 1, -1))


class Activated(L.Conv2D):
    """A convolution that calls its class's."""

    def call(self, inputs):
        return ops.relu(super().call(inputs))


class Subclassed(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.down = conv(4, 3, strides=2)
        self.up = L.Conv2DTranspose(4, 3, 2, padding="same")
        self.last = {"head": conv(2, 3)}

    def call(self, inputs, training=False):
        half = keras.activations.relu(self.down(inputs))
        x = self.last["head"](ops.concatenate([half, half - 1], -1))
        return self.up(x)


class Flipped(L.Layer):
    """Channels the other way round, and back."""

    def call(self, inputs):
        x = ops.tanh(inputs[..., ::-1])
        return x[..., None, ::-1][..., 0, :]


class ChannelShuffle(L.Layer):
    """As in ShuffleNet."""

    def call(self, x):
        height, width = ops.shape(x)[1:3]
        x = ops.reshape(x, (-1, height, width, 2, 3))
        x = ops.transpose(x, (0, 1, 2, 4, 3))
        return ops.reshape(x, (-1, height, width, CHANNELS))


class GroupsOfPixels(L.Layer):
    """Normalizes groups of channels of each pixel."""

    def call(self, x):
        height, width = ops.shape(x)[1:3]
        y = ops.reshape(x, (-1, height, width, 3, 2))
        mean, variance = ops.moments(y, axes=(-1,), keepdims=True)
        y = (y - mean) / ops.sqrt(variance + 1e-3)
        return ops.reshape(y, (-1, height, width, CHANNELS))


def by_einsum(x):
    matrix = np.linspace(-1, 1, CHANNELS * 4, dtype="float32")
    y = ops.einsum("bhwc,cd->bhwd", x, matrix.reshape(CHANNELS, 4))
    energy = ops.einsum("bhwc,bhwc->bhw", x, x)
    return conv(2)(y * ops.expand_dims(energy, -1))


def upsampled(x):
    y = ops.average_pool(x, 2, 2)
    y = ops.repeat(ops.repeat(y, 2, axis=1), 2, axis=2)
    return conv(2)(y) + ops.mean(x, axis=-1, keepdims=True)


class Enlarge(L.Layer):
    """Resizes to a multiple of the size, whatever that is."""

    def __init__(self, factor, interpolation, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor
        self.interpolation = interpolation

    def call(self, x):
        size = [length * self.factor for length in ops.shape(x)[1:3]]
        return ops.image.resize(x, size, self.interpolation)

    def compute_output_shape(self, input_shape):
        batch, *size, channels = input_shape
        size = [n if n is None else n * self.factor for n in size]
        return batch, *size, channels


class ToTheSizeOf(L.Layer):
    """Resizes to the size of another tensor, as decoders do."""

    def call(self, x, like):
        return ops.image.resize(x, ops.shape(like)[1:3])

    def compute_output_shape(self, x_shape, like_shape):
        return *like_shape[:3], x_shape[-1]


class Decoder(keras.Model):
    """Halves its input, and resizes to the size of that."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.down = conv(2, 3, strides=2)
        self.last = conv(2, 3)

    def build(self, input_shape):
        self.down.build(input_shape)
        self.last.build((*input_shape[:3], 2))

    def call(self, inputs):
        x = ops.image.resize(self.down(inputs), ops.shape(inputs)[1:3])
        return self.last(x)

    def compute_output_shape(self, input_shape):
        return *input_shape[:3], 2


def padded_by(mode, widths=((2, 1), (1, 2)), **kwargs):
    def build(x):
        x = ops.pad(conv(2)(x), ((0, 0), *widths, (0, 0)), mode, **kwargs)
        return L.Conv2D(2, 4)(x)

    return build


def strided(x):
    y = x[:, ::2, 1::2] + x[:, 1::2, ::2]
    return conv(2)(L.UpSampling2D()(y))


def shifted(x):
    """What is one to the left and two above."""
    y = ops.pad(conv(2)(x), ((0, 0), (2, 0), (1, 0), (0, 0)))
    return conv(2)(y[:, :-2, :-1] + conv(2)(x))


def by_operations(x):
    rng = np.random.default_rng(0)

    def draw(*shape):
        return rng.normal(size=shape).astype("float32")

    y = ops.conv(x, draw(3, 3, CHANNELS, 4), 2, "same")
    y = ops.depthwise_conv(y, draw(3, 3, 4, 1), 1, "same")
    y = ops.separable_conv(y, draw(3, 3, 4, 1), draw(1, 1, 4, 4), 1, "same")
    y = ops.conv_transpose(
        y, draw(3, 3, 2, 4), 2, "same", data_format="channels_last"
    )
    y = ops.max_pool(y, 3, 1, "same") - ops.average_pool(y, 3, 1, "same")
    return ops.where(y > 0, y, 0.1 * y)


class Operations(L.Layer):
    def call(self, inputs):
        return by_operations(inputs)


def picked(x):
    y = ops.take(conv(4)(x), np.array([3, 1, 0]), axis=-1)
    first, *rest = ops.unstack(y, axis=-1)
    stacked = ops.stack([first, *rest, ops.max(y, axis=3)], axis=-1)
    classes = ops.argmax(stacked, axis=-1)
    return ops.one_hot(classes, 4) * stacked + ops.sort(stacked, axis=-1)


def wrapped(x):
    return L.SpectralNormalization(conv(2))(x)


def augmented(x):
    x = L.RandomFlip()(L.RandomRotation(0.1)(x))
    return conv(2)(L.RandomContrast(0.1)(x))


def custom_activation(x):
    return conv(2)(conv(4, activation=lambda x: ops.tanh(x) * 2)(x))


def attended_channels(x):
    """Attention of the channels of each pixel to each other."""
    q, k, v = (conv(4)(x) for _ in range(3))
    weights = ops.softmax(ops.einsum("bhwc,bhwd->bhwcd", q, k), axis=-1)
    return ops.einsum("bhwcd,bhwd->bhwc", weights, v)


BUILDERS = {
    "convnext": lambda x: conv(2)(convnext_block(convnext_block(x))),
    "composite": lambda x: ConvNormAct(2)(ConvNormAct(4, activation="silu")(x)),
    "composite, strided": lambda x: L.UpSampling2D()(ConvNormAct(2, 2)(x)),
    "nested composite": lambda x: CrossStage()(x),
    "unit kernel": lambda x: UnitKernelConv(2, 3, padding="same")(x),
    "calls its class": lambda x: Activated(2, 3, padding="same")(x),
    "subclassed": lambda x: Subclassed()(x),
    "channels flipped": lambda x: Flipped()(conv(2)(x)),
    "lambda": lambda x: L.Lambda(lambda x: ops.relu(x) * 2)(conv(2)(x)),
    "channel shuffle": lambda x: conv(2)(ChannelShuffle()(conv(6)(x))),
    "groups": lambda x: conv(2)(GroupsOfPixels()(x)),
    "einsum": by_einsum,
    "repeat": upsampled,
    "resize": lambda x: Enlarge(2, "bilinear")(conv(2, strides=2)(x)),
    "resize nearest": lambda x: conv(2)(
        Enlarge(3, "nearest")(L.MaxPooling2D(3)(x))
    ),
    "resize to a size": lambda x: ToTheSizeOf()(conv(2, strides=2)(x), x),
    "resize inside": lambda x: Decoder()(x),
    "reflect": padded_by("reflect"),
    "symmetric": padded_by("symmetric"),
    "constant": padded_by("constant", constant_values=2.0),
    "strided slice": strided,
    "shifted slice": shifted,
    "operations": lambda x: Operations()(x),
    "picked": picked,
    "spectral normalization": wrapped,
    "augmentation": augmented,
    "custom activation": custom_activation,
    "attention of channels": attended_channels,
    "permute": lambda x: L.Permute((1, 2, 3))(conv(2)(x)),
}
if keras.backend.backend() == "jax":
    BUILDERS["edge"] = padded_by("edge")
if keras.backend.backend() == "torch":  # There steps are positive.
    del BUILDERS["channels flipped"]
