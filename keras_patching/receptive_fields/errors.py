"""Errors of layers of which no receptive field is known, or bounded."""

import keras


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
    """Return kind, name and class of a layer or operation, for an error."""
    kind = "layer" if isinstance(layer, keras.layers.Layer) else "operation"
    return f"{kind} '{layer.name}' ({type(layer).__name__})"
