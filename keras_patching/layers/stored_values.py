"""What variables hold, in whatever data type layers read them."""

import keras
from keras import ops


def stored_values(variables):
    """Return what variables hold, in their own data type.

    Inside of a layer of mixed precision, reading one would round it.

    Args:
        variables: List of `keras.Variable`.

    Returns:
        List of tensors.
    """
    return _Reader(variables)(ops.zeros(()))


class _Reader(keras.layers.Layer):
    """Reads variables, which are not its own, where nothing casts them."""

    def __init__(self, variables):
        super().__init__(name="reader", dtype="float32", autocast=False)
        self._read = lambda: [each.value for each in variables]

    def call(self, unused):
        return self._read()
