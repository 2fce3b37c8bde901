"""Convolutions that XLA trains as fast in a loop as elsewhere, on a CPU.

The gradient of a convolution is one of other axes. Outside of loops XLA brings
them into the order that its fast convolution takes, and inside it does not:
there it takes 15 times as long. So they are brought into that order here.
"""

import functools

from keras import ops

_AXES = ("NHWC", "HWIO", "NHWC")


def jax_convolution(layer):
    """Return a `convolution_op` for a layer of channels-last tensors.

    Args:
        layer: `keras.layers.Conv2D` of one group.

    Returns:
        Function `(inputs, kernel) -> outputs`, without padding.
    """
    strides, dilation = layer.strides, layer.dilation_rate
    convolve = _trained_through(tuple(strides), tuple(dilation))

    def convolution_op(inputs, kernel):
        return convolve(inputs, ops.convert_to_tensor(kernel))

    return convolution_op


@functools.cache
def _trained_through(strides, dilation):
    import jax

    def run(inputs, kernel):
        return jax.lax.conv_general_dilated(
            inputs,
            kernel,
            strides,
            "VALID",
            rhs_dilation=dilation,
            dimension_numbers=_AXES,
        )

    def forward(inputs, kernel):
        return run(inputs, kernel), (inputs, kernel)

    def backward(kept, gradient):
        return (
            _gradient_of_inputs(*kept, gradient, strides, dilation),
            _gradient_of_kernel(*kept, gradient, strides, dilation),
        )

    convolve = jax.custom_vjp(run)
    convolve.defvjp(forward, backward)
    return convolve


def _gradient_of_inputs(inputs, kernel, gradient, strides, dilation):
    import jax

    padding = [
        ((taps - 1) * step, length - (made - 1) * stride - 1)
        for taps, step, length, made, stride in zip(
            kernel.shape[:2],
            dilation,
            inputs.shape[1:3],
            gradient.shape[1:3],
            strides,
            strict=True,
        )
    ]
    return jax.lax.conv_general_dilated(
        gradient,
        ops.transpose(kernel[::-1, ::-1], (0, 1, 3, 2)),
        (1, 1),
        padding,
        lhs_dilation=strides,
        rhs_dilation=dilation,
        dimension_numbers=_AXES,
    )


def _gradient_of_kernel(inputs, kernel, gradient, strides, dilation):
    import jax

    # What no window reaches would make more taps than there are.
    height, width = (
        (made - 1) * stride + (taps - 1) * step + 1
        for taps, step, made, stride in zip(
            kernel.shape[:2],
            dilation,
            gradient.shape[1:3],
            strides,
            strict=True,
        )
    )
    made = jax.lax.conv_general_dilated(
        ops.transpose(inputs[:, :height, :width], (3, 1, 2, 0)),
        ops.transpose(gradient, (1, 2, 0, 3)),
        dilation,
        "VALID",
        rhs_dilation=strides,
        dimension_numbers=_AXES,
    )
    return ops.transpose(made, (1, 2, 0, 3))
