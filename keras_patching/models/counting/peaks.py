"""Finds the places of objects in heatmaps."""

import numpy as np
from keras import ops

from keras_patching.ops.heatmaps import local_maxima


def find_peaks(scores, min_score, min_distance):
    """Find local maxima that are far enough from each other.

    Args:
        scores: float32 `(batch, height, width, 1)`.
        min_score: Lowest score of a maximum.
        min_distance: Lowest distance between two, in pixels.

    Returns:
        List with `(points, scores)` per image: float32 `(n, 2)` of `(y, x)`
        in pixels, and float32 `(n,)`, best first.
    """
    reach = max(1, round(min_distance))
    highest = local_maxima(ops.convert_to_tensor(scores), reach)
    is_peak = ops.convert_to_numpy(highest) & (scores >= min_score)
    return [
        _far_enough(np.argwhere(peaks[..., 0]), image[..., 0], min_distance)
        for peaks, image in zip(is_peak, scores, strict=True)
    ]


def _far_enough(points, scores, min_distance):
    """Keep the better of two points that are too close: equal ones, mostly."""
    # jax, which this package needs, needs SciPy itself.
    from scipy.spatial import KDTree

    values = scores[points[:, 0], points[:, 1]]
    order = np.argsort(-values, kind="stable")
    points, values = points[order], values[order]
    keep = np.ones(len(points), bool)
    pairs = KDTree(points).query_pairs(min_distance) if len(points) else ()
    for better, worse in sorted(pairs):
        if keep[better]:
            keep[worse] = False
    return points[keep].astype("float32"), values[keep]
