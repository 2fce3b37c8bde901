"""How far a net looks, for what must be as far from something else."""

from keras_patching.receptive_fields.walk import receptive_field


def find_reach(patch_model, data_format, seen, is_stitched=True):
    """Tell how many pixels beyond a pixel what is made of it depends on.

    Args:
        patch_model: Layer or model, built.
        data_format: Of the patch model.
        seen: `(height, width)` of the patches that it is given, in pixels;
            `None` of what is as long as the image.
        is_stitched: Whether outputs are stitched; others are of a patch alone,
            beyond which they see nothing.

    Returns:
        `(height, width)` in pixels: the halo of its receptive field. Where the
        layers do not tell it, as in a net that looks at the whole patch, that
        of the patch.

    Raises:
        ValueError: If the layers do not tell it, and patches are as long as
            the image.
    """
    try:
        halo = receptive_field(patch_model, data_format=data_format).halo
    except ValueError as error:
        if None in seen:
            raise ValueError(
                f"How far '{patch_model.name}' looks is not known, and it is "
                "given patches as long as the image. Say how many pixels "
                "loaders are to go by: `guard`; and leave the model out of "
                f"`check_leakage`, which then counts what is seen. ({error})"
            ) from error
        return seen
    if is_stitched:
        return halo
    return tuple(map(min, halo, seen))
