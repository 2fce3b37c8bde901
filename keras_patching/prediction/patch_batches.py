"""Patches of several images in full batches, for nets that are not streamed.

Patches come in the order of the grids of the images. Where those of the next
image are of another size, the batch is filled up with copies of the last.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops

from keras_patching.geometry import pixel_for
from keras_patching.ops.patches import dtype_with
from keras_patching.prediction.patch_joining import (
    JoinedPatches,
    PatchOfOutputs,
)


@dataclasses.dataclass(frozen=True)
class _Batch:
    """Patches, and of which images they are.

    Attributes:
        patches: Array `(n, height, width, channels)`.
        images: Pairs of `JoinedPatches` and the number of its next patch here,
            `None` of one that is not run.
        ended: Jobs that have no more patches.
    """

    patches: np.ndarray
    images: list
    ended: list


class PatchBatches:
    """Predicts images of many sizes by their patches.

    Args:
        grid_of: Function from the size of an image to its `PatchGrid`.
        size_of_batch: Function from the size of patches, and a divisor, to how
            many make a batch, at least one.
        run: Compiled function from patches to a list of outputs.
        specs: Of the outputs of `run`, `keras.KerasTensor` in a list.
        scales: Of the outputs, see `PatchOutputs`; `None` of those that are
            not stitched.
        blend: As for `stitch_patches`.
        pad_value, pad_mode: Of what is beyond an image, as of
            `PatchedPredictor`.
        finish: Of bands, arrays `(rows, ...)` in a list with one of each
            output, where that is left to do after stitching.
    """

    def __init__(
        self,
        grid_of: Callable,
        size_of_batch: Callable,
        run: Callable,
        specs: list,
        scales: tuple,
        blend: str,
        pad_value: float,
        pad_mode: str,
        finish: Callable | None = None,
    ) -> None:
        self._grid_of, self._size_of_batch = grid_of, size_of_batch
        self._run, self._specs, self._scales = run, specs, scales
        self._blend, self._finish = blend, finish or list
        self._pad_value, self._pad_mode = pad_value, pad_mode
        self._divisor, self._patch_size = 1, None

    def halve(self):
        """Take half the patches at once from now on.

        Returns:
            What tells the user so, or `None` where that cannot be.
        """
        before, after = (
            self._size_of_batch(self._patch_size, divisor)
            for divisor in (self._divisor, self._divisor * 2)
        )
        if before == after:
            return None
        self._divisor *= 2
        return (
            f"The device has no memory left for batches of {before} patches. "
            f"They are tried again with {after}: pass `batch_size={after}` to "
            "begin with these."
        )

    def batches(self, jobs: Any) -> Any:
        """Cut the patches of all images.

        Args:
            jobs: Iterable of `ImageJob`.

        Yields:
            What `run` takes.
        """
        batch = _Filling(0)
        for job in jobs:
            if job is None:
                yield None
                continue
            image = self._begin(job)
            for patch in self._cut(image):
                if patch is None:
                    batch.skip(image)
                    continue
                if not batch.takes(patch):
                    yield from batch.close()
                    self._patch_size = patch.shape[:2]
                    size = self._size_of_batch(self._patch_size, self._divisor)
                    batch = _Filling(size)
                batch.add(patch, image)
            batch.end(job)
            if batch.is_full:  # The next image may let it wait.
                yield from batch.close()
                batch = _Filling(0)
        yield from batch.close()

    def _begin(self, job):
        job.begin(self._scales)
        grid = self._grid_of(job.size)
        height, done = grid.patch_size[0], job.rows_done
        first_row = 0
        while grid.y_axis.origin(first_row) + height <= done:
            first_row += 1
        # What is not stitched has no pixels to fill, but may be left out.
        may_skip = None not in self._scales or hasattr(job.result, "leave_out")
        skips = job.keep is not None and may_skip
        outputs = PatchOfOutputs(grid, self._specs, self._scales, self._blend)
        return JoinedPatches(job, outputs, first_row, skips, self._finish)

    def _cut(self, image):
        """Yield the patches of an image, row by row of its grid.

        In the place of one that is not run it is `None`.
        """
        job, grid = image.job, image.outputs.grid
        height, width = grid.patch_size
        origins = [grid.x_axis.origin(col) for col in range(grid.cols)]
        for row in range(image.first_row, grid.rows):
            y = grid.y_axis.origin(row)
            count = min(job.size[0] - y, height)
            found, kept = self._look(image, y, count, origins)
            if job.error is not None:
                return
            job.skip(row, kept.count(False) / grid.num_patches)
            if True in kept:
                strip = self._padded(found, job, grid, y)
                if strip is None:
                    return
            for x, is_kept in zip(origins, kept, strict=True):
                patch = strip[:, x : x + width] if is_kept else None
                # A few of a strip are not to hold all of it.
                yield patch.copy() if is_kept and image.skips else patch

    def _padded(self, found, job, grid, y):
        """Pad the rows of an image from `y` on to those of a patch.

        Returns:
            Array `(patch height, padded width, channels)`; `None` if rows that
            it takes cannot be read.
        """
        (height, _), (_, padded_width) = grid.patch_size, grid.padded_size
        if self._pad_mode == "constant":
            dtype = dtype_with(job.source.dtype, self._pad_value)
            shape = height, padded_width, job.source.shape[2]
            strip = np.full(shape, self._pad_value, dtype)
            strip[: len(found), : job.size[1]] = found
            return strip
        rows, columns = (
            pixel_for(indices, length, self._pad_mode, minimum=np.minimum)
            for indices, length in zip(
                (np.arange(y, y + height), np.arange(padded_width)),
                job.size,
                strict=True,
            )
        )
        first = int(rows.min())
        if first < y:  # What is mirrored lies above.
            above = job.read(first, y - first)
            if above is None:
                return None
            found = np.concatenate([above, found])
        return found[rows - first][:, columns]

    def _look(self, image, y, count, origins):
        """Read rows of an image, and tell which of their patches are run.

        Returns:
            The pixels, `None` where none are needed, and a list of booleans.
        """
        job, (_, patch) = image.job, image.outputs.grid.patch_size
        if not image.skips:
            return job.read(y, count), [True] * len(origins)
        pixels = job.read(y, count) if job.keep.looks else None
        is_kept = job.look(y, count, pixels)
        kept = [bool(is_kept(x, min(patch, job.size[1] - x))) for x in origins]
        if pixels is None and any(kept):
            pixels = job.read(y, count)
        return pixels, kept

    def run(self, batch):
        """Compute a batch."""
        return [] if batch.patches is None else self._run(batch.patches)

    def write(self, batch, outputs):
        """Hand the rows on that are results, and yield the jobs that end."""
        outputs = [ops.convert_to_numpy(output) for output in outputs]
        for image, number in batch.images:
            if image.job.error is not None:
                continue
            if number is None:
                image.skip()
            else:
                image.add([output[number] for output in outputs])
        for job in batch.ended:
            job.finish()
            yield job


class _Filling:
    """A batch of patches that is being filled."""

    def __init__(self, size):
        self._size = size
        self._patches, self._images, self._ended = [], [], []

    @property
    def is_full(self):
        return len(self._patches) >= self._size

    def takes(self, patch):
        """Whether a patch may be in the same batch."""
        if self.is_full:
            return False
        return not self._patches or _kind(self._patches[0]) == _kind(patch)

    def add(self, patch, image):
        self._images.append((image, len(self._patches)))
        self._patches.append(patch)

    def skip(self, image):
        """Note that a patch of an image is not run."""
        self._images.append((image, None))

    def end(self, job):
        """Note that all patches of an image are there."""
        self._ended.append(job)

    def close(self):
        """Yield the batch, if there is anything in it, and begin anew."""
        if self._images or self._ended:
            missing = self._size - len(self._patches)
            patches = self._patches + self._patches[-1:] * missing
            stacked = np.stack(patches) if patches else None
            yield _Batch(stacked, self._images, self._ended)
        self._patches, self._images, self._ended = [], [], []


def _kind(patch):
    return patch.shape, patch.dtype
