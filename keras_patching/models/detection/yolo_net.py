"""The default patch model of object detection."""

import math

import keras

# Logit of an objectness of 2%.
_EMPTY = -4.0


def yolo_net(
    grid_size,
    num_anchors,
    num_classes,
    channels=3,
    value_range=(0, 255),
    filters=(32, 64, 128, 192, 256),
    name="yolo_net",
):
    """Build a compact convolutional detector for patches of any size.

    A first convolution reduces the patch to a quarter: finer resolutions would
    take most of the work, and objects are larger than that. Strided
    convolutions halve it further, with residual blocks in between. The two
    coarsest resolutions are resized to twice the grid, and a last strided
    convolution sees the whole of each cell.

    Channels are normalized by BatchNormalization with a momentum of 0.9, so
    that predictions are those of training after some dozen steps. Predictions
    do not depend on the batch, nor on the rest of the image.

    Args:
        grid_size: `(rows, cols)` of the output.
        num_anchors: Number of anchors.
        num_classes: Number of classes.
        channels: Number of channels of the images.
        value_range: Lowest (black) and highest value of the images; rescaled
            to -1 and 1.
        filters: Filters per resolution, from a quarter of the patch's
            downwards; the last are those of the grid. At least two.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from `(batch, height, width, channels)` to
        float32 `(batch, rows, cols, num_anchors * (5 + num_classes))`.
    """
    inputs = keras.Input((None, None, channels))
    black, white = value_range
    x = keras.layers.Rescaling(
        2 / (white - black), offset=-(white + black) / (white - black)
    )(inputs)
    x = _convolution(x, filters[0], kernel_size=4, strides=4)
    finer = None
    for level, width in enumerate(filters[1:-1]):
        finer = x
        x = _convolution(x, width, strides=2)
        for _ in range(min(level + 1, 2)):  # cheap where pixels are few
            x = _residual_block(x)
    twice_grid = [2 * cells for cells in grid_size]
    features = keras.layers.Resizing(*twice_grid)(x)
    if finer is not None:
        finer = _convolution(finer, filters[-2] // 3, kernel_size=1)
        finer = keras.layers.Resizing(*twice_grid)(finer)
        features = keras.layers.Concatenate()([features, finer])
    x = _convolution(features, filters[-1], strides=2)
    x = _residual_block(x)
    outputs = keras.layers.Conv2D(
        num_anchors * (5 + num_classes),
        1,
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
        # Few predictions are of an object, so all begin with a low score.
        bias_initializer=keras.initializers.Constant(
            ([0.0] * 4 + [_EMPTY] + [0.0] * num_classes) * num_anchors
        ),
        dtype="float32",
    )(x)
    return keras.Model(inputs, outputs, name=name)


def _convolution(x, filters, kernel_size=3, strides=1):
    x = _normalized_convolution(x, filters, kernel_size, strides)
    return keras.layers.LeakyReLU(0.1)(x)


def _residual_block(x):
    """Add what a narrow and a wide convolution find, as in Darknet-53."""
    filters = x.shape[-1]
    found = _convolution(x, filters // 2, kernel_size=1)
    found = _normalized_convolution(found, filters)
    return keras.layers.LeakyReLU(0.1)(keras.layers.Add()([x, found]))


def _normalized_convolution(x, filters, kernel_size=3, strides=1):
    x = keras.layers.Conv2D(
        filters,
        kernel_size,
        strides=strides,
        padding="same",
        use_bias=False,  # BatchNormalization has one
        kernel_initializer="he_normal",
    )(x)
    return keras.layers.BatchNormalization(momentum=0.9)(x)


def check_head(patch_model, grid_size, num_anchors, num_classes):
    """Refuse a patch model whose output is not that of a YOLO."""
    shape = getattr(patch_model, "output_shape", None)
    if not isinstance(shape, tuple):
        return  # Not built, or of several outputs: building it will tell.
    values = num_anchors * (5 + num_classes)
    known = None not in shape[1:]
    if known and (shape[1:3] != grid_size or math.prod(shape[3:]) != values):
        swapped = (
            " Its rows and cols are those of `grid_size` swapped: give the "
            "rows first."
            if shape[1:3] == grid_size[::-1] != grid_size
            else ""
        )
        raise ValueError(
            f"The patch model '{patch_model.name}' must end in (batch, "
            f"{grid_size[0]}, {grid_size[1]}, {values}): the grid, and for "
            f"each of {num_anchors} anchors 5 values and {num_classes} "
            "classes. Or pass a `prediction_decoder` that decodes what it "
            f"gives.{swapped} "
            f"Received: output shape {shape}"
        )
