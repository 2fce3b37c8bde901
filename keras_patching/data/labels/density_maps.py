"""Density maps: images whose sum is the number of objects in them.

A point becomes a Gaussian on the map of its whole image, before any patch is
cut: near a seam it puts its mass into both patches, and at an edge of the
image all of it stays inside. After Lempitsky and Zisserman 2010, "Learning to
count objects in images", Advances in Neural Information Processing Systems 23.
"""

import math

import numpy as np

# Another number where the same points give another map than before, so that
# maps in caches are drawn again.
MAP_VERSION = 2
# Where the Gaussian is cut, in sigma. The 1e-4 of its mass that lies beyond is
# spread over the rest.
_REACH = 4
# Points whose kernels are computed at once.
_BATCH = 4096


def density_map(points, size, sigma):
    """Draw points as Gaussians of mass 1.

    Args:
        points: Array `(n, 2)` of `(y, x)` in pixels, inside the image, where
            the center of pixel `i` is at `i + 0.5`. Points at one place add up.
        size: `(height, width)` of the image in pixels.
        sigma: Standard deviation of the Gaussians in pixels.

    Returns:
        float32 `(height, width)`, objects per pixel; its sum is `n`. Time and
        memory beyond it depend on the number of points, not on the size.

    Example:

    >>> points = np.array([[0.0, 0.0], [3.0, 7.0]])
    >>> heatmap = density_map(points, size=(4, 8), sigma=1.5)
    >>> heatmap.shape, round(float(heatmap.sum()), 3)
    ((4, 8), 2.0)
    """
    density = np.zeros(size, "float32")
    points = np.asarray(points, "float64").reshape(-1, 2)
    for first in range(0, len(points), _BATCH):
        batch = points[first : first + _BATCH]
        rows = _kernels(batch[:, 0], size[0], sigma)
        cols = _kernels(batch[:, 1], size[1], sigma)
        for y, down, x, across in zip(*rows, *cols, strict=True):
            window = density[y : y + len(down), x : x + len(across)]
            window += down[:, None] * across
    return density


def peak_density(sigma):
    """Objects per pixel at the center of one that is alone."""
    return 1 / (2 * math.pi * sigma**2)


def _kernels(positions, length, sigma):
    """Give the first pixel and the weights of each point along one axis."""
    reach = min(math.ceil(_REACH * sigma), length)
    count = min(2 * reach + 1, length)
    first = np.floor(positions).astype(int) - reach
    first = np.clip(first, 0, length - count)
    centers = first[:, None] + np.arange(count) + 0.5
    distance = centers - positions[:, None]
    exponents = -0.5 * (distance / sigma) ** 2
    # A far smaller sigma than a pixel would underflow everywhere.
    exponents -= exponents.max(axis=1, keepdims=True)
    weights = np.exp(exponents)
    weights /= weights.sum(axis=1, keepdims=True)
    return first.tolist(), weights.astype("float32")
