"""What a patch model of segmentation ends in."""

import keras

from keras_patching._keras_internals import node_of, operation_of
from keras_patching.layers.mean_of_passes import MeanOfPasses
from keras_patching.losses.segmentation_loss import ACTIVATIONS

# These mix neighbours, so that probabilities stay such, and logits too.
_MIXED = ("nearest", "bilinear")


def last_activation(layer):
    """Read off what a patch model ends in, or None if it cannot be told.

    Args:
        layer: Model or layer. Where it ends in an enlargement, what is
            enlarged tells.

    Returns:
        One of `ACTIVATIONS`, or `None`.
    """
    if isinstance(layer, MeanOfPasses):
        return _activation_of_mean(layer)
    if isinstance(layer, keras.Sequential):
        layers = list(layer.layers)
        while len(layers) > 1 and _only_enlarges(layers[-1]):
            layers.pop()
        return last_activation(layers[-1])
    if isinstance(layer, keras.Model):
        outputs = getattr(layer, "outputs", None)
        if not outputs or len(outputs) != 1:
            return None
        (output,) = outputs
        while _only_enlarges(operation_of(output)):
            (output,) = node_of(output).input_tensors
        return last_activation(operation_of(output))
    if isinstance(layer, keras.layers.Softmax):
        return "softmax"
    activation = getattr(layer, "activation", None)
    name = getattr(activation, "__name__", None)
    return name if name in ACTIVATIONS else None


def _activation_of_mean(layer):
    """Return what all of the averaged nets end in, or None.

    Raises:
        ValueError: If logits would be averaged as if they were probabilities.
    """
    activations = set(map(last_activation, layer._nets()))
    if activations == {"linear"} and not layer.from_logits:
        raise ValueError(
            f"The patch models in '{layer.name}' give logits, whose mean is "
            "not that of their probabilities: make it with `from_logits=True`. "
            f"Received: a {type(layer).__name__} with from_logits=False"
        )
    return activations.pop() if len(activations) == 1 else None


def _only_enlarges(layer):
    is_enlarging = isinstance(layer, keras.layers.UpSampling2D)
    return is_enlarging and layer.interpolation in _MIXED


def check_head(patch_model, num_classes, activation):
    """Refuse a patch model whose channels are not those of the classes.

    Raises:
        ValueError: If they do not fit `num_classes` and `activation`.
    """
    shape = getattr(patch_model, "output_shape", None)
    if not isinstance(shape, tuple):
        return  # Not built yet.
    axis = 1 if keras.config.image_data_format() == "channels_first" else -1
    if shape[axis] == 1:
        fits = num_classes == 2 and activation != "softmax"
    else:
        fits = shape[axis] == num_classes and activation != "sigmoid"
    if not fits:
        raise ValueError(
            f"The patch model '{patch_model.name}' must end in {num_classes} "
            "softmax or linear channels, or for two classes in one sigmoid or "
            "linear channel. "
            f"Received: output shape {shape}, activation={activation!r}, "
            f"num_classes={num_classes}"
        )
