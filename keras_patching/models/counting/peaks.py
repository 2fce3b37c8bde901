"""Finds the places of objects in heatmaps."""

import math

import numpy as np

_NEIGHBOURS = 1.5  # further than the diagonal of a pixel


def find_peaks(scores, min_score, min_distance):
    """Find local maxima that are far enough from each other.

    A maximum is above 0, and nothing closer to it is higher. Of equal ones the
    first stays, and what is closer to it is left out.

    Args:
        scores: float32 `(batch, height, width, 1)`.
        min_score: Lowest score of a maximum.
        min_distance: Lowest distance between two, in pixels.

    Returns:
        List with `(points, scores)` per image: float32 `(n, 2)` of `(y, x)`
        in pixels, centers of pixels, and float32 `(n,)`, best first.
    """
    return [
        far_enough(
            *find_candidates(image[..., 0], min_score, min_distance),
            min_distance,
        )
        for image in scores
    ]


def find_candidates(image, min_score, min_distance, first=0, stop=None):
    """Find the pixels that are maxima, before equal ones are told apart.

    Args:
        image: float32 `(height, width)`, scores.
        min_score, min_distance: As for `find_peaks`.
        first, stop: Rows to look at, `image[first:stop]`. What they are
            compared with is `reach_of(min_distance)` rows above and below.

    Returns:
        Pair `(points, scores)`, in the order of the pixels: int64 `(n, 2)` of
        `(y, x)`, numbers of rows and columns, and float32 `(n,)`.
    """
    from scipy.ndimage import maximum_filter

    highest = maximum_filter(
        image, 2 * _square_reach(min_distance) + 1, mode="nearest"
    )
    is_peak = (image == highest) & (image >= min_score) & (image > 0)
    points = np.argwhere(is_peak[first:stop])
    points[:, 0] += first
    points = _highest_around(points, image, min_distance)
    return points, image[tuple(points.T)]


def reach_of(min_distance):
    """Give how many pixels away a candidate is compared with others."""
    return max(_square_reach(min_distance), math.ceil(min_distance))


def _highest_around(points, image, distance):
    """Keep points with nothing higher around: no bumps on another's slope."""
    reach = math.ceil(distance)
    steps = np.mgrid[-reach : reach + 1, -reach : reach + 1].reshape(2, -1).T
    steps = steps[np.hypot(*steps.T) < distance]
    if not len(steps):
        return points
    last = np.array(image.shape) - 1
    kept = []
    for some in np.array_split(points, 1 + len(points) * len(steps) // 2**22):
        y, x = np.clip(some[:, None] + steps, 0, last).T
        kept.append(some[image[y, x].max(axis=0) <= image[tuple(some.T)]])
    return np.concatenate(kept)


def _square_reach(min_distance):
    """Give half the side of the largest square that is all too close.

    A wider one would lose objects that lie far enough away, in a corner of it.
    """
    return max(1, math.ceil(min_distance / math.sqrt(2)) - 1)


def far_enough(points, values, min_distance):
    """Keep the better of two points that are too close: equal ones, mostly.

    Args:
        points, values: As `find_candidates` gives them, those of a whole image.
        min_distance: As for `find_peaks`.

    Returns:
        What `find_peaks` gives of an image.
    """
    from scipy.spatial import KDTree

    order = np.argsort(-values, kind="stable")
    points, values = points[order], values[order]
    keep = np.ones(len(points), bool)
    # Neighbouring pixels of equal height are one maximum.
    closest = max(min_distance, _NEIGHBOURS)
    pairs = ()
    if len(points):
        below = np.nextafter(closest, 0)
        pairs = KDTree(points).query_pairs(below, output_type="ndarray")
        pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))].tolist()
    for better, worse in pairs:
        if keep[better]:
            keep[worse] = False
    return points[keep].astype("float32") + 0.5, values[keep]
