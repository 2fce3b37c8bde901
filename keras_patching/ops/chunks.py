"""Mapping a function over patches, a few at a time.

Chunks bound the memory of a forward pass. Their number of patches is one of
the graph's constants, while their count may depend on the size of the image.
"""

import math

import keras
from keras import ops

# Each patch of a chunk is a slice of its own in the graph.
_MOST_PATCHES = 32


def map_chunks(function, count, chunk_size):
    """Apply a function to the numbers below `count`, a chunk at a time.

    Args:
        function: Takes an integer tensor of shape `(n,)` and returns a tensor,
            or a structure of tensors, of shape `(n, ...)`; `n` is static
            where the count is.
        count: How many numbers; an integer or a size of a graph.
        chunk_size: The largest `n`.

    Returns:
        What the function returned, of shape `(count, ...)`.

    Example:

    >>> doubled = map_chunks(lambda numbers: numbers * 2, count=5, chunk_size=2)
    >>> ops.convert_to_numpy(doubled).tolist()
    [0, 2, 4, 6, 8]
    """
    chunks, size = chunking(count, chunk_size)
    # The last chunk repeats the last number until it is as long as others.
    numbers = ops.minimum(ops.arange(chunks * size, dtype="int32"), count - 1)
    outputs = ops.map(function, ops.reshape(numbers, (chunks, size)))
    return keras.tree.map_structure(
        lambda output: ops.reshape(output, (-1, *ops.shape(output)[2:]))[
            :count
        ],
        outputs,
    )


def chunking(count, most):
    """Choose chunks of one size, so that few numbers are repeated.

    Args:
        count: How many numbers; an integer or a size of a graph.
        most: The largest size of a chunk; likewise.

    Returns:
        `(number of chunks, size of each)`. The size is an integer where
        `count` is one, and on jax.
    """

    def chunks_of(size):
        return (count + size - 1) // size

    if isinstance(count, int) and isinstance(most, int):
        sizes = range(min(most, count), most // 2, -1) or [count]
        size = min(sizes, key=lambda size: chunks_of(size) * size)
        return chunks_of(size), size
    if keras.backend.backend() == "jax":
        # The sizes of jax.export cannot be compared with such quotients.
        return chunks_of(most), most
    chunks = chunks_of(most)
    return chunks, chunks_of(chunks)


def patches_per_chunk(patch_size):
    """Choose how many patches to run at once.

    On a CPU they are of about 2**16 pixels, since larger chunks outgrow its
    caches (one patch of 256 x 256). Elsewhere they are of 2**20, and on torch
    of 2**21: it starts each operation by itself, which takes longer than to
    compute it on few patches.

    Args:
        patch_size: `(height, width)` in pixels; `None` for one that is as long
            as an image of unknown length.

    Returns:
        An integer from 1 to 32.
    """
    if None in patch_size:
        return 1
    if is_on_cpu():
        pixels = 2**16
    else:
        pixels = 2**21 if keras.backend.backend() == "torch" else 2**20
    return min(max(pixels // math.prod(patch_size), 1), _MOST_PATCHES)


def is_on_cpu():
    """Tell whether a backend computes on the CPU."""
    if keras.backend.backend() == "torch":
        import torch

        return not torch.cuda.is_available()
    if keras.backend.backend() in ("numpy", "openvino"):
        return True  # They have no `keras.distribution`.
    devices = keras.distribution.list_devices()
    return all(device.startswith("cpu") for device in devices)
