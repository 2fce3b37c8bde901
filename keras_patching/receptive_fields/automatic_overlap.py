"""Which tilings suit a patch model, derived from its layers."""

import math

from keras_patching.geometry import round_up
from keras_patching.ops.data_formats import shape_to_channels_last
from keras_patching.receptive_fields.walk import receptive_field

# Pixels computed for each pixel of an image, from which on a model is told.
_DEAR = 4


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
                f"patches overlap by {field.overlap} pixels. "
                f"{_larger_patches(field)} {_fewer_pixels(field, patch_size)}"
                f"Received: {patch_size}"
            )
    return field.overlap, field.stride


def _larger_patches(field):
    """Name the smallest patches without seams, and some that cost less."""
    axes = zip(field.overlap, field.stride, strict=True)
    smallest = tuple(overlap + stride for overlap, stride in axes)
    cheaper = _cheaper_patches(field)
    return (
        "The smallest patches that will do are predict_patch_size="
        f"{smallest}; with predict_patch_size={cheaper} about 2 pixels are "
        "computed for each pixel of a large image. (The patch model must take "
        "any size, as with `keras.Input((None, None, channels))`.)"
    )


def cheaper_patches(patch_model, patch_size, data_format):
    """Return a size of patches without seams that does not cost much.

    Args:
        patch_model, patch_size, data_format: As for `find_overlap`.

    Returns:
        `(height, width)`, no less than `patch_size`.
    """
    field = receptive_field(patch_model, data_format=data_format)
    axes = zip(_cheaper_patches(field), patch_size, field.stride, strict=True)
    height, width = (max(n, round_up(own, s)) for n, own, s in axes)
    return height, width


def _cheaper_patches(field):
    """Return a size of patches that computes about 2 pixels for each."""
    # Of length t, along both axes: (t / (t - overlap))**2 = 2.
    return tuple(
        max(
            round_up(math.ceil((2 + 2**0.5) * overlap), stride),
            overlap + stride,
        )
        for overlap, stride in zip(field.overlap, field.stride, strict=True)
    )


