"""Scores of counts and places of objects, as functions of numpy arrays."""

import warnings
from collections.abc import Sequence

import numpy as np

from keras_patching._checks import as_points, check_distance
from keras_patching._types import ArrayLike


def count_errors(counts: ArrayLike, true_counts: ArrayLike) -> dict[str, float]:
    """Compare numbers of objects per image.

    Args:
        counts: Predicted numbers, `(images,)`.
        true_counts: True numbers, `(images,)`.

    Returns:
        Dict of floats: `count_mae`, the mean absolute error per image in
        objects; and `count_relative_error`, the sum of the absolute errors
        over the number of all objects, which images without objects do not
        spoil (not a number where there are none at all).

    Raises:
        ValueError: If they are not as many, or none, or not finite.

    Example:

    >>> keras_patching.metrics.count_errors([9.0, 22.0], [10, 20])
    {'count_mae': 1.5, 'count_relative_error': 0.1}
    """
    counts = np.asarray(counts, "float64")
    true_counts = np.asarray(true_counts, "float64")
    if counts.shape != true_counts.shape or counts.ndim != 1 or not counts.size:
        raise ValueError(
            "Counts must be one number per image, as many as true ones. "
            f"Received: shapes {counts.shape} and {true_counts.shape}"
        )
    if not np.isfinite([counts, true_counts]).all():
        raise ValueError(
            "Counts must be finite numbers. "
            f"Received: counts={counts}, true_counts={true_counts}"
        )
    errors = np.abs(counts - true_counts)
    total = true_counts.sum()
    return {
        "count_mae": float(errors.mean()),
        "count_relative_error": float(
            errors.sum() / total if total else np.nan
        ),
    }


# Fewer true points may lie near found ones by chance.
_ENOUGH = 5


def localization_scores(
    points: Sequence[ArrayLike],
    true_points: Sequence[ArrayLike],
    tolerance: float,
) -> dict[str, float]:
    """Compare the places of objects.

    A found point and a true one are a hit if they are at most `tolerance`
    apart, each used once, with as many hits as there can be.

    Args:
        points: List of arrays `(n, 2)` of `(y, x)`, one per image.
        true_points: The true ones, in the same order of images.
        tolerance: Distance in pixels; 0 is the same place.

    Returns:
        Dict of floats over all images: `precision`, hits per found point;
        `recall`, hits per true point; and `f1`, their harmonic mean. What has
        nothing to be measured on is 0. A warning says so if far more would be
        hits with y and x of the true points swapped.

    Raises:
        ValueError: If the images are not as many, points are not pairs of
            finite numbers, or `tolerance` is negative.

    Example:

    >>> found, true = [[[5, 5], [9, 9]]], [[[5, 6]]]
    >>> keras_patching.metrics.localization_scores(found, true, tolerance=2)
    {'precision': 0.5, 'recall': 1.0, 'f1': 0.6666666666666666}
    """
    tolerance = check_distance(tolerance, "tolerance")
    if len(points) != len(true_points):
        raise ValueError(
            "Scoring needs points of as many images. "
            f"Received: {len(points)} and {len(true_points)}"
        )
    hits = swapped_hits = found = true = 0
    for index, pair in enumerate(zip(points, true_points, strict=True)):
        ours = as_points(pair[0], f"points[{index}]")
        theirs = as_points(pair[1], f"true_points[{index}]")
        hits += _count_hits(ours, theirs, tolerance)
        swapped_hits += _count_hits(ours, theirs[:, ::-1], tolerance)
        found += len(ours)
        true += len(theirs)
    if true >= _ENOUGH and swapped_hits >= max(4 * hits + 1, true / 2):
        warnings.warn(
            f"With y and x of the true points swapped {swapped_hits} of {true} "
            f"are hits, and {hits} as they are: points must be (y, x).",
            stacklevel=2,
        )
    return {
        "precision": hits / max(found, 1),
        "recall": hits / max(true, 1),
        "f1": 2 * hits / max(found + true, 1),
    }


def _count_hits(points, true_points, tolerance):
    """Match points within a distance, as many as possible."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import maximum_bipartite_matching
    from scipy.spatial import KDTree

    if not len(points) or not len(true_points):
        return 0
    near = KDTree(true_points).query_ball_point(points, tolerance)
    # int32 is what all versions of SciPy match by.
    columns = np.concatenate([np.asarray(row, "int32") for row in near])
    ends = np.cumsum([0, *map(len, near)], dtype="int32")
    graph = csr_array(
        (np.ones(len(columns), bool), columns, ends),
        shape=(len(points), len(true_points)),
    )
    return int((maximum_bipartite_matching(graph) >= 0).sum())
