"""Weights that outlive a call which fails."""

import contextlib

import keras

from keras_patching._keras_internals import put_weights_back, stored_value


@contextlib.contextmanager
def weights_kept(model):
    """Give a model the weights back that a failed or interrupted call took.

    On jax, `fit`, `evaluate` and `predict` take the weights out of the model
    and put them back at the end, but not after every exception. What `fit` has
    learned stays: only what is gone comes back as it was before the call.

    Args:
        model: Keras model.
    """
    if keras.backend.backend() != "jax":
        yield
        return
    _unshare(_variables(model))
    kept = [(variable, variable.value) for variable in _variables(model)]
    try:
        yield
    except BaseException:
        put_weights_back(model)
        for variable, value in kept:
            # A step deletes the arrays that it was given, but for those that
            # something else refers to.
            if _is_gone(variable) and not value.is_deleted():
                variable.assign(value)
        raise


def _unshare(variables):
    """Give each variable an array of its own.

    Keras lets weights and their averages (`use_ema`) be one array at the end
    of a training. A step deletes those that it was given, so that an optimizer
    that the step does not know would have lost its own.
    """
    seen = set()
    for variable in variables:
        if id(variable.value) in seen:
            variable.assign(keras.ops.copy(variable.value))
        seen.add(id(variable.value))


def _variables(model):
    optimizer = getattr(model, "optimizer", None)
    return [*model.variables, *(optimizer.variables if optimizer else ())]


def _is_gone(variable):
    value = stored_value(variable)
    return value is None or value.is_deleted()
