"""Finds the places of objects in heatmaps."""

import math

import numpy as np
from keras import ops

from keras_patching.ops.heatmaps import local_maxima

_NEIGHBOURS = 1.5  # further than the diagonal of a pixel


def find_peaks(scores, min_score, min_distance):
    """Find local maxima that are far enough from each other.

    A maximum is as high as all eight neighbours and above 0. The better ones
    come first; what is closer to one of them is left out. So the places of
    two that are far enough apart never depend on what lies between.

    Args:
        scores: float32 `(batch, height, width, 1)`.
        min_score: Lowest score of a maximum.
        min_distance: Lowest distance between two, in pixels.

    Returns:
        List with `(points, scores)` per image: float32 `(n, 2)` of `(y, x)`
        in pixels, and float32 `(n,)`, best first.
    """
    highest = local_maxima(ops.convert_to_tensor(scores), _reach(min_distance))
    is_peak = ops.convert_to_numpy(highest) & (scores >= min_score)
    is_peak &= scores > 0
    return [
        _far_enough(np.argwhere(peaks[..., 0]), image[..., 0], min_distance)
        for peaks, image in zip(is_peak, scores, strict=True)
    ]


def _reach(min_distance):
    """Give half the side of the largest square that is all too close.

    A wider one would lose objects that lie far enough away, in a corner of it.
    """
    return max(1, math.ceil(min_distance / math.sqrt(2)) - 1)


def _far_enough(points, scores, min_distance):
    """Keep the better of two points that are too close: equal ones, mostly."""
    # jax, which this package needs, needs SciPy itself.
    from scipy.spatial import KDTree

    values = scores[points[:, 0], points[:, 1]]
    order = np.argsort(-values, kind="stable")
    points, values = points[order], values[order]
    keep = np.ones(len(points), bool)
    # Neighbours are equally high: one maximum.
    closest = max(min_distance, _NEIGHBOURS)
    pairs = ()
    if len(points):
        below = np.nextafter(closest, 0)
        pairs = KDTree(points).query_pairs(below, output_type="ndarray")
        pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))].tolist()
    for better, worse in pairs:
        if keep[better]:
            keep[worse] = False
    return points[keep].astype("float32"), values[keep]
