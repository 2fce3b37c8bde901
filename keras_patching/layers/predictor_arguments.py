"""Refuses arguments that a `PatchedPredictor` cannot work with.

What depends on the patch model is refused in `automatic_overlap`, what no grid
can be made of in `geometry`.
"""

import math
import numbers

from keras_patching._checks import is_integer


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


def check_auto(stitch, blend, multiple_of, pad_mode):
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


def check_stitched(stitch, patch_size, shrink):
    """Refuse patches of other sizes whose outputs are not stitched."""
    if not stitch:
        raise ValueError(
            "`predict_patch_size` and `shrink` are for outputs that are "
            "stitched: others would come back in another shape than in "
            f"training. Received: predict_patch_size={patch_size}, "
            f"shrink={shrink}, stitch=False"
        )
