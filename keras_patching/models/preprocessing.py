"""Lets a model of KerasHub see images as it was trained on them."""

import keras


def with_preprocessing(patch_model, value_range):
    """Put the scaling that a KerasHub task has in its preprocessor before it.

    Its own `fit` and `predict` scale images, and its call does not, which is
    all that patches go through. They are not resized to the size
    that the task was made for: that is what `resize` of a model is for.

    Args:
        patch_model: Layer or model.
        value_range: Lowest and highest value of images.

    Returns:
        `patch_model`, or a `keras.Sequential` of a `Rescaling` and it.

    Raises:
        ValueError: If images are not in the range that KerasHub scales.
    """
    preprocessor = getattr(patch_model, "preprocessor", None)
    converter = getattr(preprocessor, "image_converter", None)
    scale = getattr(converter, "scale", None)
    offset = getattr(converter, "offset", None)
    if scale is None and offset is None:
        return patch_model
    if tuple(value_range) != (0, 255):
        raise ValueError(
            f"The preprocessor of '{patch_model.name}' scales images of 0 to "
            "255. Use these, or set `preprocessor = None` on a patch model "
            "that takes images as they are. Received: value_range="
            f"{tuple(value_range)}"
        )
    return keras.Sequential(
        [
            keras.Input(patch_model.input_shape[1:]),
            keras.layers.Rescaling(
                1.0 if scale is None else scale,
                0.0 if offset is None else offset,
            ),
            patch_model,
        ],
        name=patch_model.name,
    )
