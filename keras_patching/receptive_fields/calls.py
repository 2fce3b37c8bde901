"""One call of a layer or an operation, and what no rule is asked about."""

import copy
import functools
import inspect

import keras
from keras import ops

from keras_patching._keras_internals import (
    carries_mask,
    functional_call,
    methods_put_into,
    overrides_dunder_call,
    twin_of,
)
from keras_patching.receptive_fields.errors import (
    inside_of,
    outer_layers,
    refusal,
    unbounded,
)
from keras_patching.receptive_fields.operation_rules import (
    find_operation_rule,
    operation_kind,
)
from keras_patching.receptive_fields.rules import (
    find_kind,
    find_rule,
)


class Call:
    """One call of a layer or an operation.

    Attributes:
        operation: What is called, a `keras.Operation`; all layers are.
        kind: What it has its rule by: a class of layers, or a name.
        args, kwargs: What it is called with.
        tensors: Those of the arguments that have rows and columns.
        constants: Those that are symbolic too, but made of weights only.
        outputs: Symbolic tensors that it makes.
        inputs, made: Numbers of `tensors` and of `outputs` in the net.
        training: Whether it is one of a training.
        outer_layers: What it is inside of.
    """

    def __init__(self, operation, args, kwargs, outputs, training=False):
        self.operation = _with_data_format(operation)
        self.kind = find_kind(operation) or operation_kind(operation)
        self.args, self.kwargs, self.outputs = args, kwargs, outputs
        self.training = training
        self.outer_layers = outer_layers()
        self.tensors = []
        self.constants = []
        self.inputs = []
        self.made = []
        self._constant_values = {}

    @functools.cached_property
    def _arguments(self):
        signature = inspect.signature(self.operation.call)
        bound = signature.bind(*self.args, **self.kwargs)
        bound.apply_defaults()
        return bound.arguments

    def argument(self, name):
        """Return an argument by name."""
        return self._arguments[name]

    @property
    def first(self):
        """The first argument."""
        return (*self.args, *self.kwargs.values())[0]

    def fields_after(self, fields):
        """Return the field of each output."""
        with inside_of(self.outer_layers):
            layer_rule = find_rule(self.operation)
            if layer_rule is not None:
                made = layer_rule(self.operation, fields)
            else:
                made = find_operation_rule(self.operation)(self, fields)
        made = list(made) if isinstance(made, (list, tuple)) else [made]
        if self.outputs is not None and len(made) == 1:
            return made * len(self.outputs)
        return made

    def with_operation(self, operation):
        """Return the same call of another layer, such as a twin."""
        call = copy.copy(self)
        call.operation = operation
        for name in ("_arguments", "_learns_of_training"):
            vars(call).pop(name, None)  # They are those of the former one.
        return call

    def add_constant(self, leaf, value):
        """Tell what makes one of the arguments, which is of weights only.

        Args:
            leaf: Symbolic tensor.
            value: Function without arguments.
        """
        self.constants.append(leaf)
        self._constant_values[id(leaf)] = value

    def __call__(self, *values):
        """Repeat it on other tensors than `tensors`."""
        by_tensor = dict(zip(map(id, self.tensors), values, strict=True))

        def value_of(leaf):
            if id(leaf) in by_tensor:
                return by_tensor[id(leaf)]
            if id(leaf) in self._constant_values:
                return self._constant_values[id(leaf)]()
            return leaf

        args, kwargs = keras.tree.map_structure(
            value_of, (tuple(self.args), dict(self.kwargs))
        )
        if self._learns_of_training:
            kwargs["training"] = self.training
        if self.kind == "ConvTranspose":
            return _transposed_convolution(self.operation, *args, **kwargs)
        return self.operation(*args, **kwargs)

    @functools.cached_property
    def _learns_of_training(self):
        if not isinstance(self.operation, keras.layers.Layer):
            return False
        # One that does not ask tells the layers inside of it.
        names = inspect.signature(self.operation.call).parameters
        return self.training or "training" in names


def _transposed_convolution(operation, inputs, kernel):
    """Run a `ConvTranspose`, whose `call` in Keras 3.15 mixes up arguments."""
    return ops.conv_transpose(
        inputs,
        kernel,
        operation.strides,
        operation.padding,
        operation.output_padding,
        operation.data_format,
        operation.dilation_rate,
    )


def _with_data_format(operation):
    """Return an operation that runs where Keras has left out its format."""
    if not is_of_keras(operation):
        return operation
    if getattr(operation, "data_format", "none") is not None:
        return operation
    return twin_of(operation, data_format=keras.config.image_data_format())


def check_call(call):
    """Refuse what no rule is asked about."""
    operation = call.operation
    # Where the default is to train, a graph cannot tell it from a wish.
    is_told = call.kwargs.get("training") and not call.training
    if is_told and not _trains_by_default(operation):
        raise unbounded(operation, "is called with training=True")
    if any(map(carries_mask, call.outputs or ())):
        raise refusal(operation, "makes or passes on a mask")


def _trains_by_default(operation):
    parameter = inspect.signature(operation.call).parameters.get("training")
    return parameter is not None and parameter.default is True


def is_graph(layer):
    """Whether a layer is a model whose `call` is the graph of its layers."""
    return (
        isinstance(layer, keras.Model)
        and bool(getattr(layer, "outputs", None))
        and type(layer).call in (functional_call(), keras.Sequential.call)
        and "call" not in methods_put_into(layer)
        and not overrides_dunder_call(layer)
    )


def is_of_keras(operation):
    """Whether it is an operation of Keras, and no layer."""
    is_layer = isinstance(operation, keras.layers.Layer)
    return not is_layer and type(operation).__module__.startswith("keras.")


def input_spec(patch_model, data_format):
    """Return a symbolic tensor like the images that a patch model takes."""
    inputs = getattr(patch_model, "inputs", None)
    if inputs is not None:
        if len(inputs) != 1 or len(inputs[0].shape) != 4:
            raise refusal(
                patch_model,
                "must take one tensor of shape (batch, height, width, "
                f"channels), not {[tuple(each.shape) for each in inputs]}",
            )
        return inputs[0]
    shape = [None] * 4
    built_for = (patch_model.get_build_config() or {}).get("input_shape")
    if isinstance(built_for, (list, tuple)) and len(built_for) == 4:
        axis = 3 if data_format == "channels_last" else 1
        shape[axis] = built_for[axis]
    return keras.KerasTensor(shape, dtype=patch_model.input_dtype)
