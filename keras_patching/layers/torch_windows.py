"""Convolutions and pooling as torch runs them, without copies.

Keras brings what is channels-last to channels-first and, for convolutions,
back again: on a CPU that takes longer than they do. Torch runs both as they
are.
"""


def convolution(layer, padding):
    """Return a `convolution_op` for a layer of channels-last tensors.

    Args:
        layer: `keras.layers.Conv2D`.
        padding: `(height, width)`: zeros on both sides.
    """

    def convolve(inputs, kernel):
        import torch
        from keras import ops

        kernel = ops.convert_to_tensor(kernel).permute(3, 2, 0, 1)
        made = torch.nn.functional.conv2d(
            inputs.permute(0, 3, 1, 2),
            kernel,
            stride=layer.strides,
            padding=padding,
            dilation=layer.dilation_rate,
            groups=layer.groups,
        )
        return made.permute(0, 2, 3, 1)

    return convolve


def max_pooling(layer):
    """Return what pools channels-last tensors, without padding.

    Args:
        layer: `keras.layers.MaxPooling2D`.
    """

    def pool(inputs):
        import torch

        made = torch.nn.functional.max_pool2d(
            inputs.permute(0, 3, 1, 2), layer.pool_size, layer.strides
        )
        return made.permute(0, 2, 3, 1)

    return pool
