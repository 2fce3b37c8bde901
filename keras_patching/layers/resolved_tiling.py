"""What a tiling, such as `overlap="auto"`, is in numbers for a patch model."""

import dataclasses
from typing import Any

from keras_patching.layers.row_streaming import RowStreaming, find_streaming
from keras_patching.receptive_fields.automatic_overlap import (
    cheaper_patches,
    check_size,
    check_whole_length,
    find_overlap,
    takes_any_size,
)


@dataclasses.dataclass(frozen=True)
class Resolved:
    """A tiling in numbers, or streamed rows.

    Attributes:
        overlap: A pair; `"auto"` where rows are streamed, or it is not known
            yet what there will be.
        multiple_of, shrink: As for `PatchedPredictor`.
        streaming: `RowStreaming`, or `None` for tiles.
        tile_size: Size of tiles that nobody has asked for; else `None`.
    """

    overlap: Any
    multiple_of: Any
    shrink: bool
    streaming: RowStreaming | None = None
    tile_size: tuple[int, int] | None = None


def resolve(
    layer, patch_size, asked, predict_patch_size, data_format, is_patch_model
):
    """Put numbers in the place of `overlap="auto"`, or stream rows.

    Args:
        layer: What is run on patches when not training, built.
        patch_size: `(height, width)` that images are cut into, before patches
            shrink; `None` in it is the length of the image.
        asked: `Resolved`.
        predict_patch_size: As for `PatchedPredictor`.
        data_format: Of `layer`.
        is_patch_model: Whether `layer` is the patch model, and not around it.

    Returns:
        A `Resolved`.

    Raises:
        ValueError: If no overlap is enough, or the patches will not do.
    """
    overlap, multiple_of = asked.overlap, asked.multiple_of
    shrink, tile_size = asked.shrink, asked.tile_size
    if overlap == "auto":
        streaming = find_streaming(layer, predict_patch_size, data_format)
        if streaming is not None:
            return Resolved(overlap, multiple_of, shrink, streaming)
        shrink = takes_any_size(layer, data_format)
        if not is_patch_model and shrink and not predict_patch_size:
            # Patches to train on may be too small to be tiles.
            tile_size = cheaper_patches(layer, patch_size, data_format)
            patch_size = tile_size
        overlap, multiple_of = find_overlap(layer, patch_size, data_format)
    elif None in patch_size:
        check_whole_length(layer, patch_size, multiple_of, data_format)
    check_size(layer, patch_size, shrink, data_format)
    return Resolved(overlap, multiple_of, shrink, None, tile_size)
