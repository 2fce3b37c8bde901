"""How much memory a model takes to run, estimated from what its layers make."""

import math

import keras

from keras_patching._keras_internals import reason_of
from keras_patching.receptive_fields.opening import record_call


def activation_bytes(model, shape):
    """Estimate the bytes of the tensors that exist at once, at the most.

    A tensor is there until the last layer that takes it has run; torch, which
    runs one layer after the other, keeps them until the model returns. What
    libraries need while they convolve is not known.

    Args:
        model: Layer or model, built.
        shape: Of its input, without unknown sizes.

    Raises:
        ValueError: If its layers cannot be followed; names the model.

    Example:

    >>> model = keras.Sequential(
    ...     [
    ...         keras.Input((None, None, 1)),
    ...         keras.layers.Conv2D(2, 1),
    ...         keras.layers.Conv2D(1, 1),
    ...     ]
    ... )
    >>> activation_bytes(model, (1, 10, 10, 1)) >= 3 * 400
    True
    """
    spec = keras.KerasTensor(shape, dtype=keras.config.floatx())
    try:
        return _peak(model, [spec])
    except Exception as error:
        raise ValueError(
            "`device_memory` is kept to by what the layers of the patch model "
            f"make, and those of '{model.name}' cannot be followed: "
            f"{reason_of(error).rstrip('.')}. Pass `batch_size` instead."
        ) from error


def _peak(model, inputs):
    graph = record_call(model, inputs)
    last_use = {
        id(tensor): place
        for place, node in enumerate(graph.nodes)
        for tensor in node.input_tensors
    }
    last_use |= {id(tensor): math.inf for tensor in graph.outputs}
    frees = keras.backend.backend() != "torch"
    held = {id(tensor): _bytes(tensor) for tensor in inputs}
    peak = sum(held.values())
    for place, node in enumerate(graph.nodes):
        before = sum(held.values())
        held |= {id(tensor): _bytes(tensor) for tensor in node.output_tensors}
        peak = max(peak, sum(held.values()))
        if isinstance(node.operation, keras.Model):
            inputs = [
                keras.KerasTensor(each.shape, dtype=each.dtype)
                for each in node.input_tensors
            ]
            inside = _peak(node.operation, inputs)
            peak = max(peak, before - sum(map(_bytes, inputs)) + inside)
        if frees:
            held = {
                tensor: size
                for tensor, size in held.items()
                if last_use.get(tensor, -1) > place
            }
    return peak


def _bytes(tensor):
    dtype = keras.backend.standardize_dtype(tensor.dtype)
    bits = "".join(filter(str.isdigit, dtype.partition("_")[0])) or "8"
    return math.prod(tensor.shape) * int(bits) // 8
