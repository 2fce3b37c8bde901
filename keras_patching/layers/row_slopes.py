"""What has no slope where a tensor ends.

Rows outside of a tensor weigh nothing on the way back. But nothing times
infinity, the slope of a root at zero, is not a number, and would spread into
the gradients of weights. So such a function is given other numbers there.
"""

import keras
from keras import ops

from keras_patching._keras_internals import twin_of

# Operations with a finite slope at every number.
_SMOOTH = {
    *("Abs", "Add", "Arctan", "Average", "Cast", "Celu", "Clip"),
    *("Concatenate", "Conj", "Cos", "Cosh", "Einsum", "Elu", "Erf", "Exp"),
    *("ExpandDims", "Expm1", "Gelu", "GetItem", "Glu", "HardShrink"),
    *("HardSigmoid", "HardSilu", "HardTanh", "Identity", "LeakyRelu"),
    *("LogSigmoid", "LogSoftmax", "Matmul", "Max", "Maximum", "Mean", "Min"),
    *("Minimum", "Moveaxis", "Multiply", "Negative", "Relu", "Relu6"),
    *("Reshape", "Selu", "Sigmoid", "Sign", "Silu", "Sin", "Sinh"),
    *("SoftShrink", "Softmax", "Softplus", "Softsign", "SparsePlus", "Split"),
    *("Square", "Squeeze", "Stack", "Subtract", "Sum", "Swapaxes", "Take"),
    *("Tanh", "TanhShrink", "Tensordot", "Threshold", "Transpose", "Unstack"),
    *("Var", "Where", "ZerosLike"),
}


def has_slopes(call):
    """Tell whether a call has a finite slope everywhere.

    Args:
        call: `Call` of what looks at one pixel at a time.
    """
    if isinstance(call.operation, keras.layers.Layer):
        return _is_of_keras(call.operation)
    return call.kind in _SMOOTH


def split_activation(call):
    """Set apart an activation that may have no slope somewhere.

    What a layer with weights makes outside can so be put right before it.

    Args:
        call: `Call`.

    Returns:
        The call without its activation, and that function; or the call as it
        is, and `None`.
    """
    layer = call.operation
    activation = getattr(layer, "activation", None)
    known = vars(keras.activations).values()
    if activation is None or activation in known or not _is_of_keras(layer):
        return call, None
    twin = twin_of(layer, activation=keras.activations.linear)
    return call.with_operation(twin), activation


def _is_of_keras(layer):
    return type(layer).__module__.startswith("keras.")


def numbers_with_slopes(value, field):
    """Return numbers at which roots, logarithms and deviations have a slope.

    Args:
        value: Rows of a tensor.
        field: Its `SpatialField`.

    Returns:
        Tensor that broadcasts to `value`, from 0.5 to 0.75, along channels.
    """
    axis = max(field.channel_axes, default=None)
    if axis is None:
        return 0.5
    shape = [1] * len(value.shape)
    shape[axis] = channels = value.shape[axis]
    steps = ops.arange(channels, dtype="float32") / (4 * channels)
    return ops.reshape(0.5 + steps, shape)
