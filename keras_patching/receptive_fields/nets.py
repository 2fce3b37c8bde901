"""The calls of layers and operations that a net is made of, in one list.

Models in a model are taken apart, and so are layers that no rule is for: see
`opening`. What remains has a rule each, by which the field of each tensor
follows from that of the image: as often as is asked, for whatever kind of axis.
"""

import contextlib
import dataclasses
import functools
import math

import keras
from keras import ops

from keras_patching._keras_internals import (
    autocasts_inputs,
    node_of,
)
from keras_patching.receptive_fields.axes import FieldAxis
from keras_patching.receptive_fields.calls import (
    Call,
    check_call,
    is_graph,
    is_of_keras,
)
from keras_patching.receptive_fields.constants import check_constants
from keras_patching.receptive_fields.errors import (
    inside_of,
    outer_layers,
    refusal,
)
from keras_patching.receptive_fields.opening import (
    check_sizes,
    graph_of,
    open_layer,
    symbolic_in,
)
from keras_patching.receptive_fields.rules import (
    check_axes,
    check_bounded,
)
from keras_patching.receptive_fields.training_rules import check_training


class Net:
    """All calls that the outputs of a patch model are made by.

    Args:
        patch_model: Layer or model.
        spec: Symbolic tensor like its input: see `input_spec`.
        field: `SpatialField` of the input.
        training: Whether of a training: what its layers do there may be
            something else.

    Attributes:
        calls: List of `Call`s, those before others first.
        outputs: Numbers of the tensors that are returned.
        specs: Symbolic tensor of each number; that of the image is 0.

    Raises:
        ValueError: Naming a layer, if one has no rule and cannot be opened,
            or looks at the whole image; in a training also if one would need
            it there.
    """

    def __init__(self, patch_model, spec, field, training=False):
        self.calls = []
        self._is_training = training
        # Models tell all layers of their graph whether they are trained.
        self._tells_layers = True
        self.specs = []
        self._fields = []
        self._constants = []
        known = {id(spec): self._add(spec, field)}
        self.outputs = self._add_call(patch_model, (spec,), {}, None, known)
        if any(self._fields[number] is None for number in self.outputs):
            raise refusal(patch_model, "returns what is not made of its input")

    def fields_of(self, image):
        """Return the field of each tensor, by number.

        Args:
            image: `SpatialField` of the image.
        """
        fields = {0: image}
        _follow(self.calls, fields)
        return fields

    def _add(self, spec, field=None, value=None):
        """Number a tensor.

        Args:
            spec: Symbolic tensor.
            field: Its field; `None` of one that is made of weights only.
            value: Function that makes the latter.
        """
        self.specs.append(spec)
        self._fields.append(field)
        self._constants.append(value)
        return len(self.specs) - 1

    def _add_graph(self, graph, numbers):
        """Add the calls of a graph.

        Args:
            graph: `Graph`.
            numbers: Those of its inputs.

        Returns:
            Numbers of its outputs.
        """
        known = _by_id(graph.inputs, numbers)
        for symbol, variable, dtype in graph.weights.values():
            value = functools.partial(ops.cast, variable, dtype)
            known[id(symbol)] = self._add(symbol, value=value)
        for node in graph.nodes:
            args, kwargs = keras.tree.map_structure(
                functools.partial(self._read, graph.dtypes, known),
                (tuple(node.arguments.args), dict(node.arguments.kwargs)),
            )
            made = self._add_call(
                node.operation, args, kwargs, node.outputs, known
            )
            known.update(_by_id(node.outputs, made))
        return [known[id(tensor)] for tensor in graph.outputs]

    def _read(self, dtypes, known, leaf):
        """Return an argument; a symbolic tensor for a variable of a layer."""
        if id(leaf) not in dtypes:
            return leaf
        dtype = dtypes[id(leaf)]
        symbol = keras.KerasTensor(leaf.shape, dtype=dtype)
        value = functools.partial(ops.cast, leaf, dtype)
        known[id(symbol)] = self._add(symbol, value=value)
        return symbol

    def _add_call(self, operation, args, kwargs, outputs, known):
        """Add a call, or those inside of it, and return what it makes."""
        call = Call(operation, args, kwargs, outputs, self._trains(kwargs))
        for leaf in symbolic_in((args, kwargs)):
            if id(leaf) not in known:
                raise refusal(operation, "is given a tensor of another model")
            number = known[id(leaf)]
            if self._fields[number] is None:
                call.add_constant(leaf, self._constants[number])
            else:
                call.tensors.append(leaf)
                call.inputs.append(number)
        check_call(call)
        if not call.tensors:
            return self._add_constants(call)
        if call.kind is None:
            return self._add_inside(call, known)
        fields = [self._fields[number] for number in call.inputs]
        if isinstance(operation, keras.layers.Layer):
            _check_layer(call, fields)
        if call.training:
            check_training(call, fields)
        made = call.fields_after(fields)
        if call.outputs is None:
            call.outputs = _specs_made(call, len(made))
            made = call.fields_after(fields)
        call.made = [
            self._add(*each) for each in zip(call.outputs, made, strict=True)
        ]
        self.calls.append(call)
        return call.made

    def _trains(self, kwargs):
        """Tell whether a call is one of a training."""
        told = kwargs.get("training")
        if not self._is_training or self._tells_layers or told is None:
            return self._is_training
        return bool(told)

    @contextlib.contextmanager
    def _inside(self, call):
        """Add meanwhile what is inside of a call."""
        before = self._is_training, self._tells_layers
        self._is_training = call.training
        self._tells_layers = is_graph(call.operation)
        try:
            yield
        finally:
            self._is_training, self._tells_layers = before

    def _add_constants(self, call):
        """Add what is made of weights only, whatever makes it."""

        def value_of(index):
            return keras.tree.flatten(call())[index]

        return [
            self._add(spec, value=functools.partial(value_of, index))
            for index, spec in enumerate(call.outputs)
        ]

    def _add_inside(self, call, known):
        """Add what is inside of a model or of a layer without a rule."""
        operation = call.operation
        check_bounded(operation)
        if is_of_keras(operation):
            raise refusal(operation, "has no rule")
        if is_graph(operation):
            graph = graph_of(operation)
        else:
            graph = self._open(call, known)
        arguments = symbolic_in((call.args, call.kwargs))
        numbers = [known[id(tensor)] for tensor in arguments]
        if len(numbers) != len(graph.inputs):
            raise refusal(operation, "is called with other inputs than it has")
        is_outermost = call.outputs is None and is_graph(operation)
        inner = () if is_outermost else (operation,)
        before = len(self.calls)
        with inside_of((*outer_layers(), *inner)):
            if is_graph(operation):
                numbers = self._add_casts(operation, numbers)
            with self._inside(call):
                made = self._add_graph(graph, numbers)
        if graph.differences:
            stride = self._stride(self.calls[before:], numbers)
            check_sizes(operation, graph, stride)
        return made

    def _add_casts(self, model, numbers):
        """Add what a model casts its inputs to, before its graph."""
        if autocasts_inputs(model):
            dtype = model.input_dtype
            numbers = [
                self._add_cast(number, dtype)
                if keras.backend.is_float_dtype(self.specs[number].dtype)
                else number
                for number in numbers
            ]
        return [
            self._add_cast(number, each.dtype)
            for number, each in zip(numbers, model.inputs, strict=True)
        ]

    def _add_cast(self, number, dtype):
        spec = self.specs[number]
        if spec.dtype == dtype:
            return number
        tensor = keras.KerasTensor(spec.shape, spec.dtype)
        node = node_of(ops.cast(tensor, dtype))
        (made,) = self._add_call(
            node.operation, (tensor,), {}, node.outputs, {id(tensor): number}
        )
        return made

    def _stride(self, calls, inputs):
        """Return the stride of some calls, in pixels of the image."""
        fields = {}
        for number in inputs:
            field = self._fields[number]
            if field is not None:
                y, x = (
                    FieldAxis(scale=axis.scale, length=axis.length)
                    for axis in (field.y, field.x)
                )
                fields[number] = dataclasses.replace(field, y=y, x=x)
        _follow(calls, fields)
        made = fields.values()
        return (
            math.lcm(*(field.y.stride for field in made)),
            math.lcm(*(field.x.stride for field in made)),
        )

    def _open(self, call, known):
        def field_of(tensor):
            return self._fields[known[id(tensor)]]

        return open_layer(
            call.operation, call.args, call.kwargs, field_of, call.training
        )


