"""Runs a patch model over the patches of images, and stitches its outputs.

Images, and outputs that are stitched, are channels-last here.
"""

import dataclasses
from typing import Any

import keras
from keras import ops

from keras_patching.ops.chunks import map_chunks
from keras_patching.ops.patches import (
    extract_patches,
    scaled_length,
    slice_patches,
    stitch_columns,
    stitch_rows,
    write_row,
)


@dataclasses.dataclass(frozen=True)
class PatchOutputs:
    """What is known of the outputs of a patch model before it runs.

    Attributes:
        spec: What it gives for a batch of one patch: a `keras.KerasTensor`,
            or a list or dict of them.
        scales: For each output, as `keras.tree.flatten` orders them, pixels
            of it per pixel of the patch: `(numerator, denominator)`, or
            `None` if it is not stitched.
    """

    spec: Any
    scales: tuple

    def map(self, function, *outputs):
        """Apply a function to the outputs, one after the other.

        Args:
            function: Takes a scale and one output of each structure.
            *outputs: Structures of tensors, all like `spec`.

        Returns:
            A structure like them of what the function returned.
        """
        flat = map(keras.tree.flatten, outputs)
        mapped = [
            function(*each) for each in zip(self.scales, *flat, strict=True)
        ]
        return keras.tree.pack_sequence_as(outputs[0], mapped)

    def map_stitched(self, function, outputs):
        """Apply a function to those outputs only that are stitched."""
        return self.map(
            lambda scale, output: output if scale is None else function(output),
            outputs,
        )


def run_at_once(run, padded_images, grid, known, blend):
    """Run a patch model on all patches of images as one batch.

    Args:
        run: Takes patches `(n, height, width, channels)`, returns a tensor or
            a structure of tensors `(n, ...)`.
        padded_images: Tensor of shape `(batch, height, width, channels)`, as
            `pad_to_grid` returns it.
        grid: `PatchGrid` of the images before padding.
        known: `PatchOutputs` of what `run` returns.
        blend: As for `stitch_patches`.

    Returns:
        A structure like that which `run` returns: images
        `(batch, height, width, channels)` of what is stitched, else
        `(batch, rows, cols, *output of a patch)`.
    """
    patches = extract_patches(padded_images, grid)
    patches = ops.reshape(patches, (-1, *ops.shape(patches)[3:]))
    strips = _join_columns(run(patches), grid, known, blend)
    batch = ops.shape(padded_images)[0]
    return _join_rows(strips, batch, grid, known, blend)


def run_row_by_row(run, padded_images, grid, known, blend, chunk_size):
    """Stitch one row after the other, so that few patches exist at once.

    Args:
        run, padded_images, grid, known, blend: As for `run_at_once`. What
            `run` changes must not leave it: it is called in a loop.
        chunk_size: Most patches that it takes, all of one row.

    Returns:
        As `run_at_once`.
    """
    batch = ops.shape(padded_images)[0]
    indices = ops.arange(batch * grid.rows, dtype="int32")

    def make_strip(index):
        """Run a row of patches, counted over all images."""

        def run_chunk(cols):
            patches = slice_patches(
                padded_images,
                grid,
                index // grid.rows + 0 * cols,
                index % grid.rows * grid.cols + cols,
            )
            return run(patches)

        outputs = map_chunks(run_chunk, grid.cols, chunk_size)
        return _join_columns(outputs, grid, known, blend)

    is_on_jax = keras.backend.backend() == "jax"
    if is_on_jax and blend == "crop" and None not in known.scales:
        return _write_rows(make_strip, indices, batch, grid, known)

    def make_one(index):
        return keras.tree.map_structure(lambda x: x[0], make_strip(index))

    return _join_rows(ops.map(make_one, indices), batch, grid, known, blend)


def _join_columns(outputs, grid, known, blend):
    """Make strips as wide as the image of outputs in rows of patches.

    What is not stitched gets an axis for the columns.
    """

    def join(scale, output):
        shape = (-1, grid.cols, *ops.shape(output)[1:])
        patches = ops.reshape(output, shape)
        if scale is None:
            return patches
        return stitch_columns(patches, grid, scale, blend)

    return known.map(join, outputs)


def _join_rows(strips, batch, grid, known, blend):
    """Make images of strips, or a grid of what is not stitched."""

    def join(scale, strip):
        shape = (batch, grid.rows, *ops.shape(strip)[1:])
        rows = ops.reshape(strip, shape)
        if scale is None:
            return rows
        return stitch_rows(rows, grid, scale, blend)

    return known.map(join, strips)


def _write_rows(make_strip, indices, batch, grid, known):
    """Stitch in place, as jax does with what a loop carries on."""

    def blank(scale, spec):
        lengths = (scaled_length(each, scale) for each in grid.image_size)
        return ops.zeros((batch, *lengths, spec.shape[3]), spec.dtype)

    def write(stitched, index):
        def write_one(scale, image, strip):
            # Of images in another float than the patch model's, a layer may
            # return what its spec does not say.
            strip = ops.cast(strip, image.dtype)
            return write_row(image, strip, grid, index, scale)

        return known.map(write_one, stitched, make_strip(index)), None

    stitched, _ = ops.scan(write, known.map(blank, known.spec), indices)
    return stitched


def add_grid(scale, output):
    """Give one output that is not stitched the axes of a grid of one patch."""
    if scale is not None:
        return output
    return ops.expand_dims(ops.expand_dims(output, 1), 1)
