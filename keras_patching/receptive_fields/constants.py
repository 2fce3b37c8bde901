"""Refuses constants that are not the same for every pixel.

A constant is what a layer combines its inputs with, and is no input itself: a
number of a layer that scales, an array that is added. Where it differs from
pixel to pixel, a tile cannot be like the same place of the whole image.
"""

import numbers

import keras
import numpy as np

from keras_patching.receptive_fields.errors import refusal, unbounded

# Arguments of layers and operations that are combined with each pixel.
_NUMBERS = (
    *("alpha", "initial", "max_value", "negative_slope", "threshold"),
    *("x_max", "x_min"),
)
# Attributes of layers that are variables, unless someone has put in others.
_WEIGHTS = (
    *("beta", "bias", "gamma", "mean", "moving_mean", "moving_variance"),
    *("offset", "scale", "variance"),
)


def check_constants(layer, field, arguments, constants=()):
    """Refuse arguments of a call that are not the same for every pixel.

    Args:
        layer: Layer or operation that was called.
        field: `SpatialField` of its input.
        arguments: Structure of what it was called with. What is symbolic is
            an input; all else is a constant: a number, or what broadcasts to
            the input, be it an array, nested lists, a tensor of a backend or
            a variable.
        constants: Symbolic tensors that are no inputs, but made of weights.
    """
    constants = set(map(id, constants))
    for value in _constants(arguments, constants):
        shape = shape_of(layer, value)
        if isinstance(layer, keras.layers.Layer):
            _check_rank(layer, field, shape)
        check_constant(layer, field, shape)


def _constants(value, constants):
    """Yield what is no input in the arguments of a call."""
    if isinstance(value, keras.KerasTensor):
        if id(value) in constants:
            yield value
        return
    if isinstance(value, dict):
        value = tuple(value.values())
    elif not _holds_symbols(value):
        yield value
        return
    for each in value:
        yield from _constants(each, constants)


def _holds_symbols(value):
    return any(
        isinstance(leaf, keras.KerasTensor)
        for leaf in keras.tree.flatten(value)
    )


def _check_rank(layer, field, shape):
    """Refuse what layers, unlike operations, may align with the batch."""
    if set(shape) - {1} and len(shape) != field.rank:
        raise refusal(
            layer,
            f"is given a constant of shape {shape} (one number for each "
            "channel is of shape (1, 1, 1, channels))",
        )


def check_constant(layer, field, shape):
    """Refuse a constant of a shape that is not the same for every pixel."""
    if len(shape) > field.rank:
        raise refusal(layer, f"is given a constant of shape {shape}")
    shape_of_all = (1,) * (field.rank - len(shape)) + tuple(shape)
    if shape_of_all[0] != 1:
        raise unbounded(
            layer, f"has a number for each image of a batch, of shape {shape}"
        )
    if any(shape_of_all[axis] != 1 for axis in field.axes):
        raise unbounded(
            layer, f"has a number for each row or column, of shape {shape}"
        )


def shape_of(layer, value):
    """Tell the shape of a constant; that of what is no number is ()."""
    if value is None or isinstance(value, (bool, str, numbers.Number)):
        return ()
    try:
        # Anything else of no shape, and ragged lists, may hold whatever.
        return tuple(value.shape if hasattr(value, "shape") else _shape(value))
    except (TypeError, ValueError) as error:
        raise refusal(
            layer, f"is given a {type(value).__name__} of no known shape"
        ) from error


def _shape(value):
    if not isinstance(value, (list, tuple)):
        raise TypeError
    return np.shape(value)


def check_own_constants(layer, field):
    """Refuse what a layer was made with, if it differs from pixel to pixel.

    Kernels are not combined with pixels one by one, and what has one axis is
    along the channels, as each rule checks of the layer.
    """
    for name, value in vars(layer).items():
        if name in _WEIGHTS and isinstance(value, (list, tuple)):
            value = np.asarray(value)
        is_array = _is_array(value) and "kernel" not in name
        if name in _NUMBERS or (is_array and len(value.shape) > 1):
            check_constant(layer, field, shape_of(layer, value))


def _is_array(value):
    shape = getattr(value, "shape", None)
    # Layers hold what asks for shapes, too, and modules that tell them.
    is_question = callable(shape) or isinstance(value, keras.InputSpec)
    return shape is not None and not is_question
