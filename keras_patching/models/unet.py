"""The default patch model where the output is an image: a compact U-Net."""

import keras


def unet(
    num_outputs,
    activation="softmax",
    channels=3,
    value_range=(0, 255),
    filters=(8, 32, 64, 128),
    name="unet",
):
    """Build a compact U-Net for patches of any size.

    After Ronneberger et al. 2015 (https://arxiv.org/abs/1505.04597), with
    `same` padding. Most of its work is at half of the resolution: the full one,
    where pixels are many, has one narrow convolution on each side, which is
    what keeps edges sharp. It has no normalization layer: nothing in it
    depends on the rest of the image, so that a patch is predicted like a part
    of it, and a training of a few dozen steps is at its inference behaviour.

    Args:
        num_outputs: Channels of the output: classes, say.
        activation: What it ends in, in float32.
        channels: Number of channels of the images.
        value_range: Lowest (black) and highest value of the images; rescaled
            to -1 and 1.
        filters: Filters per resolution, from full to coarsest. Height and
            width of a patch must be multiples of `2 ** (len(filters) - 1)`.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from `(batch, height, width, channels)` to
        float32 `(batch, height, width, num_outputs)`.
    """
    inputs = keras.Input((None, None, channels))
    black, white = value_range
    x = keras.layers.Rescaling(
        2 / (white - black), offset=-(white + black) / (white - black)
    )(inputs)
    x = _convolution(x, filters[0])
    skips = [x]
    for width in filters[1:-1]:
        x = keras.layers.MaxPooling2D()(x)
        x = _convolution(_convolution(x, width), width)
        skips.append(x)
    x = keras.layers.MaxPooling2D()(x)
    x = _convolution(_convolution(x, filters[-1]), filters[-1])
    full, *coarser = skips
    for skip in reversed(coarser):
        x = _upsample_onto(skip, x)
        x = _convolution(_convolution(x, skip.shape[-1]), skip.shape[-1])
    x = _convolution(_upsample_onto(full, x), 2 * filters[0])
    outputs = keras.layers.Conv2D(
        num_outputs, 1, activation=activation, dtype="float32"
    )(x)
    return keras.Model(inputs, outputs, name=name)


def _upsample_onto(skip, x):
    return keras.layers.Concatenate()([keras.layers.UpSampling2D()(x), skip])


def _convolution(x, filters):
    return keras.layers.Conv2D(
        filters,
        3,
        padding="same",
        activation="relu",
        kernel_initializer="he_normal",
    )(x)
