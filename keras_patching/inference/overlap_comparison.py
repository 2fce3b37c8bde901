"""Which overlap a model needs on an image: several are verified in turn."""

from keras_patching.geometry import as_patch_size
from keras_patching.inference.tiling_verification import (
    axes_of,
    find_predictor,
    verify_tiling,
)
from keras_patching.receptive_fields.automatic_overlap import another_tiling


def compare_overlaps(model, image, overlaps=None, patch_size=None):
    """Verify several overlaps on one image.

    Args:
        model: As for `verify_tiling`.
        image: Array `(height, width, channels)`.
        overlaps: Iterable of what `PatchedPredictor` takes as `overlap`;
            `None` takes 0, a quarter of the patch, the model's own tiling,
            and `"auto"`; what is impossible or the same is left out.
        patch_size: Size of the patches, a pair in which one may be `None`, or
            one integer; `None` takes those that the model predicts with.

    Yields:
        For each overlap a `PatchedPredictor` and its `TilingReport`.
    """
    own = find_predictor(model)
    if own.patch_size is None or not own.stitch:
        raise ValueError(
            "Tiling is verified of stitched images, by a model with a patch "
            f"size. Received: patch_size={own.patch_size}, "
            f"stitch={own.stitch}. (The patches of a detector are merged.)"
        )
    if overlaps is None:
        predictors = _usual_tilings(own, image.shape, patch_size)
    else:
        predictors = (
            _with_tiling(own, overlap, patch_size) for overlap in overlaps
        )
    for predictor in predictors:
        yield predictor, verify_tiling(predictor, image[None])


def _usual_tilings(own, image_shape, patch_size):
    """Yield the tilings that a model's user may ask of, each once."""
    usual = own.predict_patch_size or own.patch_size
    lengths = as_patch_size(
        usual if patch_size is None else patch_size, "patch_size"
    )
    quarter = min(filter(None, (*lengths, *own.patch_size))) // 4
    done = []

    def is_new(predictor):
        done.append(_cuts(predictor, image_shape))
        return done[-1] not in done[:-1]

    for overlap in (0, quarter):
        try:
            predictor = _with_tiling(own, overlap, patch_size)
        except ValueError:
            continue  # Patches of one stride cannot overlap.
        if is_new(predictor):
            yield predictor
    if patch_size is None and is_new(own):
        yield own
    if own.pad_mode != "constant":
        return  # What "auto" predicts is another image.
    predictor = _with_tiling(own, "auto", patch_size)
    if is_new(predictor):
        yield predictor


def _with_tiling(own, overlap, patch_size):
    return own.with_tiling(**another_tiling(own, overlap, patch_size))


def _cuts(predictor, image_shape):
    """Tell where an image is cut and stitched, and how."""
    y, x, _ = axes_of(predictor)
    grid = predictor.patch_grid((image_shape[y - 1], image_shape[x - 1]))
    borders = [
        [axis.border(index) for index in range(axis.count)]
        for axis in (grid.y_axis, grid.x_axis)
    ]
    return grid.patch_size, grid.origins, borders, predictor.blend
