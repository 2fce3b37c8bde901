"""What `overlap="auto"` stands for, derived from the patch model."""

from keras_patching.layers.receptive_field import receptive_field


def find_overlap(patch_model, patch_size, data_format):
    """Find the overlap and the stride that leave no seam.

    Args:
        patch_model: Layer or model, built.
        patch_size: `(height, width)` of the patches in pixels; `None` for one
            that is as long as the image.
        data_format: Of the patch model.

    Returns:
        `(overlap, multiple_of)`, each a pair in pixels.

    Raises:
        ValueError: If the patch model has a layer that no overlap is enough
            for (it is named), or the patches are too small.
    """
    field = receptive_field(patch_model, data_format=data_format)
    for length, overlap, stride in zip(
        patch_size, field.overlap, field.stride, strict=True
    ):
        if length is not None and (
            length % stride or length < overlap + stride
        ):
            raise ValueError(
                f"'{patch_model.name}' sees {field.halo} pixels beyond each "
                f"patch and has a stride of {field.stride}: without seams, "
                f"patches overlap by {field.overlap} pixels. Use patches that "
                "are larger, and multiples of the stride, as in "
                "predict_patch_size=(512, 512), or a smaller "
                f"overlap=<pixels>. Received: {patch_size}"
            )
    return field.overlap, field.stride


def takes_any_size(patch_model, data_format):
    """Whether a patch model was made for no particular size of patches."""
    shape = getattr(patch_model, "input_shape", None)
    if not isinstance(shape, tuple) or len(shape) != 4:
        return True
    lengths = shape[2:] if data_format == "channels_first" else shape[1:3]
    return set(lengths) == {None}
