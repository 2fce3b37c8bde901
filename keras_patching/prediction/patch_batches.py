"""Patches of several images in full batches, for nets that are not streamed.

Patches come in the order of the grids of the images. Where those of the next
image are of another size, the batch is filled up with copies of the last.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops

from keras_patching.geometry import PatchGrid
from keras_patching.ops.patches import dtype_with, scaled_length
from keras_patching.prediction.band_stitching import BandStitcher
from keras_patching.prediction.image_job import ImageJob


@dataclasses.dataclass
class _Cutting:
    """An image whose patches are cut, and whose results are put together.

    Attributes:
        grid: Its `PatchGrid`.
        first_row: First row of the grid that is run; what those above make is
            there already.
        joiners: One for each output: has `add(patch)`, which gives bands.
        rows: Of each output, how many have been made.
    """

    job: ImageJob
    grid: PatchGrid
    first_row: int
    joiners: list = dataclasses.field(default_factory=list)
    rows: list = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class _Batch:
    """Patches, and of which images they are.

    Attributes:
        patches: Array `(n, height, width, channels)`.
        images: `_Cutting` of each patch; of those that fill up the batch none.
        ended: Jobs that have no more patches.
    """

    patches: np.ndarray
    images: list
    ended: list


class PatchBatches:
    """Predicts images of many sizes by their patches.

    Args:
        grid_of: Function from the size of an image to its `PatchGrid`.
        size_of_batch: Function from the size of patches to how many make a
            batch.
        run: Compiled function from patches to a list of outputs.
        scales: Of the outputs, see `PatchOutputs`; `None` of those that are
            not stitched.
        blend: As for `stitch_patches`.
        pad_value: Of what is beyond an image.
        finish: Of bands, arrays `(rows, ...)` in a list with one of each
            output, where that is left to do after stitching.
    """

    def __init__(
        self,
        grid_of: Callable,
        size_of_batch: Callable,
        run: Callable,
        scales: tuple,
        blend: str,
        pad_value: float,
        finish: Callable | None = None,
    ) -> None:
        self._grid_of, self._size_of_batch = grid_of, size_of_batch
        self._run, self._scales = run, scales
        self._blend, self._pad_value = blend, pad_value
        self._finish = finish or list

    def batches(self, jobs: Any) -> Any:
        """Cut the patches of all images.

        Args:
            jobs: Iterable of `ImageJob`.

        Yields:
            What `run` takes.
        """
        batch = _Filling(0)
        for job in jobs:
            image = self._begin(job)
            for patch in self._cut(image):
                if not batch.takes(patch):
                    yield from batch.close()
                    batch = _Filling(self._size_of_batch(patch.shape[:2]))
                batch.add(patch, image)
            batch.end(job)
            if batch.is_full:  # The next image may let it wait.
                yield from batch.close()
                batch = _Filling(0)
        yield from batch.close()

    def _begin(self, job):
        grid = self._grid_of(job.size)
        height, done = grid.patch_size[0], job.rows_done
        first_row = 0
        while grid.y_axis.origin(first_row) + height <= done:
            first_row += 1
        return _Cutting(job, grid, first_row)

    def _cut(self, image):
        """Yield the patches of an image, row by row of its grid."""
        job, grid = image.job, image.grid
        dtype = dtype_with(job.source.dtype, self._pad_value)
        height, width = grid.patch_size
        shape = height, grid.padded_size[1], job.source.shape[2]
        for row in range(image.first_row, grid.rows):
            y = grid.y_axis.origin(row)
            count = min(job.size[0] - y, height)
            found = job.read(y, count)
            if found is None:
                return
            strip = np.full(shape, self._pad_value, dtype)
            strip[:count, : job.size[1]] = found
            for col in range(grid.cols):
                x = grid.x_axis.origin(col)
                yield strip[:, x : x + width]

    def run(self, batch):
        """Compute a batch."""
        return [] if batch.patches is None else self._run(batch.patches)

    def write(self, batch, outputs):
        """Hand the rows on that are results, and yield the jobs that end."""
        outputs = [ops.convert_to_numpy(output) for output in outputs]
        for number, image in enumerate(batch.images):
            if image.job.error is None:
                self._join(image, [output[number] for output in outputs])
        for job in batch.ended:
            job.finish()
            yield job

    def _join(self, image, outputs):
        """Hand the rows on that one more patch makes whole."""
        if not image.joiners:
            self._begin_joining(image, outputs)
        made = [
            joiner.add(output)
            for joiner, output in zip(image.joiners, outputs, strict=True)
        ]
        for bands in zip(*made, strict=True):
            for index, band in enumerate(self._finish(list(bands))):
                self._add(image, index, band)

    def _begin_joining(self, image, outputs):
        for scale, output in zip(self._scales, outputs, strict=True):
            joiner, rows = self._joiner(image.grid, scale), 0
            for _ in range(image.first_row * image.grid.cols):
                # In the place of what is there already.
                rows += sum(map(len, joiner.add(np.zeros_like(output))))
            image.joiners.append(joiner)
            image.rows.append(rows)

    def _joiner(self, grid, scale):
        if scale is None:
            return GridRows(grid.cols)
        return BandStitcher(grid, scale, self._blend)

    def _add(self, image, index, band):
        """Hand the rows on that are not done yet."""
        done, scale = image.job.rows_done, self._scales[index]
        if scale is not None:
            done = scaled_length(done, scale)
        missing = max(done - image.rows[index], 0)
        image.rows[index] += len(band)
        if missing < len(band):
            image.job.add(index, band[missing:])


class GridRows:
    """Puts what is not stitched together, a row of the grid at a time.

    Args:
        cols: Patches of a row.
    """

    def __init__(self, cols):
        self._cols, self._row = cols, []

    def add(self, output):
        """Take the output of the next patch.

        Returns:
            List of rows of the grid that are whole: arrays `(1, cols, ...)`.
        """
        self._row.append(output)
        if len(self._row) < self._cols:
            return []
        row, self._row = np.stack(self._row)[None], []
        return [row]


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
        self._patches.append(patch)
        self._images.append(image)

    def end(self, job):
        """Note that all patches of an image are there."""
        self._ended.append(job)

    def close(self):
        """Yield the batch, if there is anything in it, and begin anew."""
        if self._patches or self._ended:
            missing = self._size - len(self._patches)
            patches = self._patches + self._patches[-1:] * missing
            stacked = np.stack(patches) if patches else None
            yield _Batch(stacked, self._images, self._ended)
        self._patches, self._images, self._ended = [], [], []


def _kind(patch):
    return patch.shape, patch.dtype
