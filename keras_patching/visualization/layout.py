"""Pictures set beside and below each other, on paper, with captions."""

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from keras_patching._types import NDArray
from keras_patching.visualization.colors import PAPER
from keras_patching.visualization.lettering import caption, caption_size
from keras_patching.visualization.overlays import to_uint8


def side_by_side(
    panels: Mapping[str, NDArray] | Sequence[tuple[str, NDArray]],
    height: int | None = None,
    columns: int | None = None,
) -> NDArray:
    """Set pictures of equal height side by side, each below its caption.

    Args:
        panels: Dict from caption to array, as for `to_uint8`; or pairs of
            them, where captions repeat.
        height: Height of each picture in pixels; by default that of the
            lowest one.
        columns: Pictures per row; by default all in one row.

    Returns:
        uint8 `(height, width, 3)` on white.

    Raises:
        ValueError: There are no panels, or a number is below 1.

    Example:

    >>> image, mask = np.zeros((48, 64, 3), "uint8"), np.zeros((48, 64))
    >>> figure = keras_patching.visualization.side_by_side(
    ...     {"Image": image, "Mask": mask}, height=96
    ... )
    >>> keras_patching.data.write_image("pair.png", figure)
    """
    pairs = list(panels.items() if isinstance(panels, dict) else panels)
    _check_layout(pairs, height, columns)
    captions, arrays = zip(*pairs, strict=True)
    pictures = [to_uint8(array) for array in arrays]
    if height is None:
        height = min(map(len, pictures))
    pictures = [resized(picture, height) for picture in pictures]
    widths = [picture.shape[1] for picture in pictures]
    size = caption_size(captions, widths, height)
    cells = [
        np.concatenate([caption(text, width, size), picture])
        for text, width, picture in zip(captions, widths, pictures, strict=True)
    ]
    columns = len(cells) if columns is None else columns
    gutter = max(4, height // 50)
    rows = [
        _joined(cells[first : first + columns], axis=1, gutter=gutter)
        for first in range(0, len(cells), columns)
    ]
    return _joined(rows, axis=0, gutter=gutter)


def stacked(*blocks: NDArray) -> NDArray:
    """Set pictures below each other, on white.

    Args:
        *blocks: uint8 `(height, width, 3)`, of any sizes.

    Returns:
        The same, as wide as the widest.

    Example:

    >>> low = np.zeros((10, 20, 3), "uint8")
    >>> wide = np.zeros((5, 40, 3), "uint8")
    >>> keras_patching.visualization.stacked(low, wide).shape
    (15, 40, 3)
    """
    return _joined(blocks, axis=0)


def panel_height(image, height, most):
    """Give the height of panels that was asked for, or what suits them."""
    if height is None:
        return min(len(image), most)
    _check_positive(height, "height")
    return height


def resized(picture, height):
    """Scale a picture to a height, keeping its shape."""
    if len(picture) == height:
        return picture
    width = max(1, round(picture.shape[1] * height / len(picture)))
    resample = Image.Resampling.LANCZOS
    return np.asarray(
        Image.fromarray(picture).resize((width, height), resample)
    )


def _joined(blocks, axis, gutter=0):
    """Join on white along one axis, padding the other to the longest.

    Args:
        blocks: Arrays uint8 `(height, width, 3)`.
        axis: 0 sets them below each other, 1 side by side.
        gutter: Pixels between two of them.

    Returns:
        uint8 `(height, width, 3)`.
    """
    longest = max(block.shape[1 - axis] for block in blocks)
    padded = []
    for block in blocks:
        widths = [(0, 0)] * 3
        widths[1 - axis] = (0, longest - block.shape[1 - axis])
        widths[axis] = (gutter if padded else 0, 0)
        padded.append(np.pad(block, widths, constant_values=PAPER[0]))
    return np.concatenate(padded, axis)


def _check_layout(panels, height, columns):
    if not panels:
        raise ValueError("There must be at least one panel. Received: {}")
    for name, number in (("height", height), ("columns", columns)):
        if number is not None:
            _check_positive(number, name)


def _check_positive(number, name):
    if number < 1:
        raise ValueError(
            f"{name} must be at least 1. Received: {name}={number}"
        )
