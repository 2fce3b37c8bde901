"""Scores of counts and places of objects, as functions of numpy arrays."""

import numpy as np


def count_errors(counts, true_counts):
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
        ValueError: If they are not as many, or none.

    Example:
    >>> count_errors([9.0, 22.0], [10, 20])
    {'count_mae': 1.5, 'count_relative_error': 0.1}
    """
    counts = np.asarray(counts, "float64")
    true_counts = np.asarray(true_counts, "float64")
    if counts.shape != true_counts.shape or counts.ndim != 1 or not counts.size:
        raise ValueError(
            "Counts must be one number per image, as many as true ones. "
            f"Received: shapes {counts.shape} and {true_counts.shape}"
        )
    errors = np.abs(counts - true_counts)
    total = true_counts.sum()
    return {
        "count_mae": float(errors.mean()),
        "count_relative_error": float(
            errors.sum() / total if total else np.nan
        ),
    }


def localization_scores(points, true_points, tolerance):
    """Compare the places of objects.

    A found point and a true one are a hit if they are at most `tolerance`
    apart, each used once, with as many hits as there can be.

    Args:
        points: List of arrays `(n, 2)` of `(y, x)`, one per image.
        true_points: The true ones, in the same order of images.
        tolerance: Distance in pixels.

    Returns:
        Dict of floats over all images: `precision`, hits per found point;
        `recall`, hits per true point; and `f1`, their harmonic mean. What has
        nothing to be measured on is 0.

    Example:
    >>> localization_scores([[[5, 5], [9, 9]]], [[[5, 6]]], tolerance=2)
    {'precision': 0.5, 'recall': 1.0, 'f1': 0.6666666666666666}
    """
    hits = found = true = 0
    for ours, theirs in zip(points, true_points, strict=True):
        ours = np.asarray(ours, "float64").reshape(-1, 2)
        theirs = np.asarray(theirs, "float64").reshape(-1, 2)
        hits += _count_hits(ours, theirs, tolerance)
        found += len(ours)
        true += len(theirs)
    return {
        "precision": hits / max(found, 1),
        "recall": hits / max(true, 1),
        "f1": 2 * hits / max(found + true, 1),
    }


def _count_hits(points, true_points, tolerance):
    """Match points within a distance, as many as possible."""
    # jax, which this package needs, needs SciPy itself.
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import maximum_bipartite_matching
    from scipy.spatial import KDTree

    if not len(points) or not len(true_points):
        return 0
    near = KDTree(true_points).query_ball_point(points, tolerance)
    columns = np.concatenate([np.asarray(row, int) for row in near])
    ends = np.cumsum([0, *map(len, near)])
    graph = csr_array(
        (np.ones(len(columns), bool), columns, ends),
        shape=(len(points), len(true_points)),
    )
    return int((maximum_bipartite_matching(graph) >= 0).sum())