def _follow(calls, fields):
    """Add the fields of what calls make to those of what they take."""
    for call in calls:
        made = call.fields_after([fields[n] for n in call.inputs])
        fields.update(zip(call.made, made, strict=True))


def _check_layer(call, fields):
    """Refuse what rules of layers leave to us: arguments and activations."""
    check_constants(
        call.operation,
        fields[0],
        (*call.args, call.kwargs),
        call.constants,
    )
    activation = getattr(call.operation, "activation", None)
    is_of_keras = call.kind.__module__.startswith("keras.")
    if activation is not None and is_of_keras:
        _check_activation(call.operation, activation, fields[0])


class _Function(keras.Operation):
    """A function that is called like an operation."""

    def __init__(self, function, **kwargs):
        super().__init__(**kwargs)
        self._function = function

    def call(self, inputs):
        return self._function(inputs)


# Activations that look along the last axis.
_ALONG_CHANNELS = ("glu", "log_softmax", "softmax", "sparsemax")


def _check_activation(layer, activation, field):
    """Refuse an activation that looks at more than one pixel."""
    name = getattr(activation, "__name__", repr(activation))
    module = getattr(activation, "__module__", None) or ""
    # By name, since `keras.ops.relu` is as good as `keras.activations.relu`.
    if module.startswith("keras.") and hasattr(keras.activations, name):
        if name in _ALONG_CHANNELS:
            check_axes(layer, field, (-1,))
        return
    if not isinstance(activation, keras.layers.Layer):
        activation = _Function(activation, name="activation")
    spec = keras.KerasTensor((None,) * field.rank)
    with inside_of((*outer_layers(), layer)):
        net = Net(activation, spec, field)
    fields = net.fields_of(field)
    if [fields[number] for number in net.outputs] != [field]:
        raise refusal(layer, f"has the activation {activation!r}")


def _specs_made(call, count):
    """Return what a layer makes that no graph has recorded a call of."""
    if call.operation.built and None not in call.first.shape[-1:]:
        return keras.tree.flatten(
            call.operation.compute_output_spec(call.first)
        )
    return [keras.KerasTensor((None,) * 4) for _ in range(count)]


def _by_id(tensors, values):
    ids = [id(tensor) for tensor in tensors]
    return dict(zip(ids, values, strict=True))
