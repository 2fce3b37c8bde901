"""Opens layers: records the graph of what their `call` does.

A layer that no rule is for may be made of others that have one. Its `call` is
run on symbolic tensors, which record what is done with them: for images of
unknown size, and again for some of a size. Where that makes another graph, or
other numbers in it, nobody knows what the next call would do, and the layer is
refused. So is what a graph does not hold: values of weights that are read,
numbers drawn at random, what is written down, functions of a backend. (What no
record can show is that `call` does something else for one size in particular.)

Weights of the layer itself are inputs of its graph, so that what `call` makes
of them, such as a kernel of unit length, is made anew when the graph is run.
"""

import concurrent.futures
import contextlib
import contextvars
import dataclasses
import functools
import inspect
import math
import threading
from fractions import Fraction
from typing import Any

import keras

from keras_patching._keras_internals import (
    forget_calls,
    node_of,
    overrides_dunder_call,
    own_variables_as,
    reason_of,
    twin_of,
    untouched,
)
from keras_patching.receptive_fields.errors import describe, refusal
from keras_patching.receptive_fields.graph_comparison import first_difference

# `(height, width)` of images that a layer is opened for, beside unknown ones:
# multiples of ever lower powers of two, since what a layer does may depend on
# the remainder. It must do the same for those that its own stride divides.
_SIZES = (
    (64 * 15, 128 * 15),
    (32 * 23, 32 * 37),
    (16 * 47, 16 * 71),
    (8 * 97, 8 * 139),
    (4 * 191, 4 * 293),
    (2 * 383, 2 * 577),
    (1531, 2309),
)
_FEW_SIZES = _SIZES[0], _SIZES[-1]

_LOCK = threading.Lock()
_IS_RECORDING = contextvars.ContextVar("is_recording", default=False)


@dataclasses.dataclass(frozen=True)
class Graph:
    """What a layer or model does with its inputs.

    Attributes:
        inputs, outputs: Symbolic tensors.
        nodes: Calls of layers and operations, those before others first.
        weights: By `id` the symbolic tensors that stand for weights, with the
            variable and the data type that it is read in.
        dtypes: By `id` of variables that operations are given: the data type
            that they are read in.
        differences: By the size of images, `(height, width)`, what is
            different of those, if anything: see `check_sizes`.
    """

    inputs: list[Any]
    outputs: list[Any]
    nodes: list[Any]
    weights: dict[int, tuple[Any, Any, str]] = dataclasses.field(
        default_factory=dict
    )
    dtypes: dict[int, str] = dataclasses.field(default_factory=dict)
    differences: dict[tuple[int, int], str | None] = dataclasses.field(
        default_factory=dict
    )


def nodes_between(inputs, outputs):
    """List the calls of layers that outputs are made by, inputs first."""
    inputs = {id(tensor) for tensor in inputs}
    nodes = {}
    stack = [(tensor, False) for tensor in outputs]
    while stack:
        tensor, has_inputs = stack.pop()
        node = None if id(tensor) in inputs else node_of(tensor)
        if node is None or node in nodes:
            continue
        if has_inputs:
            nodes[node] = None
            continue
        stack.append((tensor, True))
        stack.extend((source, False) for source in node.input_tensors)
    return list(nodes)


def graph_of(model):
    """Return the `Graph` of a functional or sequential model."""
    nodes = nodes_between(model.inputs, model.outputs)
    dtypes = {}
    # In no data type that is at work here: as its symbolic tensors are.
    _run_within(None, lambda _: dtypes.update(_dtypes_read(nodes)))
    return Graph(model.inputs, model.outputs, nodes, dtypes=dtypes)


