"""Regions as scipy finds them in a whole map, a class at a time."""

import numpy as np
from scipy import ndimage


def number(mask, background=(0,)):
    """Number connected regions by their first pixels, row by row."""
    numbers, count = np.zeros(mask.shape, "int64"), 0
    for each in set(np.unique(mask).tolist()) - set(background):
        found, num_found = ndimage.label(mask == each)
        numbers[found > 0] = found[found > 0] + count
        count += num_found
    _, first, numbers = np.unique(
        np.append(0, numbers), return_index=True, return_inverse=True
    )
    return np.argsort(np.argsort(first))[numbers[1:]].reshape(mask.shape)


def random_map(rng):
    """Draw a map of few or many regions, and rows to cut it at."""
    height, width = rng.integers(1, 40, 2)
    noise = rng.random((height, width))
    smooth = ndimage.gaussian_filter(noise, rng.choice([0, 0.5, 1, 2]))
    ranks = np.argsort(np.argsort(smooth, axis=None)) / smooth.size
    classes = rng.integers(2, 6)
    mask = (ranks ** rng.uniform(0.3, 3) * classes).astype("uint8")
    is_cut = rng.random(height) < rng.random()
    return mask.reshape(height, width), np.flatnonzero(is_cut[1:]) + 1
