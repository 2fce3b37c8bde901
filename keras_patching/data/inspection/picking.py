"""Picks patches that together show what a cache holds."""

import numpy as np


def pick_patches(pixels, count):
    """Pick patches that together show every class.

    Each class gets an equal part, the rarest first. Its patches are spread
    evenly over the data set, and are of the half that holds most of it, so
    that it can be seen.

    Args:
        pixels: Integers `(patches, classes)`, pixels of each class.
        count: Number of patches to pick; fewer where there are fewer, more
            where there are more classes.

    Returns:
        Sorted list of patch numbers, the same for the same pixels.
    """
    pixels = np.asarray(pixels)
    num_patches = (pixels > 0).sum(axis=0)
    classes = [c for c in np.argsort(num_patches, kind="stable")]
    classes = [c for c in classes if num_patches[c]]
    picked = []
    for position, c in enumerate(classes):
        share = max(1, (count - len(picked)) // (len(classes) - position))
        holders = np.flatnonzero(pixels[:, c])
        most = pixels[holders, c] >= np.median(pixels[holders, c])
        picked += _spread(np.setdiff1d(holders[most], picked), share)
    return sorted(picked)


def _spread(items, count):
    if count >= len(items):
        return items.tolist()
    places = np.linspace(0, len(items) - 1, count).round().astype(int)
    return items[places].tolist()
