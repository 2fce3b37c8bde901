"""Which images are meant, and which of them are the share of a process."""

import itertools
import os

import keras
import numpy as np

from keras_patching._checks import is_integer
from keras_patching.data.images.listing import list_images
from keras_patching.data.images.ome_zarr import is_ome_zarr


def as_sources(sources):
    """Give the images that are meant: those of a folder, or each of a list.

    Raises:
        ValueError: If it is one image.
    """
    if isinstance(sources, (str, os.PathLike)):
        if os.path.isdir(sources) and not is_ome_zarr(sources):
            return list(list_images(sources).values())
        return [sources]
    if len(getattr(sources, "shape", ())) == 3:
        raise ValueError(
            "`predict_images` takes several images: pass one as a list, "
            f"`[image]`. Received: an array of shape {tuple(sources.shape)}"
        )
    if isinstance(sources, (tuple, np.ndarray)):
        return list(sources)
    return sources  # What is not a list may be more than the memory holds.


def share(sources, shard):
    """Number images, and give those that are the share of one process.

    Args:
        sources: Iterable of images.
        shard: `(index, count)`, or `None` for all.

    Returns:
        List of pairs of number and image, or an iterator where images are
        not in a list.
    """
    index, count = _check_shard(shard)
    numbered = itertools.islice(enumerate(sources), index, None, count)
    return list(numbered) if isinstance(sources, list) else numbered


def _check_shard(shard):
    if shard is None:
        return 0, 1
    is_pair = isinstance(shard, (tuple, list)) and len(shard) == 2
    if not is_pair or not all(map(is_integer, shard)):
        raise ValueError(
            "`shard` must be (index, count): the number of this process, from "
            f"0, and of how many there are. Received: shard={shard!r}"
        )
    index, count = shard
    if not 0 <= index < count:
        raise ValueError(
            "`shard` must be (index, count) with 0 <= index < count. "
            f"Received: shard={shard!r}"
        )
    return index, count


def held(source):
    """Return an image that the caller may change, or what it is read from."""
    is_mapped = isinstance(source, np.memmap)
    if isinstance(source, np.ndarray) and not is_mapped:
        return source.copy()
    if keras.ops.is_tensor(source):
        return np.array(keras.ops.convert_to_numpy(source))
    return source
