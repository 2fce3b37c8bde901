"""What is run on patches when not training, around a patch model."""

from keras_patching.layers.mean_of_passes import Doubt
from keras_patching.layers.test_time_augmentation import TestTimeAugmentation
from keras_patching.ops.data_formats import shape_from_channels_last


def wrap_for_inference(
    patch_model, symmetries, are_logits, gives_doubt, data_format
):
    """Return a patch model, augmented if that is asked for.

    Args:
        patch_model: Layer or model.
        symmetries: `test_time_augmentation` of a `PatchedPredictor`.
        are_logits: Whether the patch model gives logits, whose probabilities
            are averaged.
        gives_doubt: Whether not the mean is asked for, but `Doubt`.
        data_format: Of the patch model.

    Returns:
        A layer with the same weights; the patch model where nothing is asked.

    Raises:
        ValueError: If doubt is asked of what predicts once, or the patch model
            cannot be augmented so.
    """
    layer = patch_model
    if symmetries is not None:
        layer = TestTimeAugmentation(
            patch_model,
            symmetries,
            from_logits=are_logits,
            data_format=data_format,
            name=patch_model.name,
        )
    return Doubt(layer) if gives_doubt else layer


def build_around(layer, patch_model, channels, data_format):
    """Let a layer around a patch model know its channels."""
    if layer is not patch_model and not layer.built:
        shape = (None, None, None, channels)
        layer.build(shape_from_channels_last(shape, data_format))
