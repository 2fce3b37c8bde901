"""Runs a patch model over the patches of images, and stitches its outputs."""

import keras
from keras import ops

from keras_patching.ops.chunks import map_chunks
from keras_patching.ops.data_formats import from_channels_last, to_channels_last
from keras_patching.ops.patches import (
    extract_patches,
    pad_to_grid,
    scaled_length,
    slice_patches,
    stitch_columns,
    stitch_rows,
    write_row,
)


class PatchRun:
    """One call of a patch model for all patches of a batch of images.

    A strip is a row of patches that are stitched, as wide as the image.

    Args:
        run: Takes patches `(n, height, width, channels)`, and in a loop the
            values of the patch model's variables. Returns outputs, and for
            each its scale, or None if it is not stitched.
        grid: `PatchGrid` of the images.
        blend, pad_value, data_format: As for `PatchedPredictor`.

    Attributes:
        scales: Those of the outputs, once the patch model has run.
    """

    def __init__(self, run, grid, *, blend, pad_value, data_format):
        self._run = run
        self._grid = grid
        self._blend = blend
        self._pad_value = pad_value
        self._data_format = data_format
        self.scales = ()

    def at_once(self, images):
        """Run all patches as one batch.

        Args:
            images: Tensor of shape `(batch, height, width, channels)`.

        Returns:
            Outputs, as `PatchedPredictor` describes them.
        """
        patches = extract_patches(images, self._grid, self._pad_value)
        patches = ops.reshape(patches, (-1, *ops.shape(patches)[3:]))
        outputs, self.scales = self._run(patches)
        return self._join_rows(self._join_columns(outputs), images)

    def row_by_row(self, images, chunk_size, values):
        """Stitch one row after the other, so that few patches exist at once.

        Args:
            images: Tensor of shape `(batch, height, width, channels)`.
            chunk_size: Most patches in a forward pass.
            values: What `run` takes in a loop.

        Returns:
            Outputs, as `PatchedPredictor` describes them.
        """
        padded = pad_to_grid(images, self._grid, self._pad_value)
        rows = ops.shape(images)[0] * self._grid.rows
        indices = ops.arange(rows, dtype="int32")

        def make_strip(index):
            return self._make_strip(padded, index, chunk_size, values)

        if keras.backend.backend() == "jax" and self._blend == "crop":
            strips = _trace(make_strip, indices[0])
            if None not in self.scales:
                return self._write_rows(make_strip, indices, strips, images)

        def make_one(index):
            return keras.tree.map_structure(lambda x: x[0], make_strip(index))

        return self._join_rows(ops.map(make_one, indices), images)

    def _make_strip(self, padded, index, chunk_size, values):
        """Run a row of patches, counted over all images, in chunks."""
        grid = self._grid

        def run_chunk(cols):
            patches = slice_patches(
                padded,
                grid,
                index // grid.rows + 0 * cols,
                index % grid.rows * grid.cols + cols,
            )
            outputs, self.scales = self._run(patches, values)
            return outputs

        return self._join_columns(map_chunks(run_chunk, grid.cols, chunk_size))

    def _join_columns(self, outputs):
        """Make strips, or rows of outputs, of outputs in rows of patches."""

        def join(scale, output):
            if scale is not None:
                output = to_channels_last(output, self._data_format)
            shape = (-1, self._grid.cols, *ops.shape(output)[1:])
            patches = ops.reshape(output, shape)
            if scale is None:
                return patches
            return stitch_columns(patches, self._grid, scale, self._blend)

        return map_outputs(join, self.scales, outputs)

    def _join_rows(self, strips, images):
        """Make images of strips, or a grid of outputs."""

        def join(scale, strip):
            sizes = ops.shape(strip)[1:]
            shape = (ops.shape(images)[0], self._grid.rows, *sizes)
            rows = ops.reshape(strip, shape)
            if scale is None:
                return rows
            stitched = stitch_rows(rows, self._grid, scale, self._blend)
            return from_channels_last(stitched, self._data_format)

        return map_outputs(join, self.scales, strips)

    def _write_rows(self, make_strip, indices, strips, images):
        """Stitch in place, as jax does with what a loop carries on."""
        grid, scales = self._grid, self.scales

        def blank(scale, strip):
            lengths = (scaled_length(each, scale) for each in grid.image_size)
            shape = ops.shape(images)[0], *lengths, strip.shape[3]
            return ops.zeros(shape, strip.dtype)

        def write(stitched, index):
            def write_one(scale, image, strip):
                return write_row(image, strip, grid, index, scale)

            strips = make_strip(index)
            return map_outputs(write_one, scales, stitched, strips), None

        blanks = map_outputs(blank, scales, strips)
        stitched, _ = ops.scan(write, blanks, indices)
        return keras.tree.map_structure(
            lambda image: from_channels_last(image, self._data_format),
            stitched,
        )


def map_outputs(function, scales, *outputs):
    """Apply a function to the outputs of a patch model, one after the other.

    Args:
        function: Takes a scale and one output of each structure.
        scales: For each output its scale, or None if it is not stitched.
        *outputs: Structures of tensors, all alike.

    Returns:
        A structure like them of what the function returned.
    """
    flat = map(keras.tree.flatten, outputs)
    mapped = [
        function(*arguments) for arguments in zip(scales, *flat, strict=True)
    ]
    return keras.tree.pack_sequence_as(outputs[0], mapped)


def add_grid(scale, output):
    """Give one output that is not stitched the axes of a grid of one patch."""
    if scale is not None:
        return output
    return ops.expand_dims(ops.expand_dims(output, 1), 1)


def _trace(function, value):
    """Tell shapes and dtypes of what a function returns, on jax."""
    import jax

    return jax.eval_shape(function, value)
