"""Augmentation of a batch: the same transform on image and target."""

import keras
import numpy as np

from keras_patching.data.patches.brightness import brighten

_BRIGHTNESS = 0.25


def augment_batch(
    images, labels, rng, value_range=(0, 255), rows=slice(None), size=None
):
    """Flip, quarter-turn and brighten each patch at random.

    Patches that are not square are flipped but not quarter-turned. Brightness
    is scaled from black by up to a quarter of the spread of the patch's own
    values, see `brightness.brighten`, so that black padding stays black and
    nothing else becomes it; labels keep their values.

    Args:
        images: Array `(batch, height, width, channels)`.
        labels: Array `(batch, height, width, ...)` of labels per pixel, or a
            dict or list of them.
        rng: `numpy.random.Generator` that everything is drawn from.
        value_range: Values of black and white.
        rows, size: Which rows these are of a batch of that size. Each patch is
            moved as it would be in the whole batch.

    Returns:
        `(images, labels)`: new arrays, in all else like the old ones.
    """
    size = len(images) if size is None else size
    square = images.shape[1] == images.shape[2]
    turns = rng.integers(4 if square else 1, size=size)[rows]
    flips = rng.integers(2, size=(size, 2)).astype(bool)[rows]
    shares = rng.uniform(-_BRIGHTNESS, _BRIGHTNESS, size=size)[rows]
    moved = _move(images, turns, flips)
    for patch, share in zip(moved, shares, strict=True):
        patch[...] = brighten(patch, share, value_range)
    return moved, keras.tree.map_structure(
        lambda each: _move(each, turns, flips), labels
    )


def _move(batch, turns, flips):
    moved = np.empty_like(batch)
    for patch, target, turn, axes in zip(
        batch, moved, turns, flips, strict=True
    ):
        target[...] = np.flip(np.rot90(patch, turn), np.flatnonzero(axes))
    return moved
