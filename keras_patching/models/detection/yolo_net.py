"""The default patch model of object detection."""

import keras

_EMPTY = -4.0  # logit of an objectness of 2%


def yolo_net(
    grid_size,
    num_anchors,
    num_labels,
    channels=3,
    value_range=(0, 255),
    filters=(16, 32, 64, 96, 128),
    name="yolo_net",
):
    """Build a compact convolutional detector for patches of any size.

    Strided convolutions halve the patch as often as there are `filters`, then
    the features are resized to the grid. It normalizes the channels of each
    pixel only: nothing depends on the batch, or on the rest of the image.

    Args:
        grid_size: `(rows, cols)` of the output.
        num_anchors: Number of anchors.
        num_labels: Number of classes.
        channels: Number of channels of the images.
        value_range: Lowest (black) and highest value of the images; rescaled
            to -1 and 1.
        filters: Filters per resolution, from half of the patch's downwards.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from `(batch, height, width, channels)` to
        float32 `(batch, rows, cols, num_anchors * (5 + num_labels))`.

    Example:

    >>> yolo_net((7, 7), num_anchors=5, num_labels=1).output_shape
    (None, 7, 7, 30)
    """
    inputs = keras.Input((None, None, channels))
    black, white = value_range
    x = keras.layers.Rescaling(
        2 / (white - black), offset=-(white + black) / (white - black)
    )(inputs)
    for level, width in enumerate(filters):
        x = _convolution(x, width, kernel_size=3 if level else 5, strides=2)
        if level > 1:  # most of its work is where pixels are few
            x = _convolution(x, width)
    x = keras.layers.Resizing(*grid_size, interpolation="bilinear")(x)
    for _ in range(2):
        x = _convolution(x, 2 * filters[-1])
    outputs = keras.layers.Conv2D(
        num_anchors * (5 + num_labels),
        1,
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
        # Few predictions are of an object: begin with none.
        bias_initializer=keras.initializers.Constant(
            ([0.0] * 4 + [_EMPTY] + [0.0] * num_labels) * num_anchors
        ),
        dtype="float32",
    )(x)
    return keras.Model(inputs, outputs, name=name)


def _convolution(x, filters, kernel_size=3, strides=1):
    x = keras.layers.Conv2D(
        filters,
        kernel_size,
        strides=strides,
        padding="same",
        kernel_initializer="he_normal",
    )(x)
    x = keras.layers.LayerNormalization(axis=-1)(x)
    return keras.layers.LeakyReLU(0.1)(x)
