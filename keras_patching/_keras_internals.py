"""All that this package touches of Keras and Keras does not promise to keep.

Nobody else reaches for what begins with an underscore there. Each of these has
a test, which fails with a sentence on what has moved.
"""

import functools
import re

import keras

# What Keras writes into the classes that it exports.
EXPORT_MARKS = ("_api_export_path", "_api_export_symbol_id")


def operation_of(tensor):
    """Return the layer or operation that made a symbolic tensor."""
    return tensor._keras_history.operation


def node_of(tensor):
    """Return the call of a layer that made a symbolic tensor.

    It has `operation`, `arguments` (`args` and `kwargs`), `input_tensors` and
    `outputs`.
    """
    layer, node_index, _ = tensor._keras_history
    return layer._inbound_nodes[node_index]


@functools.cache
def functional_call():
    """Return the `call` of functional models, whose class is not exported."""
    tensor = keras.Input((1,), name="input")
    return type(keras.Model(tensor, tensor, name="functional")).call


def inner_layers(layer):
    """List the layers inside of a layer, at any depth, and not itself."""
    return list(layer._flatten_layers(include_self=False))


def own_metrics(model):
    """List the metrics that a model was compiled with, its loss among them."""
    return model._get_own_metrics()


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


def twin_of(layer, **attributes):
    """Return a layer with the same variables and some other attributes.

    Args:
        layer: Built.
        **attributes: Such as `padding`: what its `call` reads.
    """
    twin = object.__new__(type(layer))
    vars(twin).update(vars(layer))
    vars(twin).update(attributes, _inbound_nodes=[], _outbound_nodes=[])
    return twin


def reason_of(error):
    """Return what a layer said, of all that Keras says around it.

    Keras prints it in bold.
    """
    said = re.findall(r"\x1b\[1m(.*?)\x1b\[0m", str(error), re.DOTALL)
    lines = (said or [str(error)])[-1].strip().splitlines()
    return next(iter(lines), type(error).__name__)
