"""Whether a patch model takes patches of a size, before anything runs."""

import keras

from keras_patching._keras_internals import reason_of
from keras_patching.layers.output_specs import Trace
from keras_patching.ops.data_formats import (
    shape_from_channels_last,
    shape_to_channels_last,
)
from keras_patching.receptive_fields.automatic_overlap import check_size
from keras_patching.receptive_fields.walk import receptive_field


def check_patch_model(patch_model, patch_size, data_format):
    """Refuse a patch size that the patch model cannot take.

    Args:
        patch_model: Layer or model.
        patch_size: `(height, width)` in pixels; `None` for a length that is
            not known before prediction.
        data_format: Of the patch model.

    Raises:
        ValueError: Naming both sizes, or what a layer said of them.
    """
    shape = getattr(patch_model, "input_shape", None)
    if not isinstance(shape, tuple) or len(shape) != 4:
        return  # Not built, or not of one image: building it will tell.
    check_size(patch_model, patch_size, False, data_format)
    if None in patch_size:
        return  # A side is that of the image: predicting one will tell.
    channels = shape_to_channels_last(shape, data_format)[3]
    patch_shape = shape_from_channels_last(
        (1, *patch_size, channels), data_format
    )
    try:
        Trace(patch_model).compute_output_spec(keras.KerasTensor(patch_shape))
    except (ValueError, TypeError, RuntimeError) as error:
        raise ValueError(
            f"The patch model '{patch_model.name}' cannot take patches of "
            f"{patch_size}: {reason_of(error)} (A model that halves its input "
            "n times needs multiples of 2**n in both axes, such as "
            f"{_multiple_below(patch_model, patch_size, data_format)}.) "
            f"Received: patch_size={patch_size}"
        ) from error


def _multiple_below(patch_model, patch_size, data_format):
    """The next smaller patch size that the stride divides, if it is known."""
    try:
        stride = receptive_field(patch_model, data_format=data_format).stride
    except ValueError:
        stride = 32, 32
    return tuple(
        max(length // step, 1) * step
        for length, step in zip(patch_size, stride, strict=True)
    )
