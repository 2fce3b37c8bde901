"""Errors of layers of which no receptive field is known, or bounded."""

import contextlib
import contextvars

import keras

# The layers that are looked into at the moment, the outermost first.
_OUTER_LAYERS = contextvars.ContextVar("outer_layers", default=())


@contextlib.contextmanager
def inside_of(layers):
    """Let errors within name the layers that are looked into, too.

    Args:
        layers: All of them, the outermost first.
    """
    token = _OUTER_LAYERS.set(tuple(layers))
    try:
        yield
    finally:
        _OUTER_LAYERS.reset(token)


def outer_layers():
    """Return the layers that are looked into, the outermost first."""
    return _OUTER_LAYERS.get()


def unbounded(layer, reason):
    """Return the error for a layer that no overlap is enough for."""
    return ValueError(
        "No overlap makes tiles agree with the whole image, since "
        f"{describe(layer)} {reason}. To tile it all the same, give the "
        "numbers: overlap=<pixels>, multiple_of=<stride>."
    )


def refusal(layer, reason):
    """Return the error for a layer whose receptive field is not known."""
    return ValueError(
        f"The receptive field is not known: {describe(layer)} {reason}. "
        "Register a rule for its class with `keras_patching.layers."
        "register_rule`, or give the numbers: "
        "overlap=<pixels>, multiple_of=<stride>."
    )


def describe(layer):
    """Return kind, name and class of a layer or operation, for an error.

    What it is inside of follows, from the innermost on.
    """
    outer = [each for each in reversed(outer_layers()) if each is not layer]
    return " inside of ".join(map(_describe_alone, (layer, *outer)))


def _describe_alone(layer):
    kind = "layer" if isinstance(layer, keras.layers.Layer) else "operation"
    return f"{kind} '{layer.name}' ({type(layer).__name__})"
