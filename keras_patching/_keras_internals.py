"""All that this package touches of Keras and Keras does not promise to keep.

Nobody else reaches for what begins with an underscore there. Each of these has
a test, which fails with a sentence on what has moved.
"""

import contextlib
import functools
import json
import os
import pathlib
import re
import types

import keras

# Attributes of layers that list the variables that other attributes hold.
_LISTS_OF_VARIABLES = (
    *("_trainable_variables", "_non_trainable_variables"),
    *("_trainable_weights", "_non_trainable_weights"),
)

# What Keras writes into the classes that it exports.
EXPORT_MARKS = ("_api_export_path", "_api_export_symbol_id")


def operation_of(tensor):
    """Return the layer or operation that made a symbolic tensor."""
    return tensor._keras_history.operation


def node_of(tensor):
    """Return the call of a layer that made a symbolic tensor.

    It has `operation`, `arguments` (`args` and `kwargs`), `input_tensors` and
    `outputs`. That of a tensor that nothing has made is `None`.
    """
    layer, node_index, _ = getattr(tensor, "_keras_history", (None, 0, 0))
    return None if layer is None else layer._inbound_nodes[node_index]


@functools.cache
def functional_call():
    """Return the `call` of functional models, whose class is not exported."""
    tensor = keras.Input((1,), name="input")
    return type(keras.Model(tensor, tensor, name="functional")).call


def inner_layers(layer):
    """List the layers inside of a layer, at any depth, and not itself."""
    if not isinstance(layer, keras.layers.Layer):
        return []  # An operation.
    return list(layer._flatten_layers(include_self=False))


def may_get_weights(layer):
    """Tell whether a layer has a `build` of its own, and is not built yet."""
    return not layer.built and not hasattr(layer.build, "_is_default")


def is_functional(layer):
    """Tell whether a layer, or `None`, is a model that is a graph of layers."""
    return getattr(type(layer), "call", None) is functional_call()


def own_metrics(model):
    """List the metrics that a model was compiled with, its loss among them."""
    return model._get_own_metrics()


def tell_direction(metric, direction):
    """Tell callbacks that watch a metric which of its values are better.

    Args:
        metric: `keras.metrics.Metric`.
        direction: "up" if larger ones are, else "down".
    """
    metric._direction = direction


def stored_value(variable):
    """Return what a variable holds; `None` if it has been taken out.

    `variable.value` would draw new weights where there are none.
    """
    return variable._value


def put_weights_back(model):
    """Write the state that a training on jax holds into the variables."""
    model.jax_state_sync()


def drop_compiled_functions(model):
    """Let Keras compile again what `fit`, `evaluate` and `predict` run."""
    model.train_function = None
    model.test_function = None
    model.predict_function = None


def is_called_by_fit(evaluate_kwargs):
    """Tell whether it is `fit` that evaluates, by the arguments it gives."""
    return "_use_cached_eval_dataset" in evaluate_kwargs


def set_first_epoch(model, epoch):
    """Have the `fit` that has begun start at an epoch, and later ones too.

    Args:
        model: Keras model.
        epoch: Number of the epoch; `None` for the `initial_epoch` of `fit`.
    """
    model._initial_epoch = epoch


def place_of_backup(callback):
    """Tell where a `keras.callbacks.BackupAndRestore` would go on.

    Returns:
        List of integers: whether weights were saved, and the epoch and the
        index of the last batch by then; 0 where nothing was.
    """
    path, found = pathlib.Path(callback._training_metadata_path), {}
    with contextlib.suppress(OSError, ValueError):
        found = json.loads(path.read_text(encoding="utf-8"))
    has_weights = os.path.exists(callback._weights_path)
    return [int(has_weights), found.get("epoch", 0), found.get("batch", 0)]


def twin_of(layer, **attributes):
    """Return a layer with the same variables and some other attributes.

    Args:
        layer: Built.
        **attributes: Such as `padding`: what its `call` reads.
    """
    twin = object.__new__(type(layer))
    vars(twin).update(vars(layer))
    vars(twin).update(
        {
            name: types.MethodType(method.__func__, twin)
            for name, method in vars(layer).items()
            if getattr(method, "__self__", None) is layer
        }
    )
    vars(twin).update(
        attributes, _inbound_nodes=[], _outbound_nodes=[], _losses=[]
    )
    return twin


def reason_of(error):
    """Return what a layer said, of all that Keras says around it.

    Keras prints it in bold.
    """
    said = re.findall(r"\x1b\[1m(.*?)\x1b\[0m", str(error), re.DOTALL)
    lines = (said or [str(error)])[-1].strip().splitlines()
    return next(iter(lines), type(error).__name__)


