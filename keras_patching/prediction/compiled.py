"""Functions that call a model, compiled once for the shapes they are given."""

import contextlib

import keras
from keras import ops


class _Inference(keras.layers.Layer):
    """Calls a function, all layers of which learn that this is no training.

    Not told, some layers of Keras (`Resizing`) take it for one, and those that
    are called after them too.
    """

    def __init__(self, function):
        super().__init__(name="inference", autocast=False)
        self._function = function
        self.built = True

    def call(self, arguments, training=False):
        return self._function(*arguments)


class ModelFunction:
    """A function of arrays that calls a model, with the weights it has then.

    It is compiled on jax and tensorflow, once for each shape and dtype of its
    arguments; torch runs it as it is.

    Args:
        function: Takes and returns structures of tensors. What the model
            changes meanwhile does not leave it.
        layer: The layer or model that it calls.
        turn: Makes a context in which the weights are in their place.
        sharing: Devices that share the work, on jax; see `find_sharing`.
    """

    def __init__(
        self, function, layer, turn=contextlib.nullcontext, sharing=None
    ):
        self._turn = turn
        make = {"jax": _on_jax, "tensorflow": _on_tensorflow}
        make = make.get(keras.backend.backend(), _as_it_is)
        call = _Inference(function)
        self._call = make(
            lambda *args: call(args, training=False), layer.variables, sharing
        )

    def __call__(self, *args):
        with self._turn():
            return self._call(*keras.tree.map_structure(_as_tensor, args))


def _as_tensor(value):
    # jax takes arrays of numpy as they are, and booleans and integers too.
    if keras.backend.backend() == "jax":
        return value
    return ops.convert_to_tensor(value)


def _on_jax(function, variables, sharing):
    import jax

    def run(values, args):
        with keras.StatelessScope(zip(variables, values, strict=True)):
            return function(*args)

    run = jax.jit(run if sharing is None else sharing.spread(run))

    def call(*args):
        values = [variable.value for variable in variables]
        if sharing is not None:
            values, args = sharing.place(values, args)
        return run(values, args)

    return call


def _on_tensorflow(function, variables, sharing):
    import tensorflow as tf

    functions = {}

    def run(*args):
        values = [(each, each.value) for each in variables]
        with keras.StatelessScope(values):
            return function(*args)

    def call(*args):
        # One for each, as few as are expected: tensorflow warns of others.
        shapes = tuple(
            (tuple(each.shape), each.dtype) for each in keras.tree.flatten(args)
        )
        if shapes not in functions:
            functions[shapes] = tf.function(run, autograph=False)
        return functions[shapes](*args)

    return call


def _as_it_is(function, variables, sharing):
    if keras.backend.backend() != "torch":
        return function
    import torch

    @torch.no_grad()
    def call(*args):
        values = [(each, each.value) for each in variables]
        with keras.StatelessScope(values):
            return function(*args)

    return call
