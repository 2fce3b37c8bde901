"""Runs a patch model over the patches of images, and stitches its outputs.

Images, and outputs that are stitched, are channels-last here.
"""

import dataclasses
from typing import Any

import keras
from keras import ops

from keras_patching.layers.patch_loops import write_in_place, write_in_scan
from keras_patching.ops.chunks import map_chunks
from keras_patching.ops.lengths import maximum
from keras_patching.ops.patches import (
    extract_patches,
    scaled_length,
    slice_patches,
    stitch_columns,
    stitch_rows,
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
        patch_size: `(height, width)` of that patch.
    """

    spec: Any
    scales: tuple
    patch_size: tuple[int, int] | None = None

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

    def split(self, outputs):
        """Tell what is stitched from what is not.

        Args:
            outputs: List of what there is one of for each output.

        Returns:
            Two lists.
        """
        pairs = list(zip(self.scales, outputs, strict=True))
        return (
            [output for scale, output in pairs if scale is not None],
            [output for scale, output in pairs if scale is None],
        )

    def merge(self, stitched, alone):
        """Make a structure like `spec` of the lists that `split` gives."""
        stitched, alone = iter(stitched), iter(alone)
        flat = [
            next(alone if scale is None else stitched) for scale in self.scales
        ]
        return keras.tree.pack_sequence_as(self.spec, flat)


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
    if _is_free_of_gradients():
        everything = ops.shape(padded_images)[0] * grid.num_patches
        return write_in_place(
            run, padded_images, grid, known, blend, everything
        )
    return run_without_loops(run, padded_images, grid, known, blend)


def run_without_loops(run, padded_images, grid, known, blend):
    """As `run_at_once`, in a graph that every format and backend can hold."""
    patches = extract_patches(padded_images, grid)
    patches = ops.reshape(patches, (-1, *ops.shape(patches)[3:]))
    strips = _join_columns(run(patches), grid, known, blend)
    batch = ops.shape(padded_images)[0]
    return _join_rows(strips, batch, grid, known, blend)


def _is_free_of_gradients():
    """Whether torch may write in place, which is faster, at no cost."""
    if keras.backend.backend() != "torch":
        return False
    import torch

    return not torch.is_grad_enabled()


def run_in_chunks(run, padded_images, grid, known, blend, chunk_size):
    """Run and stitch a few patches after the other, so that few exist at once.

    Args:
        run, padded_images, grid, known, blend: As for `run_at_once`. What
            `run` changes must not leave it: it is called in a loop.
        chunk_size: Most patches that it takes, of any rows and images.

    Returns:
        As `run_at_once`.
    """
    loops = {"jax": write_in_scan, "torch": write_in_place}
    loop = loops.get(keras.backend.backend(), _stitch_rows_of_chunks)
    return loop(run, padded_images, grid, known, blend, chunk_size)


def _stitch_rows_of_chunks(run, padded_images, grid, known, blend, chunk_size):
    """Stitch some rows of patches after the other, on any backend."""
    batch = ops.shape(padded_images)[0]

    def run_rows(rows):
        """Run rows of patches, counted over all images."""

        def run_chunk(numbers):
            row = ops.take(rows, numbers // grid.cols)
            patches = slice_patches(
                padded_images,
                grid,
                row // grid.rows,
                row % grid.rows * grid.cols + numbers % grid.cols,
            )
            return run(patches)

        count = ops.shape(rows)[0] * grid.cols
        outputs = map_chunks(run_chunk, count, chunk_size)
        return _join_columns(outputs, grid, known, blend)

    rows_of_chunk = maximum(chunk_size // grid.cols, 1)
    strips = map_chunks(run_rows, batch * grid.rows, rows_of_chunk)
    return _join_rows(strips, batch, grid, known, blend)


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


def add_grid(scale, output):
    """Give one output that is not stitched the axes of a grid of one patch."""
    if scale is not None:
        return output
    return ops.expand_dims(ops.expand_dims(output, 1), 1)


def fold_grid(scale, output):
    """Fold rows and columns of one output that is not stitched into a batch."""
    if scale is not None:
        return output
    return ops.reshape(output, (-1, *output.shape[3:]))


def output_shape(patch_shape, scale, batch, image_size, rows_and_cols):
    """Tell the shape of one output for images, where a patch model is run.

    Args:
        patch_shape: That of the output for a batch of patches.
        scale: As in `PatchOutputs`.
        batch: Number of images; `None` if it is not known.
        image_size: `(height, width)` in pixels, with `None` in it likewise.
        rows_and_cols: Of patches, with `None` in it likewise.

    Returns:
        Tuple.
    """
    if scale is None:
        return (batch, *rows_and_cols, *patch_shape[1:])
    height, width = (
        length and scaled_length(length, scale) for length in image_size
    )
    return batch, height, width, patch_shape[3]