@contextlib.contextmanager
def untouched(layer):
    """Leave a layer, and all inside of it, as it was before a `with`.

    What is not built there is not built meanwhile: that is an error.
    """
    layers = [layer, *inner_layers(layer)]
    kept = [(each, dict(vars(each)), _lists_that_grow(each)) for each in layers]
    for each in layers[1:]:
        if not each.built and not hasattr(each.build, "_is_default"):
            vars(each)["build"] = functools.partial(_refuse_to_build, each)
    try:
        yield
    finally:
        for each, attributes, lists in kept:
            _put_back(vars(each), attributes)
            for name, content in lists.items():
                held = getattr(each, name)
                if len(held) != len(content):
                    held[:] = content


def _put_back(held, attributes):
    """Undo changes, and touch nothing else: other threads may look at it."""
    for name in held.keys() - attributes.keys():
        del held[name]
    for name, value in attributes.items():
        if name not in held or held[name] is not value:
            held[name] = value


def _refuse_to_build(layer, *args, **kwargs):
    raise RuntimeError(
        f"its layer '{layer.name}' is not built: call it on an image first"
    )


def _lists_that_grow(layer):
    names = "_inbound_nodes", "_outbound_nodes", "_losses"
    return {
        name: list(getattr(layer, name))
        for name in names
        if hasattr(layer, name)
    }


def forget_calls(nodes):
    """Take calls out of the layers and operations that remember them."""
    forgotten = set(map(id, nodes))
    operations = [node.operation for node in nodes]
    operations += [
        operation_of(tensor) for node in nodes for tensor in node.input_tensors
    ]
    for operation in filter(None, operations):
        for calls in (operation._inbound_nodes, operation._outbound_nodes):
            calls[:] = [node for node in calls if id(node) not in forgotten]


@contextlib.contextmanager
def own_variables_as(layer, replace):
    """Put other values where a layer holds its variables, for a while.

    Args:
        layer: Layer or operation; of the variables inside of its layers none
            is replaced.
        replace: Function of a variable.

    Yields:
        Dict by `id` of a value: `(value, variable, data type)`.
    """
    replaced, by_variable = {}, {}

    def other(value):
        if not isinstance(value, keras.Variable):
            return value
        if id(value) not in by_variable:
            symbol = by_variable[id(value)] = replace(value)
            replaced[id(symbol)] = symbol, value, symbol.dtype
        return by_variable[id(value)]

    before, others = {}, {}
    for name, value in vars(layer).items():
        if name in _LISTS_OF_VARIABLES or not _has_variables(value):
            continue
        before[name] = value
        if isinstance(value, keras.Variable):
            others[name] = other(value)
        elif isinstance(value, dict):
            others[name] = {key: other(each) for key, each in value.items()}
        else:
            kind = tuple if isinstance(value, tuple) else list
            others[name] = kind(map(other, value))
    vars(layer).update(others)
    try:
        yield replaced
    finally:
        vars(layer).update(before)


def _has_variables(value):
    """Whether a value is a variable, or a list, tuple or dict with some."""
    if isinstance(value, dict):
        value = list(value.values())
    values = value if isinstance(value, (list, tuple)) else [value]
    return any(isinstance(each, keras.Variable) for each in values)


def settings_of(operation):
    """Return what an operation was made with, by name of attribute."""
    return {
        name: value
        for name, value in vars(operation).items()
        if not name.startswith("_") and name != "name"
    }


def convert_input(layer, tensor):
    """Cast a tensor as the `__call__` of a layer does.

    Functional models do not: each input has a data type of its own.
    """
    if not layer._convert_input_args:
        return tensor
    return layer.dtype_policy.convert_input(
        tensor, layer.autocast, layer.input_dtype
    )


def carries_mask(tensor):
    """Whether a tensor brings a mask along, which no argument shows."""
    return getattr(tensor, "_keras_mask", None) is not None


def methods_put_into(layer):
    """Return the names of methods that a layer has instead of its class's.

    Keras itself wraps two in each layer.
    """
    return {
        name
        for name, value in vars(layer).items()
        if callable(value)
        and callable(getattr(type(layer), name, None))
        and name not in ("build", "quantize")
    }


def overrides_dunder_call(operation):
    """Whether its class has another `__call__` than those of Keras.

    That does something before or after `call`, which Keras does not know of;
    but for that of KerasHub's tasks, which refuses text.
    """
    module = getattr(type(operation).__call__, "__module__", None) or ""
    return not module.startswith(("keras.", "keras_hub."))


def autocasts_inputs(layer):
    """Whether a layer casts its inputs to its compute dtype.

    Functional models do not, but sequential ones do.
    """
    return layer.autocast and layer._convert_input_args