def open_layer(layer, args, kwargs, field_of, training=False):
    """Record the graph of what is inside of a layer, and leave it as it was.

    A twin of the layer is recorded, since other threads may run the layer.

    Args:
        layer: Layer, subclassed model or operation, built.
        args, kwargs: What it is called with: symbolic tensors for images.
        field_of: Function that returns the `SpatialField` of one of these
            tensors, or `None` of one without rows and columns.
        training: Whether it is called in a training.

    Returns:
        A `Graph`, whose inputs are the symbolic tensors among the arguments.

    Raises:
        ValueError: Naming the layer, if its `call` cannot be recorded.
    """
    if not getattr(layer, "built", True):
        raise refusal(
            layer,
            "has no rule, and is not built, so that nothing shows what it does "
            "(call it on an image once)",
        )
    if getattr(layer, "quantization_mode", None) is not None:
        raise refusal(layer, "has no rule, and is quantized")
    if overrides_dunder_call(layer):
        raise refusal(layer, "has no rule, and overrides `__call__`")
    tensors = symbolic_in((args, kwargs))
    fields = [field_of(tensor) for tensor in tensors]
    units = _coarsest(fields)
    twin = twin_of(layer) if isinstance(layer, keras.layers.Layer) else layer

    def record(size):
        """Return the graph for images of a size, or why there is none."""
        if size is not None:
            size = [n * unit for n, unit in zip(size, units, strict=True)]
        inputs = list(map(functools.partial(_resized, size), tensors, fields))
        by_id = dict(zip(map(id, tensors), inputs, strict=True))
        arguments = keras.tree.map_structure(
            lambda leaf: by_id.get(id(leaf), leaf), (args, kwargs)
        )
        try:
            return _record(twin, *arguments, training)
        except Exception as error:
            return error

    opened = _apart(_open, twin, record, _sizes(tensors, fields))
    differences = {
        tuple(n * unit for n, unit in zip(size, units, strict=True)): different
        for size, different in opened.differences.items()
    }
    return dataclasses.replace(opened, differences=differences)


def record_call(layer, inputs):
    """Record a call of a layer on images of one size, and leave it as it was.

    Args:
        layer: Layer or model, built.
        inputs: Symbolic tensors.

    Returns:
        A `Graph`.

    Raises:
        Exception: Whatever its `call` raises of symbolic tensors.
    """
    twin = twin_of(layer)

    def record():
        with untouched(twin):
            return _record(twin, tuple(inputs), {})

    return _apart(record)


def _apart(function, *args):
    """Run a function outside of whatever graph or scope is at work."""
    policy = keras.config.dtype_policy()
    with (
        _one_at_a_time(),
        concurrent.futures.ThreadPoolExecutor(
            1, initializer=keras.config.set_dtype_policy, initargs=[policy]
        ) as thread,
    ):
        run = contextvars.copy_context().run
        return thread.submit(run, function, *args).result()


@contextlib.contextmanager
def _one_at_a_time():
    """Let other threads wait: layers inside note calls by their number.

    What is opened while another is recorded, in its `call`, does not wait.
    """
    if _IS_RECORDING.get():
        yield
        return
    with _LOCK:
        token = _IS_RECORDING.set(True)
        try:
            yield
        finally:
            _IS_RECORDING.reset(token)


def _coarsest(fields):
    """Return how many pixels of the image are a whole one of all tensors."""
    fields = [field for field in fields if field is not None]
    return tuple(
        math.lcm(*(axis.scale.numerator for axis in axes))
        for axes in (
            [field.y for field in fields],
            [field.x for field in fields],
        )
    )


def _resized(size, tensor, field):
    """Return a symbolic tensor as it is for images of another size."""
    shape = list(tensor.shape)
    if field is not None:
        shape[0] = None
        for place, axis in enumerate((field.y, field.x)):
            length = None
            if size is not None:
                length = int(size[place] / axis.scale) + axis.length
            shape[field.axes[place]] = length
    return keras.KerasTensor(shape, dtype=tensor.dtype)


def _sizes(tensors, fields):
    """Return the size of images in a list, if it is known.

    It is counted in what `_coarsest` says.
    """
    sizes = {
        tuple(
            Fraction(n - axis.length) * axis.scale if n is not None else None
            for n, axis in (
                (tensor.shape[field.axes[0]], field.y),
                (tensor.shape[field.axes[1]], field.x),
            )
        )
        for tensor, field in zip(tensors, fields, strict=True)
        if field is not None
    }
    units = _coarsest(fields)
    return [
        tuple(int(n / unit) for n, unit in zip(size, units, strict=True))
        for size in sizes
        if len(sizes) == 1 and None not in size
    ]


def _open(layer, record, sizes_given):
    with untouched(layer):
        graph = record(None)
        sizes = _FEW_SIZES
        if isinstance(graph, Exception):
            # It may calculate with sizes, which must be known then.
            error, sizes = graph, _SIZES
            graph = record(sizes[0])
            if isinstance(graph, Exception):
                raise refusal(
                    layer,
                    "has no rule, and what it does cannot be recorded on "
                    "symbolic tensors of any size: "
                    f"{reason_of(error).rstrip('.')}",
                )
        others = {size: record(size) for size in (*sizes, *sizes_given)}
    differences = {
        size: first_difference(graph, other)
        for size, other in others.items()
        # Whoever calls it with such a size meets the same error.
        if not isinstance(other, Exception)
    }
    if not differences:
        raise refusal(layer, "has no rule, and takes no images of known size")
    return dataclasses.replace(graph, differences=differences)


