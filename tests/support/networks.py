"""Small networks of every kind that tiling must get right, also at random."""

import math

import keras
import numpy as np

from keras_patching.models.unet import unet

L = keras.layers


def numpy_zeros(shape, dtype=None):
    return np.zeros(shape, "float32")  # Nothing to compile; `fill` comes last.


def conv(filters, kernel, cls=L.Conv2D, **kwargs):
    kwargs = {"padding": "same", "kernel_initializer": numpy_zeros, **kwargs}
    return cls(filters, kernel, **kwargs)


def depthwise(kernel, **kwargs):
    kwargs = {"depthwise_initializer": numpy_zeros, **kwargs}
    return L.DepthwiseConv2D(kernel, padding="same", **kwargs)


def separable(filters, kernel, **kwargs):
    return L.SeparableConv2D(
        filters,
        kernel,
        padding="same",
        depthwise_initializer=numpy_zeros,
        pointwise_initializer=numpy_zeros,
        **kwargs,
    )


def transposed(filters, kernel, strides, **kwargs):
    return conv(filters, kernel, L.Conv2DTranspose, strides=strides, **kwargs)


def chain(*layers, channels=1, name=None):
    inputs = keras.Input((None, None, channels))
    return keras.Sequential([inputs, *layers], name=name)


def built_on(build, channels=1):
    """Return the functional model of a function from tensor to tensors."""
    inputs = keras.Input((None, None, channels))
    return keras.Model(inputs, build(inputs))


def default_unet():
    return unet(2, None, 1, value_range=(-1, 1), filters=(2, 2, 3, 4))


def strided_unet():
    def build(x):
        full = conv(2, 3, activation="relu")(x)
        half = conv(2, 3, strides=2, activation="relu")(full)
        quarter = conv(3, 3, strides=2, activation="relu")(half)
        half = L.Concatenate()([transposed(2, 3, 2)(quarter), half])
        half = conv(2, 3, activation="relu")(half)
        full = L.Concatenate()([transposed(2, 2, 2)(half), full])
        return conv(2, 3)(full)

    return built_on(build)


def dilated():
    return chain(
        *(conv(2, 3, dilation_rate=n, activation="relu") for n in (1, 2, 4, 8)),
        conv(1, 1),
    )


def separable_with_batch_normalization():
    def block(filters, **kwargs):
        normalized = L.BatchNormalization()
        return separable(filters, 3, use_bias=False, **kwargs), normalized

    return chain(
        *block(3),
        L.ReLU(),
        *block(4, strides=2),
        L.ReLU(),
        depthwise(3),
        L.UpSampling2D(interpolation="bilinear"),
        conv(1, 1),
    )


def residual_pyramid():
    """Padding and valid strided convolutions, as in ResNet; top-down merges."""

    def stage(x, filters):
        x = L.ZeroPadding2D(1)(x)
        x = conv(filters, 3, strides=2, padding="valid")(x)
        return L.Add()([x, conv(filters, 3, activation="relu")(x)])

    def build(x):
        half = stage(x, 2)
        quarter = stage(half, 2)
        eighth = conv(2, 1)(stage(quarter, 3))
        quarter = L.Add()([L.UpSampling2D()(eighth), conv(2, 1)(quarter)])
        smooth = conv(2, 3)  # One layer for all levels.
        half = L.Add()([L.UpSampling2D()(smooth(quarter)), conv(2, 1)(half)])
        return L.UpSampling2D()(smooth(half))

    return built_on(build)


def asymmetric():
    return chain(
        conv(2, (1, 7), activation="relu"),
        conv(2, (7, 1), activation="relu"),
        conv(2, 4, strides=2, activation="relu"),
        transposed(1, 4, 2),
    )


def quarter_scale():
    return chain(
        conv(2, 3),
        L.AveragePooling2D(2),
        conv(2, 3, strides=2, activation="relu"),
        conv(1, 3),
    )


def two_scales():
    def build(x):
        full = conv(2, 3, activation="relu")(x)
        half = conv(2, 5)(L.MaxPooling2D()(full))
        return {"full": conv(1, 5)(full), "half": conv(1, 1)(half)}

    return built_on(build)


def nested_and_shared():
    """A Sequential model, used twice, in a functional one."""
    block = chain(conv(2, 3), L.ReLU(), conv(2, 3), channels=2, name="block")
    down_up = built_on(
        lambda x: L.UpSampling2D()(block(L.MaxPooling2D()(x))), channels=2
    )
    return built_on(lambda x: block(down_up(conv(2, 1)(x))))


