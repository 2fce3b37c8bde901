"""What Keras can quantize of a patch model."""

import keras

from keras_patching._keras_internals import inner_layers


def check_quantizable(patch_model):
    """Refuse a patch model that `quantize` would leave as it is.

    Args:
        patch_model: Layer or model.

    Raises:
        ValueError: If none of its layers has a `quantize` of its own.
    """
    layers = [patch_model, *inner_layers(patch_model)]
    of_none = keras.layers.Layer.quantize, keras.Model.quantize
    if any(type(each).quantize not in of_none for each in layers):
        return
    kinds = {type(each).__name__ for each in layers}
    raise ValueError(
        f"Keras {keras.version()} can quantize no layer of "
        f"'{patch_model.name}': it has {', '.join(sorted(kinds))}, and Dense, "
        "EinsumDense and Embedding can be quantized. Convolutions can by "
        'LiteRT, from tensorflow: `model.export("model.tflite", '
        'format="litert", optimizations=[tf.lite.Optimize.DEFAULT])`.'
    )