def _fewer_pixels(field, patch_size):
    """Name an overlap in numbers that is possible, if there is one."""
    lengths = [
        stride * 2 if length is None else length
        for length, stride in zip(patch_size, field.stride, strict=True)
    ]
    axes = list(zip(lengths, field.stride, strict=True))
    if any(length % stride or length < 2 * stride for length, stride in axes):
        return ""
    overlap = tuple(length // 2 // stride * stride for length, stride in axes)
    return (
        f"Or keep the patches and leave seams: overlap={overlap}, "
        f"multiple_of={field.stride}. "
    )


def describe_seams(predictor, image_size):
    """Say that patches without overlap cut what a patch model looks at.

    Args:
        predictor: `PatchedPredictor` with a patch size.
        image_size: `(height, width)` in pixels of an image that it cuts.

    Returns:
        A message, or `None`: where patches overlap, are not stitched, or are
        the whole image, where each pixel is judged by itself, and where the
        layers do not tell how far they look.
    """
    if not predictor.stitch or predictor.overlap != (0, 0):
        return None
    grid = predictor.patch_grid(image_size)
    if grid.num_patches == 1:
        return None
    field = _field_if_known(predictor.inference_layer(), predictor.data_format)
    if field is None or not any(field.halo):
        return None
    return (
        f"An image of {tuple(image_size)} pixels is predicted in patches of "
        f"{grid.patch_size} that share none, while '{predictor.layer.name}' "
        f"looks {field.halo} pixels beyond each: there are seams. "
        'To have none, pass overlap="auto" to the model or to '
        "`model.set_tiling(...)`. "
        f"{_larger_patches(field)}"
    )


def describe_cost(predictor, image_size):
    """Say that patches without seams compute the pixels of an image often.

    Args:
        predictor: `PatchedPredictor` with a patch size.
        image_size: `(height, width)` in pixels of an image that it cuts.

    Returns:
        A message with what costs less, or `None`: where at most 4 pixels are
        computed for each, where there may be seams, and where the layers do
        not tell how far they look.
    """
    if not predictor.stitch or predictor.overlap == "auto":
        return None
    grid = predictor.patch_grid(image_size)
    cost = predictor.recomputation(image_size)
    if grid.num_patches == 1 or cost <= _DEAR:
        return None
    field = _field_if_known(predictor.inference_layer(), predictor.data_format)
    if field is None or not _is_exact(grid, field):
        return None
    return (
        f"An image of {tuple(image_size)} pixels is predicted without seams in "
        f"{grid.rows} x {grid.cols} patches of {grid.patch_size} that share "
        f"{grid.overlap}: {cost:.1f} pixels are computed for each. "
        f"{_cheaper_tilings(predictor, field, image_size, cost)}"
        "`verify_tiling(model, images, tolerance=1e-3)` finds the smallest "
        "overlap whose seams are no larger."
    )


def _is_exact(grid, field):
    """Whether the patches of a grid share enough to leave no seam."""
    return all(
        axis.count == 1 or (axis.overlap >= overlap and axis.unit % stride == 0)
        for axis, overlap, stride in zip(
            (grid.y_axis, grid.x_axis), field.overlap, field.stride, strict=True
        )
    )


def _cheaper_tilings(predictor, field, image_size, cost):
    """Name what leaves no seam either, and costs less."""
    if not takes_any_size(predictor.inference_layer(), predictor.data_format):
        return (
            "A patch model that is built with `keras.Input((None, None, "
            "channels))` takes larger patches, or rows, which cost less. "
        )
    larger = _cheaper_patches(field)
    costs = {}
    for patch_size in (larger, (larger[0], None)):
        other = predictor.with_tiling(
            overlap=field.overlap,
            multiple_of=field.stride,
            predict_patch_size=patch_size,
            shrink=True,
        )
        costs[patch_size] = other.recomputation(image_size)
    cheaper = [
        f"predict_patch_size={patch_size} computes {each:.1f}"
        for patch_size, each in costs.items()
        if each < cost
    ]
    if predictor.test_time_augmentation in (None, "left_right"):
        cheaper.append(
            'overlap="auto" without a `predict_patch_size` streams rows where '
            "every layer can, and computes 1.0"
        )
    return f"Less: {'; '.join(cheaper)}. " if cheaper else ""


def find_multiple_of(predictor):
    """Find what origins are best multiples of, where it can be known.

    Args:
        predictor: `PatchedPredictor`.

    Returns:
        Pair: what the stride of the patch model and `predictor.multiple_of`
        divide; the latter, if the patch model has a layer without a rule.
    """
    field = _field_if_known(predictor.inference_layer(), predictor.data_format)
    if field is None:
        return predictor.multiple_of
    return tuple(map(math.lcm, field.stride, predictor.multiple_of))


def another_tiling(predictor, overlap, patch_size=None):
    """Choose the arguments of `set_tiling` that go with another overlap.

    Args:
        predictor: `PatchedPredictor` whose tiling is to change.
        overlap: Pixels, a pair or one integer, or `"auto"`.
        patch_size: Size of the patches to predict with; `None` keeps it.

    Returns:
        Dict of arguments.
    """
    tiling = {"overlap": overlap}
    if patch_size is not None:
        tiling["predict_patch_size"] = patch_size
    if overlap == "auto":
        tiling["blend"] = "crop"
    elif predictor.stitch:  # The patches of a detector may lie anywhere.
        tiling["multiple_of"] = find_multiple_of(predictor)
    return tiling


def check_size(patch_model, patch_size, shrink, data_format):
    """Refuse patches that a patch model of fixed input size cannot take.

    Raises:
        ValueError: Naming both sizes.
    """
    fixed = _input_size(patch_model, data_format)
    if takes_any_size(patch_model, data_format):
        return
    if shrink or any(
        length not in (None, wanted)
        for length, wanted in zip(fixed, patch_size, strict=True)
    ):
        raise ValueError(
            f"The patch model '{patch_model.name}' takes patches of exactly "
            f"{fixed}. Use that size, or build the patch model with "
            "`keras.Input((None, None, channels))`. Received: "
            f"patch_size={patch_size}, shrink={shrink}"
        )


def check_whole_length(patch_model, patch_size, multiple_of, data_format):
    """Refuse patches as long as the image that a stride does not divide.

    Args:
        patch_model, patch_size, data_format: As for `find_overlap`.
        multiple_of: Pair: what lengths of images are rounded up to.

    Raises:
        ValueError: If they are not multiples of the stride. (That of a patch
            model with a layer that has no rule is not known.)
    """
    field = _field_if_known(patch_model, data_format)
    if field is not None and any(
        length is None and multiple % step
        for length, multiple, step in zip(
            patch_size, multiple_of, field.stride, strict=True
        )
    ):
        raise ValueError(
            f"'{patch_model.name}' has a stride of {field.stride}, and an "
            "image may have any length: it is to be padded to a multiple of "
            f'the stride. Use multiple_of={field.stride}, or overlap="auto". '
            f"Received: predict_patch_size={patch_size}, "
            f"multiple_of={multiple_of}"
        )


def _field_if_known(patch_model, data_format):
    """Return the `ReceptiveField`, or None of layers that do not tell it."""
    try:
        return receptive_field(patch_model, data_format=data_format)
    except ValueError:
        return None


def takes_any_size(patch_model, data_format):
    """Whether a patch model was made for no particular size of patches."""
    return set(_input_size(patch_model, data_format)) == {None}


def _input_size(patch_model, data_format):
    """`(height, width)` that a patch model takes; `None` where any will do."""
    shape = getattr(patch_model, "input_shape", None)
    if not isinstance(shape, tuple) or len(shape) != 4:
        return None, None
    return shape_to_channels_last(shape, data_format)[1:3]
