"""Refuses arguments that a `PatchedPredictor` cannot work with.

What depends on the patch model is refused in `automatic_overlap`, what no grid
can be made of in `geometry`.
"""

import math
import numbers

from keras_patching._checks import is_integer
from keras_patching.geometry import (
    as_pair,
    as_patch_size,
    check_patch_geometry,
)
from keras_patching.ops.patches import check_blend

# Those of a configuration, besides the patch model.
PREDICTOR_ARGUMENTS = (
    "patch_size",
    "overlap",
    "multiple_of",
    "blend",
    "stitch",
    "pad_value",
    "pad_mode",
    "patch_batch_size",
    "predict_patch_size",
    "shrink",
    "test_time_augmentation",
    "data_format",
)


def check_patch_batch_size(patch_batch_size):
    """Refuse what is no number of patches."""
    if patch_batch_size in (None, "auto"):
        return
    if not is_integer(patch_batch_size) or patch_batch_size <= 0:
        raise ValueError(
            '`patch_batch_size` must be a positive integer, "auto", or '
            "None for all patches at once. Received: "
            f"patch_batch_size={patch_batch_size!r}"
        )


def check_data_format(data_format):
    """Refuse what Keras does not know."""
    if data_format not in ("channels_last", "channels_first"):
        raise ValueError(
            '`data_format` must be "channels_last" or "channels_first". '
            f"Received: data_format={data_format!r}"
        )


def check_pad_value(pad_value):
    """Refuse what is not one finite number."""
    if (
        isinstance(pad_value, bool)
        or not isinstance(pad_value, numbers.Real)
        or not math.isfinite(pad_value)
    ):
        raise ValueError(
            "`pad_value` must be one number, that all pixels beyond the image "
            "have in all channels, such as 0 for black; `pad_mode` copies "
            f"pixels of the image instead. Received: pad_value={pad_value!r}"
        )


def checked_tiling(tiling, patch_size, stitch, pad_mode):
    """Refuse a tiling that is impossible with any patch model.

    Args:
        tiling: Dict of all that is in a `Tiling`.
        patch_size: `(height, width)` of the patches, or `None`.
        stitch, pad_mode: As for `PatchedPredictor`.

    Returns:
        Dict of the same names, with pairs where one number was given.

    Raises:
        ValueError: If no grid can be made with it.
    """
    blend, overlap = tiling["blend"], tiling["overlap"]
    predict_patch_size = tiling["predict_patch_size"]
    shrink, symmetries = tiling["shrink"], tiling["test_time_augmentation"]
    check_blend(blend)
    multiple_of = as_pair(tiling["multiple_of"], "multiple_of")
    if isinstance(overlap, str) and overlap == "auto":
        _check_auto(stitch, blend, multiple_of, pad_mode)
    else:
        overlap = as_pair(overlap, "overlap")
    if predict_patch_size is not None:
        predict_patch_size = as_patch_size(
            predict_patch_size, "predict_patch_size"
        )
    if shrink or predict_patch_size is not None:
        _check_stitched(stitch, predict_patch_size, shrink)
    largest = predict_patch_size or patch_size
    if largest is not None and overlap != "auto":
        check_patch_geometry(largest, overlap, multiple_of)
    if symmetries is not None and not stitch:
        raise ValueError(
            "Test-time augmentation averages outputs that are images, "
            "pixel by pixel; boxes of mirrored and turned patches are not "
            "merged. Received: test_time_augmentation="
            f"{symmetries!r}, stitch=False"
        )
    return {
        **tiling,
        "overlap": overlap,
        "multiple_of": multiple_of,
        "predict_patch_size": predict_patch_size,
    }


def _check_auto(stitch, blend, multiple_of, pad_mode):
    """Refuse what `overlap="auto"` cannot go with."""
    if pad_mode != "constant":
        raise ValueError(
            '`overlap="auto"` predicts the image padded with `pad_value`, as '
            "layers pad it: leave `pad_mode` out, or pass an overlap in "
            f"numbers. Received: pad_mode={pad_mode!r}"
        )
    if blend != "crop" or not stitch:
        raise ValueError(
            '`overlap="auto"` makes stitched images without a seam, which '
            'needs stitch=True and blend="crop". Received: '
            f"stitch={stitch}, blend={blend!r}"
        )
    if multiple_of != (1, 1):
        raise ValueError(
            '`overlap="auto"` finds `multiple_of` itself: leave it out. '
            f"Received: multiple_of={multiple_of}"
        )


def _check_stitched(stitch, patch_size, shrink):
    """Refuse patches of other sizes whose outputs are not stitched."""
    if not stitch:
        raise ValueError(
            "`predict_patch_size` and `shrink` are for outputs that are "
            "stitched: others would come back in another shape than in "
            f"training. Received: predict_patch_size={patch_size}, "
            f"shrink={shrink}, stitch=False"
        )
