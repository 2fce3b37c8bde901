"""When functions are compiled, and how long what was compiled is kept."""

import collections
import contextlib
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
    ...     return keras.ops.repeat(values, times)
    >>> repeated(keras.ops.ones(3), 2).shape[0]
    6
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


class FunctionsBySize:
    """What a model has compiled on jax, for the sizes of images used last.

    A function of jax keeps what it was compiled to for each shape of its
    input, some MB each, as long as it lives. So images of each size have a
    function of their own, and that of the size used longest ago is forgotten.
    The other backends compile nothing, or once for all sizes.

    Args:
        most: Number of sizes that are kept.
    """

    def __init__(self, most=16):
        self._most = most
        self._functions = collections.defaultdict(collections.OrderedDict)

    def clear(self):
        """Forget all: what the functions have closed over has changed."""
        self._functions.clear()

    @contextlib.contextmanager
    def for_size_of(self, images, model, name):
        """Let a model use and make the function for images of one size.

        Args:
            images: Batch of images with a `shape` and a `dtype`; others have
                one function for all sizes.
            model: Keras model.
            name: Of the attribute that Keras keeps the function in: None
                while there is none.
        """
        if keras.backend.backend() != "jax":
            yield
            return
        if getattr(model, name) is None:
            self._functions.pop(name, None)
        functions = self._functions[name]
        key = _size_and_dtype(images)
        # The first may have been made without us.
        made = None if functions else getattr(model, name)
        setattr(model, name, functions.pop(key, made))
        try:
            yield
        finally:
            self._keep(functions, key, model, name)

    def _keep(self, functions, key, model, name):
        if self._functions.get(name) is not functions:
            return  # Cleared meanwhile.
        if getattr(model, name) is not None:
            functions[key] = getattr(model, name)
        elif functions:
            # None would say that all are to be compiled again.
            setattr(model, name, next(reversed(functions.values())))
        if len(functions) > self._most:
            functions.popitem(last=False)


def _size_and_dtype(images):
    if not hasattr(images, "shape"):
        return None
    return tuple(images.shape[1:]), str(images.dtype)
