"""What each operation of Keras does to a receptive field.

Operations, as in `x + y`, are what a functional model records beside layers,
and what is found inside of layers that are opened. A rule is a function
`rule(call, fields) -> field`: it takes the `Call`, whose arguments it reads,
and the `SpatialField` of each input that has rows and columns. Keras does not
export the classes of operations: they are known by their names.
"""

import keras

from keras_patching.receptive_fields.channel_rules import CHANNEL_RULES
from keras_patching.receptive_fields.neighbour_rules import NEIGHBOUR_RULES
from keras_patching.receptive_fields.pixel_rules import PIXEL_RULES


def find_operation_rule(operation):
    """Return the rule of an operation of Keras, or None."""
    return _RULES.get(operation_kind(operation))


def operation_kind(operation):
    """Return the name that an operation of Keras has its rule by, or None."""
    if isinstance(operation, keras.layers.Layer):
        return None
    if not type(operation).__module__.startswith("keras."):
        return None
    name = type(operation).__name__
    return name if name in _RULES else None


_RULES = {**PIXEL_RULES, **CHANNEL_RULES, **NEIGHBOUR_RULES}
