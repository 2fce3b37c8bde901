"""What a layer returns, found without running it on numbers."""

import functools
import inspect

import keras


class Trace(keras.Operation):
    """Runs a function or a layer on shapes alone, through all it does.

    A layer's own `compute_output_spec` asks the layers in it for what they
    declare: layers that are built do not check shapes again, and may return
    another dtype.

    Args:
        function: Function or layer of tensors.

    Example:

    >>> Trace(keras.ops.argmax).compute_output_spec(keras.KerasTensor((2, 3)))
    <KerasTensor shape=(), dtype=int32, ...>
    """

    def __init__(self, function):
        super().__init__()
        self.call = function


def output_spec(layer, inputs):
    """Tell shapes and dtypes of what a layer returns.

    Args:
        layer: Layer or model. One that is not built stays so.
        inputs: `keras.KerasTensor`.

    Returns:
        A `keras.KerasTensor`, or a list or dict of them.
    """
    # Torch may have to run a layer on numbers, where jax only traces it.
    if keras.backend.backend() != "jax" or not layer.built:
        try:
            return layer.compute_output_spec(inputs)
        except NotImplementedError:
            pass  # A module of torch declares nothing.
    if "training" in inspect.signature(layer.call).parameters:
        layer = functools.partial(layer, training=False)
    return Trace(layer).compute_output_spec(inputs)
