"""Convolutions and pooling as torch runs them, without copies.

Keras brings what is channels-last to channels-first and, for convolutions,
back again: on a CPU that takes longer than they do. Torch runs both as they
are, and pads columns while it convolves.
"""

from keras import ops


def torch_convolution(layer, columns):
    """Return a `convolution_op` for a layer of channels-last tensors.

    Args:
        layer: `keras.layers.Conv2D`.
        columns: `(before, after)`: columns of zeros that are added.

    Returns:
        Function `(inputs, kernel) -> outputs`.
    """
    before, after = columns
    is_even = before == after

    def convolve(inputs, kernel):
        import torch

        if not is_even:
            inputs = torch.nn.functional.pad(inputs, (0, 0, before, after))
        kernel = ops.convert_to_tensor(kernel).permute(3, 2, 0, 1)
        if torch.is_grad_enabled():
            kernel = kernel.contiguous()  # Not all ways back take views.
        made = torch.nn.functional.conv2d(
            inputs.permute(0, 3, 1, 2),
            kernel,
            stride=layer.strides,
            padding=(0, before if is_even else 0),
            dilation=layer.dilation_rate,
            groups=layer.groups,
        )
        return made.permute(0, 2, 3, 1)

    return convolve


def torch_max_pooling(layer):
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
