"""Encoders of keras.applications with decoders, and other published nets."""

import keras
from networks import conv, numpy_zeros

L = keras.layers

# For each encoder the last layer of each scale, from the finest on.
SKIPS = {
    "ConvNeXtTiny": (
        "convnext_tiny_stage_0_block_2_identity",
        "convnext_tiny_stage_1_block_2_identity",
        "convnext_tiny_stage_2_block_8_identity",
        "convnext_tiny_stage_3_block_2_identity",
    ),
    "DenseNet121": (
        "conv1_relu",
        "pool2_relu",
        "pool3_relu",
        "pool4_relu",
        "relu",
    ),
    "MobileNetV2": (
        "block_1_expand_relu",
        "block_3_expand_relu",
        "block_6_expand_relu",
        "block_13_expand_relu",
        "out_relu",
    ),
    "ResNet50": (
        "conv1_relu",
        "conv2_block3_out",
        "conv3_block4_out",
        "conv4_block6_out",
        "conv5_block3_out",
    ),
}


def encode(name, scales=None, **kwargs):
    """Return the input of an encoder, and its last tensor of each scale.

    Args:
        name: Of `keras.applications`.
        scales: How many; by default all.
        **kwargs: Of the encoder.
    """
    # Nothing to compile; `fill` comes last.
    with keras.saving.custom_object_scope({"glorot_uniform": numpy_zeros}):
        encoder = getattr(keras.applications, name)(
            weights=None,
            include_top=False,
            input_shape=(None, None, 3),
            **kwargs,
        )
    skips = [encoder.get_layer(each).output for each in SKIPS[name][:scales]]
    return encoder.input, skips


def unet_of(name, scales=None, filters=4, **kwargs):
    """Return an encoder with the decoder of a U-Net.

    Args:
        name, scales, **kwargs: As for `encode`.
        filters: Of the finest scale of the decoder.
    """
    inputs, skips = encode(name, scales, **kwargs)
    x = skips.pop()
    for index in reversed(range(len(skips))):
        x = L.Concatenate()([L.UpSampling2D()(x), skips[index]])
        x = conv(filters * 2**index, 3, activation="relu")(x)
    x = L.UpSampling2D(4 if name == "ConvNeXtTiny" else 2)(x)
    return keras.Model(inputs, conv(2, 3)(x))


def resnet_unet(scales=2):
    return unet_of("ResNet50", scales)


def densenet_unet(scales=2):
    return unet_of("DenseNet121", scales)


def mobilenet_unet(scales=2):
    return unet_of("MobileNetV2", scales, alpha=0.35)


def convnext_unet(scales=1):
    return unet_of("ConvNeXtTiny", scales, include_preprocessing=False)


def resnet_pyramid(scales=2, filters=4):
    """A feature pyramid: Lin et al. 2017, one output for each scale."""
    inputs, skips = encode("ResNet50", scales)
    x, outputs = None, {}
    for index in reversed(range(len(skips))):
        side = conv(filters, 1)(skips[index])
        x = side if x is None else L.Add()([side, L.UpSampling2D()(x)])
        outputs[f"p{index + 1}"] = conv(filters, 3)(x)
    return keras.Model(inputs, outputs)


def deeplab(filters=4):
    """DeepLabV3+, Chen et al. 2018, without pooling of the whole image."""
    inputs = keras.Input((None, None, 3))
    quarter = conv(filters, 3, strides=4, activation="relu")(inputs)
    x = conv(filters, 5, strides=4, activation="relu")(quarter)
    branches = [conv(filters, 1, activation="relu")(x)] + [
        conv(filters, 3, dilation_rate=n, activation="relu")(x)
        for n in (6, 12, 18)
    ]
    x = conv(filters, 1, activation="relu")(L.Concatenate()(branches))
    x = L.UpSampling2D(4, interpolation="bilinear")(x)
    x = L.Concatenate()([x, conv(2, 1, activation="relu")(quarter)])
    x = conv(2, 3)(conv(filters, 3, activation="relu")(x))
    return keras.Model(inputs, L.UpSampling2D(4, interpolation="bilinear")(x))


def nested_unet(depth=3, filters=3):
    """U-Net++, Zhou et al. 2018: skips are made of those below them."""
    inputs = keras.Input((None, None, 3))
    columns = [[conv(filters, 3, activation="relu")(inputs)]]
    for _ in range(depth):
        x = L.MaxPooling2D()(columns[0][-1])
        columns[0].append(conv(filters, 3, activation="relu")(x))
    for column in range(1, depth + 1):
        columns.append(
            [
                conv(filters, 3, activation="relu")(
                    L.Concatenate()(
                        [
                            *(earlier[row] for earlier in columns),
                            L.UpSampling2D()(columns[-1][row + 1]),
                        ]
                    )
                )
                for row in range(depth + 1 - column)
            ]
        )
    return keras.Model(inputs, conv(2, 1)(columns[-1][0]))


def parallel_branches(num_branches=3, exchanges=2, filters=3):
    """As in HRNet, Wang et al. 2020: scales side by side that exchange."""

    def moved(x, up):
        """Bring a branch to a scale that is so many times finer."""
        if up >= 0:
            factor = 2**up
            return L.UpSampling2D(factor)(conv(filters, 1)(x)) if up else x
        for _ in range(-up):
            x = conv(filters, 3, strides=2, activation="relu")(x)
        return x

    inputs = keras.Input((None, None, 3))
    branches = [conv(filters, 3, strides=2, activation="relu")(inputs)]
    for _ in range(1, num_branches):
        branches.append(moved(branches[-1], -1))
    for _ in range(exchanges):
        branches = [conv(filters, 3, activation="relu")(x) for x in branches]
        branches = [
            L.ReLU()(
                L.Add()([moved(x, n - index) for n, x in enumerate(branches)])
            )
            for index in range(num_branches)
        ]
    x = L.Concatenate()(
        [
            L.UpSampling2D(2**n, interpolation="bilinear")(x)
            for n, x in enumerate(branches)
            if n
        ]
        + branches[:1]
    )
    return keras.Model(inputs, L.UpSampling2D()(conv(2, 1)(x)))


PUBLISHED = (
    resnet_unet,
    densenet_unet,
    mobilenet_unet,
    convnext_unet,
    resnet_pyramid,
    deeplab,
    nested_unet,
    parallel_branches,
)
