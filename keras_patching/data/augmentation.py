"""Augmentation of a batch: the same transform on image and target."""

import numpy as np

_BRIGHTNESS = 0.25


def augment_batch(images, labels, rng, value_range=(0, 255)):
    """Flip, quarter-turn and brighten each patch at random.

    Patches that are not square are flipped but not quarter-turned. Brightness
    is scaled by 0.75 to 1.25 from black, so that black padding stays black,
    and clipped to the value range; labels keep their values.

    Args:
        images: Array `(batch, height, width, channels)`.
        labels: Array `(batch, height, width, ...)` of labels per pixel.
        rng: `numpy.random.Generator` that everything is drawn from.
        value_range: Values of black and white.

    Returns:
        `(images, labels)`: new arrays of the same shapes and dtypes.
    """
    size = len(images)
    square = images.shape[1] == images.shape[2]
    turns = rng.integers(4 if square else 1, size=size)
    flips = rng.integers(2, size=(size, 2)).astype(bool)
    factors = rng.uniform(1 - _BRIGHTNESS, 1 + _BRIGHTNESS, size=size)
    return (
        _brighten(_move(images, turns, flips), factors, value_range),
        _move(labels, turns, flips),
    )


def _move(batch, turns, flips):
    moved = np.empty_like(batch)
    for patch, target, turn, axes in zip(
        batch, moved, turns, flips, strict=True
    ):
        target[...] = np.flip(np.rot90(patch, turn), np.flatnonzero(axes))
    return moved


def _brighten(images, factors, value_range):
    black, white = value_range
    # float32 holds every integer of 16 bits, and stays float32 if it is that.
    dtype = np.result_type(images.dtype, np.float32)
    factors = factors.astype(dtype).reshape(-1, *[1] * (images.ndim - 1))
    bright = images.astype(dtype)
    bright -= dtype.type(black)
    bright *= factors
    bright += dtype.type(black)
    np.clip(bright, black, white, out=bright)
    if images.dtype.kind in "ui":
        np.rint(bright, out=bright)
    return bright.astype(images.dtype)
