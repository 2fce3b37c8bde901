"""Checks arguments of `PatchingSequence`."""

import os

import numpy as np

from keras_patching._checks import check_integer, check_optional


def check_feeding(batch_size, seed, dtype, augment):
    """Refuse arguments of `PatchingSequence` that it cannot work with."""
    check_integer(batch_size, "batch_size", 1)
    check_optional(seed, "seed", 0)
    try:
        np.dtype(dtype)
    except TypeError as error:
        raise ValueError(
            "`dtype` must be `None` or the name of a NumPy dtype. "
            f"Received: dtype={dtype!r}"
        ) from error
    if not isinstance(augment, bool) and not callable(augment):
        raise ValueError(
            "`augment` must be a bool or a function from (images, labels) to "
            f"the same. Received: augment={augment!r}"
        )


def check_multiprocessing(use_multiprocessing):
    """Refuse the processes of Keras."""
    if use_multiprocessing:
        raise ValueError(
            "Keras's processes skip and repeat batches, and with JAX they can "
            "hang. Use threads, which load patches as fast: workers=4. "
            f"Received: use_multiprocessing={use_multiprocessing}"
        )


def select_sources(sources, names, path):
    """Give the sources with these names, all if `names` is `None`."""
    if names is None:
        return sources
    names = set(map(os.fspath, names))
    selected = [source for source in sources if source.name in names]
    unknown = sorted(names - {source.name for source in selected})
    if unknown or not selected:
        raise ValueError(
            f"{path}: has patches of {len(sources)} images, but not of "
            f"{unknown[:20]}. Pass names as in `image_names`. "
            f"Received: names of {len(names)} images"
        )
    return selected
