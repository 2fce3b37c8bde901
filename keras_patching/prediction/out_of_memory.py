"""Which errors say that a device has no memory left."""

import keras


def is_out_of_memory(error):
    """Tell whether an error of the backend says that its memory is full.

    Args:
        error: An exception.
    """
    tells = {"jax": _is_of_jax, "torch": _is_of_torch, "tensorflow": _is_of_tf}
    is_meant = tells.get(keras.backend.backend(), lambda error: False)
    while error is not None:
        if is_meant(error):
            return True
        # Keras raises others in the place of those within a layer.
        error = error.__cause__ or error.__context__
    return False


def _is_of_jax(error):
    import jax

    is_of_device = isinstance(error, jax.errors.JaxRuntimeError)
    return is_of_device and "RESOURCE_EXHAUSTED" in str(error)


def _is_of_torch(error):
    import torch

    return isinstance(error, torch.OutOfMemoryError)


def _is_of_tf(error):
    import tensorflow as tf

    return isinstance(error, tf.errors.ResourceExhaustedError)
