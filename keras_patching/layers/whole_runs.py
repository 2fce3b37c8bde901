"""Runs a patch model on images as a whole: row by row, or in one go.

Images, and outputs that are stitched, are channels-last here.
"""

import numbers

from keras import ops

from keras_patching.layers.patch_run import run_at_once, run_in_chunks
from keras_patching.ops.patches import crop_to_image


def run_streamed(run, padded_images, grid, known, blend, at_once):
    """Run rows through a patch model, strip by strip.

    Args:
        run, padded_images, grid, known, blend: As for `run_at_once`; `run`
            streams the rows of strips, which are the patches of `grid`.
        at_once: Most strips that are run together; `None` for all.

    Returns:
        As `run_at_once`.
    """
    if _is_one(grid.num_patches) and (
        at_once is None or _is_at_most(padded_images.shape[0], at_once)
    ):
        return run_whole(run, padded_images, grid, known)
    how = grid, known, blend
    if at_once is None:
        return run_at_once(run, padded_images, *how)
    return run_in_chunks(run, padded_images, *how, at_once)


def run_whole(run, padded_images, grid, known):
    """Run a patch model on images that are one patch each.

    Args:
        run, padded_images, grid, known: As for `run_at_once`.

    Returns:
        As `run` does, without what was padded.
    """
    return known.map(
        lambda scale, output: crop_to_image(output, grid.image_size, scale),
        run(padded_images),
    )


def with_known_channels(padded_images, grid):
    """Tell a graph the shape of images, as far as it can be known."""
    shape = ops.shape(padded_images)[0], *grid.padded_size
    return ops.reshape(padded_images, (*shape, padded_images.shape[-1]))


def _is_at_most(count, most):
    are_known = isinstance(count, int) and isinstance(most, int)
    return are_known and count <= most


def _is_one(count):
    return isinstance(count, numbers.Integral) and count == 1
