"""Objects that no patch holds, found in the image at a smaller size.

Each patch that such an object lies in sees a part of it, and says so with a
box that ends at its edge: a fragment. In one more pass the image is reduced
until the object fits a patch. There it is found whole, a little less exactly,
and its fragments yield to it.

Boxes are `x1, y1, x2, y2` in pixels of the image.
"""

import math

import numpy as np

from keras_patching._checks import is_integer
from keras_patching.box_geometry import (
    area,
    intersection,
    intersection_over_smaller,
    iou,
)
from keras_patching.models.detection.non_max_suppression import (
    neighbouring_pairs,
)

# A fragment lies with more than this share of its area in the whole.
_MOSTLY = 0.5


def check_large_objects(large_objects):
    """Refuse what `size_for_large_objects` cannot go by.

    Raises:
        ValueError: If it is no bool and no length in pixels.
    """
    if isinstance(large_objects, (bool, np.bool_)):
        return
    if not is_integer(large_objects) or large_objects < 1:
        raise ValueError(
            "`large_objects` must be True, False, or the length in pixels of "
            "the largest objects, an integer of at least 1. Received: "
            f"large_objects={large_objects!r}"
        )


def size_for_large_objects(image_size, patch_size, overlap, large_objects):
    """Give the size at which large objects of an image fit a patch.

    Args:
        image_size: `(height, width)` in pixels.
        patch_size, overlap: `(height, width)` in pixels.
        large_objects: Length in pixels of the largest objects, which are then
            no longer than the overlap, so that some patch holds each; but an
            image is not made smaller than a patch. `True` makes it as small.

    Returns:
        `(height, width)`: lengths divided by an integer, rounded up; `None`
        where nothing is to be reduced.
    """
    if not large_objects:
        return None
    factor = max(
        math.ceil(length / patch)
        for length, patch in zip(image_size, patch_size, strict=True)
    )
    is_length = not isinstance(large_objects, (bool, np.bool_))
    if is_length and min(overlap) > 0:
        factor = min(factor, math.ceil(large_objects / min(overlap)))
    if factor <= 1:
        return None
    return tuple(math.ceil(length / factor) for length in image_size)


def merge_large_objects(
    found, cut, large, overlap, iou_threshold=0.5, match_metric="iou"
):
    """Make one list of boxes of those of patches and of a reduced image.

    Of the reduced image those are taken that are longer than the overlap,
    along one axis: all others are whole in some patch, which sees them better.
    Boxes at the edge of their patch, of which more than half is in a larger
    one of the reduced image and of the same class, are fragments and are
    dropped, whatever their scores. Of what then is one object, that of the
    patch is kept; with "ios", of a part and the whole, the whole.

    Args:
        found: Dict of `"boxes"`, `(n, 4)`, `"scores"` and `"labels"`, `(n,)`,
            as of `merging.merge`.
        cut: Bool array `(n,)`: which of these reach to the edge of their
            patch, where the image goes on.
        large: The same as `found`, of the reduced image, in pixels of the
            image.
        overlap: `(height, width)` in pixels that patches share.
        iou_threshold, match_metric: As for `non_max_suppression`.

    Returns:
        Dict as `found`, best first.

    Example:

    >>> def boxes(*rows):
    ...     ones = np.ones(len(rows))
    ...     return {"boxes": np.array(rows), "scores": ones, "labels": ones}
    >>> tiles = boxes([10, 0, 64, 40], [64, 0, 110, 40], [80, 50, 90, 60])
    >>> whole = boxes([11, 1, 112, 41], [79, 51, 91, 60])
    >>> cut = np.array([True, True, False])
    >>> merge_large_objects(tiles, cut, whole, (16, 16))["boxes"].tolist()
    [[80, 50, 90, 60], [11, 1, 112, 41]]
    """
    sizes = large["boxes"][:, 2:] - large["boxes"][:, :2]
    is_long = (sizes > np.asarray(overlap)[::-1]).any(axis=1)
    large = {name: values[is_long] for name, values in large.items()}
    keep, keep_large = np.ones(len(cut), bool), np.ones(is_long.sum(), bool)
    if len(keep) and len(keep_large):
        one, other = _pairs(found, large)
        boxes = found["boxes"][one].astype("float64")
        others = large["boxes"][other].astype("float64")
        is_smaller = area(boxes) < area(others)
        shared = area(intersection(boxes, others)) / area(boxes)
        is_fragment = cut[one] & is_smaller & (shared > _MOSTLY)
        keep[one[is_fragment]] = False
        left = keep[one]
        keep_large[other[left & (iou(boxes, others) > iou_threshold)]] = False
        if match_metric == "ios":
            part = intersection_over_smaller(boxes, others) > iou_threshold
            part &= left
            keep_large[other[part & ~is_smaller]] = False
            keep[one[part & is_smaller & keep_large[other]]] = False
    joined = {
        name: np.concatenate([found[name][keep], large[name][keep_large]])
        for name in ("boxes", "scores", "labels")
    }
    order = np.argsort(-joined["scores"], kind="stable")
    return {name: values[order] for name, values in joined.items()}


def _pairs(found, large):
    """Give index arrays of boxes of one class that may share pixels."""
    sides = [
        part
        for each in (found, large)
        for part in (
            each["boxes"].astype("float64"),
            each["labels"].astype(int),
        )
    ]
    pairs = [np.stack(pair) for pair in neighbouring_pairs(*sides)]
    return np.concatenate([np.zeros((2, 0), int), *pairs], axis=1)
