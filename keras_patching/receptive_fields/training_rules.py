"""What layers do in training that needs the whole image, or what is unknown.

Rules tell what a layer does in a prediction. Of one that does something else
in training this module tells whether bands of rows, one after the other, can
do it as well.
"""

import keras

from keras_patching.receptive_fields.errors import describe, inside_of

# What these draw is drawn anew for each pixel, or as `noise_shape` says.
_DROPOUTS = (
    keras.layers.AlphaDropout,
    keras.layers.Dropout,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.SpatialDropout2D,
)


def check_training(call, fields):
    """Refuse a call that cannot be trained on a band of rows at a time.

    Args:
        call: `Call` of a training.
        fields: `SpatialField` of each input.

    Raises:
        ValueError: Naming the layer, and what would do.
    """
    layer = call.operation
    if not isinstance(layer, keras.layers.Layer):
        return
    with inside_of(call.outer_layers):
        if isinstance(layer, keras.layers.BatchNormalization):
            _check_frozen(layer)
        if layer.activity_regularizer is not None:
            raise _refusal(
                layer,
                "adds a loss of all that it makes (`activity_regularizer`). "
                "Leave it out: regularizers of weights do",
            )
        if seeds_of(layer) and call.kind not in _DROPOUTS:
            raise _refusal(
                layer,
                "draws at random, and nothing tells whether for each pixel or "
                "for the image. Augment images before they come to the model "
                "(`augment` of loaders); `keras.layers.Dropout` and its kin do",
            )


def _check_frozen(layer):
    if layer.trainable:
        raise _refusal(
            layer,
            "needs the mean and variance of whole images, which are not known "
            "before their last row. Freeze it (`layer.trainable = False` "
            "before `compile`), as is usual in encoders that are trained "
            "already, or take a normalization over the channels of each pixel "
            "(`keras.layers.LayerNormalization()`)",
        )


def _refusal(layer, reason):
    return ValueError(
        "Images are trained on a band of rows at a time, and in training "
        f"{describe(layer)} {reason}."
    )


def seeds_of(layer):
    """List the variables of a layer, and of those inside, that are seeds.

    Keras counts them among the variables, and not among the weights.
    """
    weights = {id(each) for each in layer.weights}
    return [each for each in layer.variables if id(each) not in weights]


def draws_once(call, fields):
    """Tell whether what a layer draws is the same for all rows of an image.

    Args:
        call, fields: As for `check_training`.
    """
    layer, (field, *_) = call.operation, fields
    if call.kind is keras.layers.SpatialDropout2D:
        return True
    noise_shape = getattr(layer, "noise_shape", None)
    row_axis, _ = field.axes
    return noise_shape is not None and noise_shape[row_axis] == 1