def check_sizes(layer, graph, stride):
    """Refuse a layer that does something else for images of other sizes.

    Args:
        layer: What was opened.
        graph: Its `Graph`.
        stride: `(height, width)`, its own, in pixels of the image; that of
            the patch model, and sizes of images, are multiples of it.
    """
    for size, difference in graph.differences.items():
        fits = not any(n % s for n, s in zip(size, stride, strict=True))
        if fits and difference is not None:
            raise refusal(
                layer,
                "has no rule, and does something else from call to call, or "
                f"for images of another size, in {difference}",
            )


class _Within(keras.layers.Layer):
    """Runs a function as the `call` of a layer is run.

    Tensors are cast and weights are read as in a layer of some data type, and
    what is called within learns whether this is a training.
    """

    def __init__(self, function, **kwargs):
        super().__init__(**kwargs)
        self._function = function
        self.built = True

    def call(self, tensors, arrays, training=None):
        raise TypeError("It is for symbolic tensors.")

    def compute_output_spec(self, tensors, arrays, training=None):
        self._function([*tensors, *arrays])
        return keras.KerasTensor((None,))


def _run_within(layer, function, tensors=(), arrays=(), training=False):
    """Run a function of tensors and arrays as the `call` of a layer."""
    if isinstance(layer, keras.layers.Layer):
        policy = {"dtype": layer.dtype_policy, "autocast": layer.autocast}
    else:
        policy = {"dtype": "float32", "autocast": False}
    within = _Within(function, name="within", **policy)
    tensors = tensors or [keras.KerasTensor(())]
    within(tensors, arrays=arrays, training=training)


def _record(layer, args, kwargs, training=False):
    """Return the `Graph` of a call of a layer."""
    graphs = []
    inputs = symbolic_in((args, kwargs))
    arrays = [
        leaf
        for leaf in keras.tree.flatten((args, kwargs))
        if hasattr(leaf, "__array__") and not isinstance(leaf, keras.Variable)
    ]

    def run(converted):
        """Call the layer with what its `__call__` would make of inputs."""
        ids = map(id, [*inputs, *arrays])
        by_id = dict(zip(ids, converted, strict=True))
        converted_args, converted_kwargs = keras.tree.map_structure(
            lambda leaf: by_id.get(id(leaf), leaf), (args, kwargs)
        )
        if "training" in inspect.signature(layer.call).parameters:
            converted_kwargs = {**converted_kwargs, "training": training}
        with own_variables_as(layer, _symbol_of) as weights:
            outputs = layer.call(*converted_args, **converted_kwargs)
        outputs = keras.tree.flatten(outputs)
        nodes = _new_nodes(outputs)
        graphs.append(
            Graph(inputs, outputs, nodes, weights, _dtypes_read(nodes))
        )
        forget_calls(nodes)

    with _Watch():
        _run_within(layer, run, inputs, arrays, training)
    return graphs[0]


def symbolic_in(structure):
    """List the symbolic tensors in a structure."""
    leaves = keras.tree.flatten(structure)
    return [leaf for leaf in leaves if isinstance(leaf, keras.KerasTensor)]


def _new_nodes(outputs):
    if not all(isinstance(each, keras.KerasTensor) for each in outputs):
        raise TypeError("it returns what is not made of its input")
    nodes = nodes_between([], outputs)
    for node in nodes:
        # Graphs hold its `call` and what it does around it, side by side.
        if overrides_dunder_call(node.operation):
            raise TypeError(f"{describe(node.operation)} overrides `__call__`")
    if not all(node.input_tensors for node in nodes):
        raise TypeError("it uses a symbolic tensor of another model")
    return nodes


def _symbol_of(variable):
    return keras.KerasTensor(variable.shape, dtype=variable.dtype)


def _dtypes_read(nodes):
    """Tell in which data types the variables among arguments are read."""
    return {
        id(leaf): leaf.dtype
        for node in nodes
        for leaf in keras.tree.flatten(
            (node.arguments.args, node.arguments.kwargs)
        )
        if isinstance(leaf, keras.Variable)
    }


class _Watch(keras.StatelessScope):
    """A scope in which no variable is read or written."""

    def __init__(self):
        super().__init__(initialize_variables=False)

    def get_current_value(self, variable):
        raise RuntimeError(
            f"it reads the value of the variable '{variable.path}', which is "
            "another one after training"
        )

    def add_update(self, update):
        raise RuntimeError(f"it changes the variable '{update[0].path}'")
