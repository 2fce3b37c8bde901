"""Lengths of images, inside and outside of a graph."""

import numbers

import keras
from keras import ops


def maximum(first, second):
    """The larger of two lengths: integers, sizes of a graph, or tensors."""
    return _choose("max", first, second)


def minimum(first, second):
    """The smaller of two lengths."""
    return _choose("min", first, second)


def _choose(which, first, second):
    if isinstance(first, int) and isinstance(second, int):
        return {"max": max, "min": min}[which](first, second)
    if keras.backend.backend() == "jax":
        import jax

        if any(map(jax.export.is_symbolic_dim, (first, second))):
            # The sizes of jax.export, which jax.numpy cannot compare.
            return getattr(jax.core, f"{which}_dim")(first, second)
    return getattr(ops, f"{which}imum")(first, second)


def static_lengths(lengths):
    """Give lengths as integers, and `None` for those of a graph."""
    return tuple(
        int(length) if isinstance(length, numbers.Integral) else None
        for length in lengths
    )