NETWORKS = (
    default_unet,
    strided_unet,
    dilated,
    separable_with_batch_normalization,
    residual_pyramid,
    asymmetric,
    quarter_scale,
    two_scales,
    nested_and_shared,
)

# Weights that hide nothing


def fill(model, seed=0, positive=False):
    """Draw all weights; if positive, no path from input to output cancels."""
    rng = np.random.default_rng(seed)
    for variable in model.variables:
        shape = variable.shape
        if not keras.backend.is_float_dtype(variable.dtype):
            continue
        if variable.name in ("gamma", "moving_variance", "scale"):
            variable.assign(rng.uniform(0.5, 1.5, shape))
        elif len(shape) < 2:
            variable.assign(rng.normal(0, 0.0 if positive else 0.2, shape))
        elif positive:
            fan_in = math.prod(shape[:-1])
            variable.assign(rng.uniform(0.5, 1.5, shape) / fan_in)
        else:
            deviation = 0.8 / math.sqrt(math.prod(shape[:-1]))
            variable.assign(rng.normal(0, deviation, shape))
    return model


def random_network(seed):
    """Layers drawn at random: kernels, strides, skips, up and down."""
    rng = np.random.default_rng(seed)
    inputs = keras.Input((None, None, 2))
    x, scale, tensors = inputs, (1, 1), []
    for _ in range(rng.integers(5, 9)):
        x, scale = rng.choice([convolve, shrink, pad_and_shrink, grow])(
            rng, x, scale
        )
        same = [tensor for tensor, other in tensors if other == scale]
        if same and rng.random() < 0.5:
            x = L.Concatenate()([x, same[rng.integers(len(same))]])
        tensors.append((x, scale))
    if scale[0] != scale[1] or rng.random() < 0.7:
        x = L.UpSampling2D(scale)(x)
    return keras.Model(inputs, conv(1, 3)(x))


def draw_pair(rng, low, high):
    return tuple(rng.integers(low, high + 1, 2).tolist())


def convolve(rng, x, scale):
    kernel = draw_pair(rng, 1, 4)
    activation = str(rng.choice(["relu", "tanh", "leaky_relu"]))
    layer = rng.choice(
        [
            lambda: conv(3, kernel, dilation_rate=int(rng.integers(1, 4))),
            lambda: separable(2, kernel),
            lambda: depthwise(kernel),
        ]
    )()
    return L.Activation(activation)(layer(x)), scale


def draw_shrinkage(rng, scale):
    """Factors of one axis or both, up to a stride of 6."""
    factors = [(2, 2), (2, 1), (1, 2), (3, 3)][rng.integers(4)]
    larger = tuple(s * f for s, f in zip(scale, factors, strict=True))
    return (factors, larger) if max(larger) <= 6 else ((1, 1), scale)


def shrink(rng, x, scale):
    factors, scale = draw_shrinkage(rng, scale)
    size = draw_pair(rng, 2, 5)
    layer = rng.choice(
        [
            lambda: conv(3, size, strides=factors),
            lambda: L.MaxPooling2D(size, factors, padding="same"),
            lambda: L.AveragePooling2D(size, factors, padding="same"),
        ]
    )()
    return layer(x), scale


def pad_and_shrink(rng, x, scale):
    """Pad as many pixels as a valid convolution takes, on either side."""
    factors, scale = draw_shrinkage(rng, scale)
    more = draw_pair(rng, 0, 3)
    before = [int(rng.integers(0, n + 1)) for n in more]
    padding = [(b, n - b) for n, b in zip(more, before, strict=True)]
    kernel = [f + n for f, n in zip(factors, more, strict=True)]
    x = L.ZeroPadding2D(padding)(x)
    return conv(2, kernel, strides=factors, padding="valid")(x), scale


def grow(rng, x, scale):
    factors = tuple(next(f for f in (3, 2, 1) if s % f == 0) for s in scale)
    layer = rng.choice(
        [
            lambda: L.UpSampling2D(factors),
            lambda: L.UpSampling2D(factors, interpolation="bilinear"),
            lambda: transposed(2, draw_pair(rng, 1, 5), factors),
        ]
    )()
    return layer(x), tuple(s // f for s, f in zip(scale, factors, strict=True))
