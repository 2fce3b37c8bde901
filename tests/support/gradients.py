"""Gradients of a loss for the weights of a model, on each backend."""

import keras
from keras import ops


def loss_and_gradients(function, model, images, loss):
    """Return a loss and its gradients.

    Args:
        function: From images to outputs; calls layers of `model`.
        model: Its trainable weights are those that count.
        images: Array.
        loss: Function of the outputs, to a scalar.

    Returns:
        Float, and a list of arrays.
    """
    images = ops.convert_to_tensor(images)
    ways = {"jax": _on_jax, "tensorflow": _on_tensorflow, "torch": _on_torch}
    value, gradients = ways[keras.backend.backend()](
        lambda: loss(function(images)), model
    )
    return float(value), [ops.convert_to_numpy(each) for each in gradients]


def _on_jax(run, model):
    import jax

    def run_with(values):
        pairs = zip(model.trainable_variables, values, strict=True)
        with keras.StatelessScope(pairs):
            return run()

    values = [each.value for each in model.trainable_variables]
    return jax.jit(jax.value_and_grad(run_with))(values)


def _on_tensorflow(run, model):
    import tensorflow as tf

    @tf.function
    def gradients():
        weights = [each.value for each in model.trainable_variables]
        with tf.GradientTape() as tape:
            value = run()
        zero = {"unconnected_gradients": tf.UnconnectedGradients.ZERO}
        return value, tape.gradient(value, weights, **zero)

    return gradients()


def _on_torch(run, model):
    import torch

    value = run()
    weights = [each.value for each in model.trainable_variables]
    gradients = torch.autograd.grad(value, weights, allow_unused=True)
    gradients = [
        torch.zeros_like(weight) if gradient is None else gradient
        for weight, gradient in zip(weights, gradients, strict=True)
    ]
    return value.detach(), gradients
