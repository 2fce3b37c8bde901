"""Gives a loaded model another tiling to predict with."""

from keras_patching.receptive_fields.automatic_overlap import another_tiling


def change_tiling(
    model, overlap=None, patch_size=None, test_time_augmentation=None
):
    """Give a task model another tiling to predict with.

    Args:
        model: As `load_model` returns it.
        overlap: Pixels, a pair or one integer, or `"auto"`; `None` keeps it.
        patch_size: As `predict_patch_size` of `PatchedModel`; `None` keeps it.
        test_time_augmentation: As of `PatchedModel`, or `"none"`; `None`
            keeps it.

    Raises:
        ValueError: If the patch model cannot be tiled so.
    """
    if test_time_augmentation is not None:
        is_off = test_time_augmentation == "none"
        model.set_tiling(
            test_time_augmentation=None if is_off else test_time_augmentation
        )
    if overlap is None and patch_size is None:
        return
    overlap = model.predictor.overlap if overlap is None else overlap
    model.set_tiling(**another_tiling(model.predictor, overlap, patch_size))
