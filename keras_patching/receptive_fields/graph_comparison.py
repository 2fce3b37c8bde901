"""Whether two records of what a layer does are of the same graph."""

import keras
import numpy as np

from keras_patching._keras_internals import settings_of

# Operations with arguments that are sizes: what these mean is compared.
_SIZED = {"Reshape": "newshape", "Resize": "size"}


def first_difference(one, other):
    """Say where two `Graph`s are not the same, or return `None`."""
    if len(one.nodes) != len(other.nodes):
        return "the number of its operations"
    numbers = [_number_tensors(graph) for graph in (one, other)]
    for pair in zip(one.nodes, other.nodes, strict=True):
        if not (_same_operation(*pair) and _same_arguments(*pair, *numbers)):
            return f"'{pair[0].operation.name}'"
    ends = [
        [number[id(tensor)] for tensor in graph.outputs]
        for graph, number in zip((one, other), numbers, strict=True)
    ]
    return None if ends[0] == ends[1] else "which tensors it returns"


def _number_tensors(graph):
    """Give each symbolic tensor a number, or the variable it stands for."""
    numbers = {
        id(symbol): ("weight", id(variable))
        for symbol, variable, _ in graph.weights.values()
    }
    tensors = [
        *graph.inputs,
        *(t for node in graph.nodes for t in node.outputs),
    ]
    for number, tensor in enumerate(tensors):
        numbers.setdefault(id(tensor), number)
    return numbers


def _same_operation(one, other):
    layer, another = one.operation, other.operation
    if layer is another:
        return True
    if type(layer) is not type(another):
        return False
    if isinstance(layer, keras.layers.Layer):
        # Made by `call`, each time anew.
        return not layer.variables and _same_configs(layer, another)
    settings = [settings_of(each) for each in (layer, another)]
    sized = _SIZED.get(type(layer).__name__)
    if sized is not None:
        for each in settings:
            each.pop(sized)
        if not _same_scale(one, other):
            return False
    return _same(*settings)


def _same_configs(layer, other):
    try:
        configs = [{**each.get_config(), "name": ""} for each in (layer, other)]
    except NotImplementedError:  # It holds what no configuration can.
        return False
    return _same(*configs)


def _same_scale(one, other):
    """Whether sizes of outputs are the same multiples of those of inputs."""
    (of_one, made), (of_other, also_made) = (
        (node.input_tensors[0].shape, node.outputs[0].shape)
        for node in (one, other)
    )
    if len(made) != len(also_made):
        return False
    read = [
        pair
        for pair in zip(of_one, of_other, strict=True)
        if pair[0] != pair[1]
    ]
    written = [
        pair for pair in zip(made, also_made, strict=True) if pair[0] != pair[1]
    ]
    if len(read) != len(written):
        return not written
    return all(
        large is not None
        and also_large is not None
        and (
            (small is None and also_small is None and large == also_large)
            or (
                None not in (small, also_small)
                and small * also_large == also_small * large
            )
        )
        for (small, large), (also_small, also_large) in zip(
            read, written, strict=True
        )
    )


def _same_arguments(one, other, numbers, other_numbers):
    def numbered(node, numbers):
        return keras.tree.map_structure(
            lambda leaf: (
                ("tensor", numbers.get(id(leaf)))
                if isinstance(leaf, keras.KerasTensor)
                else leaf
            ),
            (node.arguments.args, node.arguments.kwargs),
        )

    return _same(numbered(one, numbers), numbered(other, other_numbers))


def _same(one, other):
    """Whether two structures hold the same; of arrays, the same numbers."""
    if one is other:
        return True
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(
            _same(value, other[key]) for key, value in one.items()
        )
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(_same, one, other))
    if type(one) is not type(other):
        return False
    if isinstance(one, slice):
        return _same(
            (one.start, one.stop, one.step),
            (other.start, other.stop, other.step),
        )
    if hasattr(one, "shape"):
        arrays = map(keras.ops.convert_to_numpy, (one, other))
        return np.array_equal(*arrays)
    try:
        return bool(one == other)
    except Exception:  # Of whatever kind it is: nobody knows.
        return False
