"""Loops over chunks of patches, in the ways of jax and torch.

Patches of any rows and images make a chunk, so that all chunks are full. What
is stitched is written, patch by patch, into images that are there: neither all
patches nor rows of them exist at once.
"""

import math

import keras
from keras import ops

from keras_patching.ops.chunks import chunking
from keras_patching.ops.patch_writing import CarriedWriter, InPlaceWriter
from keras_patching.ops.patches import slice_patches


def write_in_scan(run, padded_images, grid, known, blend, chunk_size):
    """Run and stitch in a loop of jax, which carries the images on.

    Args:
        run, padded_images, grid, known, blend, chunk_size: As for
            `run_in_chunks`.

    Returns:
        As `run_in_chunks`.
    """
    batch = ops.shape(padded_images)[0]
    count = batch * grid.num_patches
    num_chunks, size = chunking(count, chunk_size)
    scales, _ = known.split(known.scales)
    specs, _ = known.split(keras.tree.flatten(known.spec))
    writers = [
        CarriedWriter(grid, scale, blend, spec.dtype)
        for scale, spec in zip(scales, specs, strict=True)
    ]
    images = [
        writer.blank(batch, spec.shape[3])
        for writer, spec in zip(writers, specs, strict=True)
    ]

    def run_chunk(images, chunk):
        numbers = chunk * size + ops.arange(size, dtype="int32")
        # The last chunk repeats the last patch until it is as long as others.
        are_new = numbers < count
        numbers = ops.minimum(numbers, count - 1)
        places = numbers // grid.num_patches, numbers % grid.num_patches
        outputs = run(slice_patches(padded_images, grid, *places))
        stitched, alone = known.split(keras.tree.flatten(outputs))
        images = [
            writer.write(image, patches, *places, are_new)
            for writer, image, patches in zip(
                writers, images, stitched, strict=True
            )
        ]
        return images, alone

    chunks = ops.arange(num_chunks, dtype="int32")
    images, alone = ops.scan(run_chunk, images, chunks)
    images = [
        writer.finish(image)
        for writer, image in zip(writers, images, strict=True)
    ]
    alone = [ops.reshape(each, (-1, *each.shape[2:])) for each in alone]
    grids = [_as_grid(each[:count], batch, grid) for each in alone]
    return known.merge(images, grids)


def write_in_place(run, padded_images, grid, known, blend, chunk_size):
    """Run and stitch in a loop of torch, into tensors that are there.

    Args:
        run, padded_images, grid, known, blend, chunk_size: As for
            `run_in_chunks`.

    Returns:
        As `run_in_chunks`.
    """
    batch = padded_images.shape[0]
    numbers = range(batch * grid.num_patches)
    scales, _ = known.split(known.scales)
    writers, chunks = None, []
    size = math.ceil(len(numbers) / math.ceil(len(numbers) / chunk_size))
    for first in range(0, len(numbers), size):
        places = [
            divmod(number, grid.num_patches)
            for number in numbers[first : first + size]
        ]
        outputs = run(_cut(padded_images, grid, places))
        stitched, alone = known.split(keras.tree.flatten(outputs))
        if writers is None:
            writers = [
                InPlaceWriter(batch, patches, grid, scale, blend)
                for patches, scale in zip(stitched, scales, strict=True)
            ]
        for writer, patches in zip(writers, stitched, strict=True):
            writer.write(patches, places)
        chunks.append(alone)
    images = [writer.finish() for writer in writers]
    alone = [ops.concatenate(each) for each in zip(*chunks, strict=True)]
    return known.merge(images, [_as_grid(each, batch, grid) for each in alone])


def _cut(padded_images, grid, places):
    """Cut patches where their numbers are no tensors."""
    height, width = grid.patch_size
    patches = []
    for image, index in places:
        y = grid.y_axis.origin(index // grid.cols)
        x = grid.x_axis.origin(index % grid.cols)
        patches.append(padded_images[image, y : y + height, x : x + width])
    return ops.stack(patches)


def _as_grid(outputs, batch, grid):
    """Give outputs that are not stitched the axes of the grid."""
    shape = batch, grid.rows, grid.cols, *outputs.shape[1:]
    return ops.reshape(outputs, shape)
