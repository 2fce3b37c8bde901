"""In which precision a backend multiplies, as far as it tells."""

import keras


def describe_precision(layer):
    """Say what a model is computed in, and where.

    Args:
        layer: Keras layer or model.

    Returns:
        A phrase, such as `"float32 on cpu (jax)"`. On a GPU it says whether
        float32 is multiplied in full, or in TensorFloat-32, of which 10 bits
        of each factor are left.
    """
    backend = keras.backend.backend()
    device, multiplied = _DESCRIBE.get(backend, lambda: ("cpu", ""))()
    dtype = layer.dtype_policy.compute_dtype
    said = f" multiplied in {multiplied}" if multiplied else ""
    return f"{dtype}{said} on {device} ({backend})"


def _jax():
    import jax

    device = jax.default_backend()
    precision = jax.config.jax_default_matmul_precision
    if device == "cpu":
        return device, ""
    # Unless told otherwise, GPUs and TPUs multiply in what is fast.
    return device, precision or "the device's default, on GPUs TF32"


def _tensorflow():
    import tensorflow as tf

    if not tf.config.list_physical_devices("GPU"):
        return "cpu", ""
    is_short = tf.config.experimental.tensor_float_32_execution_enabled()
    return "gpu", "TF32" if is_short else "full"


def _torch():
    import torch

    if not torch.cuda.is_available():
        return "cpu", ""
    convolutions = torch.backends.cudnn.allow_tf32
    products = torch.backends.cuda.matmul.allow_tf32
    if convolutions == products:
        return "gpu", "TF32" if products else "full"
    return "gpu", f"TF32 in {'convolutions' if convolutions else 'products'}"


_DESCRIBE = {"jax": _jax, "tensorflow": _tensorflow, "torch": _torch}
