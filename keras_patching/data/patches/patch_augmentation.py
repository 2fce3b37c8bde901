"""Carrying out a planned augmentation: on pixels, and on boxes alike.

An augmentation is `None` or a dict of one entry, as `YoloPatchSampler` plans:

- `{"turns": 1}`: quarter turns as in `numpy.rot90`, 1 to 3;
- `{"flip": "horizontal"}`: left and right change sides, or `"vertical"`;
- `{"brightness": -0.3}`: brighter, or darker if below 0, by that share of the
  spread of the patch's own values; see `brightness.brighten`.
"""

import numpy as np

from keras_patching.data.patches.brightness import MOST, brighten


def augment_pixels(patch, augmentation, value_range=(0, 255), inside_size=None):
    """Turn, flip or brighten a patch.

    Args:
        patch: Array `(height, width, ...)` of any real dtype, with values in
            `value_range`.
        augmentation: See above.
        value_range: `(black, white)`. Brightness is scaled from black,
            rounded for integers, and clipped to it.
        inside_size: `(height, width)` of the part of the patch that lies in
            the image, from the top-left corner. The rest is padding, whose
            values do not count and which brightness leaves as it is. `None`
            means all.

    Returns:
        Array of the same dtype. A quarter turn swaps height and width. May be
        a view of `patch`, which itself stays as it is.

    Raises:
        ValueError: If the augmentation is not one of the above.

    Example:

    >>> augment_pixels(np.array([[1, 2]]), {"flip": "horizontal"}).tolist()
    [[2, 1]]
    """
    match augmentation:
        case None:
            return patch
        case {"turns": turns}:
            return np.rot90(patch, turns)
        case {"flip": "horizontal"}:
            return patch[:, ::-1]
        case {"flip": "vertical"}:
            return patch[::-1]
        case {"brightness": share} if abs(share) <= MOST:
            return _brighten(patch, share, value_range, inside_size)
    raise _unknown(augmentation)


def augment_boxes(boxes, augmentation, patch_size):
    """Move boxes as `augment_pixels` moves the pixels in them.

    Args:
        boxes: Array `(boxes, 4)` of x1, y1, x2, y2 in pixels of the patch:
            the patch spans 0 to its width and 0 to its height.
        augmentation: See above.
        patch_size: `(height, width)` in pixels, before the augmentation.

    Returns:
        Array of the same shape and dtype, with x1 <= x2 and y1 <= y2 where it
        was so. Brightness moves nothing.

    Raises:
        ValueError: If the augmentation is not one of the above.

    Example:

    >>> augment_boxes(np.array([[0, 0, 2, 1]]), {"turns": 1}, (4, 4)).tolist()
    [[0, 2, 1, 4]]
    """
    height, width = patch_size
    x1, y1, x2, y2 = boxes.T
    match augmentation:
        case None | {"brightness": _}:
            return boxes
        case {"turns": turns}:
            return _turn_boxes(boxes, turns, height, width)
        case {"flip": "horizontal"}:
            return np.stack([width - x2, y1, width - x1, y2], axis=1)
        case {"flip": "vertical"}:
            return np.stack([x1, height - y2, x2, height - y1], axis=1)
    raise _unknown(augmentation)


def _turn_boxes(boxes, turns, height, width):
    for _ in range(turns):
        x1, y1, x2, y2 = boxes.T
        boxes = np.stack([y1, width - x2, y2, width - x1], axis=1)
        height, width = width, height
    return boxes


def _brighten(patch, share, value_range, inside_size):
    rows, cols = inside_size or patch.shape[:2]
    if (rows, cols) == patch.shape[:2]:
        return brighten(patch, share, value_range)
    bright = patch.copy()
    inside = bright[:rows, :cols]
    inside[...] = brighten(inside, share, value_range)
    return bright


def _unknown(augmentation):
    return ValueError(
        "`augmentation` must be None, or a dict with one of turns (1 to 3), "
        f"flip (horizontal or vertical) and brightness (-{MOST} to {MOST}). "
        f"Received: augmentation={augmentation!r}"
    )
