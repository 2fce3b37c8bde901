"""Compiles functions that are called outside of a model's graph."""

import functools

import keras


def compiled_on_jax(*static_names):
    """Compile a function of tensors, once per shape, where that pays.

    Outside of a compiled function jax compiles each operation on its own, and
    a loop anew in every call. The other backends run them as they are.

    Args:
        *static_names: Names of the arguments that are no tensors but decide
            what is compiled; they must be hashable.

    Returns:
        A decorator.

    Example:

    >>> @compiled_on_jax("times")
    ... def repeated(values, times):
    ...     return ops.repeat(values, times)
    """

    def decorate(function):
        @functools.cache
        def choose():
            if keras.backend.backend() != "jax":
                return function
            import jax

            return jax.jit(function, static_argnames=static_names)

        @functools.wraps(function)
        def run(*args, **kwargs):
            return choose()(*args, **kwargs)

        return run

    return decorate
