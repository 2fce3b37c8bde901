"""Images of many sizes through one compiled step, band by band, in lanes.

A lane holds one image and the rows that layers keep of it; lanes are run side
by side. One that is done takes the next image, whatever its height. Narrower
images than a lane is wide lie at its left.
"""

import collections
import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
from keras import ops

from keras_patching.geometry import round_up
from keras_patching.ops.patches import dtype_with, scaled_length
from keras_patching.prediction.image_job import ImageJob
from keras_patching.prediction.kept_rows import PLACE, KeptRows
from keras_patching.prediction.lane_steps import numpy_dtype

# Images that are looked at to find one that fits a free lane, per lane.
_LOOK_AHEAD = 4


@dataclasses.dataclass
class _Lane:
    """An image in a lane.

    Attributes:
        job: Its job.
        kept: `KeptRows` of it.
        bands: Iterator of bands: of the first row, and whether the lane begins
            anew with it.
        band: The next of these; `None` after the last.
    """

    job: ImageJob
    kept: KeptRows
    bands: Iterator
    band: tuple | None = None

    def __post_init__(self):
        self.go_on()

    def go_on(self):
        """Find out which band is the next."""
        self.band = next(self.bands, None)
        if self.job.error is not None:
            self.band = None


@dataclasses.dataclass(frozen=True)
class _Batch:
    """A band of each lane.

    Attributes:
        step: What computes it.
        bands: For each lane its `_Lane` and the first row of the band, or
            `None`.
        ended: Jobs that have no more bands.
        arguments: Of the step; `None` where there is nothing to compute.
    """

    step: Any
    bands: list
    ended: list[ImageJob]
    arguments: tuple | None


class RowLanes:
    """Predicts images of many sizes by streaming their rows.

    Args:
        steps: Has `choose(size, dtype)`, which gives the `LaneStep` for an
            image, and `halve()`, as here.
        stride: `(height, width)` of the patch model.
        scales: Of its outputs: pixels per pixel of the image.
        specs: Of the outputs of a step, `keras.KerasTensor` in a list.
        pad_value: Of what is beyond the image, up to a multiple of `stride`.
        reach: Rows above a band that its results depend on.
    """

    def __init__(self, steps, stride, scales, specs, pad_value, reach):
        self._steps, self._stride = steps, stride
        self._scales, self._specs = scales, specs
        self._pad_value, self._reach = pad_value, reach

    def halve(self):
        """Take half the rows at once from now on.

        Returns:
            What tells the user so, or `None` where that cannot be.
        """
        return self._steps.halve()

    def batches(self, jobs):
        """Read bands of all images.

        Args:
            jobs: Iterable of `ImageJob`.

        Yields:
            What `run` takes.
        """
        waiting = _Waiting(iter(jobs), self._steps.choose)
        while not waiting.is_at_end:
            step = waiting.next_step()
            if step is None:
                yield None
            else:
                yield from self._batches_of(step, waiting)

    def _batches_of(self, step, waiting):
        """Read bands until all lanes of a step are empty."""
        lanes = [None] * step.count
        while True:
            for index in range(step.count):
                while lanes[index] is None and (job := waiting.take(step)):
                    lanes[index] = self._enter(job, step.stream)
                    if lanes[index].band is None:
                        # There is nothing to compute.
                        yield _Batch(step, [], [job], None)
                        lanes[index] = None
            if not any(lanes):
                return
            yield self._read(lanes, step)
            lanes = [lane if lane and lane.band else None for lane in lanes]

    def _enter(self, job, stream):
        """Put an image into a lane."""
        job.begin(self._scales)
        kept = KeptRows(job, stream.rows, self._stride[0], self._reach)
        return _Lane(job, kept, self._bands(job, kept, stream))

    def _bands(self, job, kept, stream):
        """Yield the bands of an image that are run.

        Above what is to be done, and where enough rows with nothing in them
        follow one another, the lane leaves out rows, and begins anew so far
        above the next that these are as if it had not.
        """
        height, rows = job.size[0], stream.rows
        y = max(job.rows_done - self._reach, 0) // rows * rows
        is_first = True
        for start, stop in kept.places():
            first = max(start - self._reach, 0) // rows * rows
            if first > y:
                job.skip(y, (first - y) / height)
                y, is_first = first, True
            last = stream.count_steps(round_up(stop, self._stride[0])) * rows
            while y < last:
                yield y, is_first
                y, is_first = y + rows, False
        if y < height:
            job.skip(y, (height - y) / height)

    def _read(self, lanes, step):
        rows, width = step.stream.rows, step.width
        bands, ended, blocks, numbers = [], [], [], []
        for lane in lanes:
            if lane is None:
                bands.append(None)
                blocks.append(None)
                # It runs a small image, and nobody looks.
                numbers.append((False, 0, *self._stride))
                continue
            y, is_first = lane.band
            blocks.append(self._read_band(lane, y, rows, width))
            bands.append((lane, y))
            numbers.append((is_first, y, *self._padded(lane.job.size)))
            lane.kept.look_to(y + rows)
            lane.go_on()
            if lane.band is None:
                ended.append(lane.job)
        return _Batch(step, bands, ended, _arguments(blocks, numbers))

    def _padded(self, size):
        return [
            round_up(length, stride)
            for length, stride in zip(size, self._stride, strict=True)
        ]

    def _read_band(self, lane, y, rows, width):
        """Read a band; zeros of an image that is not read on."""
        job = lane.job
        height, own_width, channels = job.source.shape
        dtype = dtype_with(job.source.dtype, self._pad_value)
        count = min(max(height - y, 0), rows)
        found = lane.kept.read(y, count) if count else None
        if count == rows and own_width == width and found is not None:
            return found.astype(dtype, copy=False)
        band = np.zeros((rows, width, channels), dtype)
        inside = band[: max(round_up(height, self._stride[0]) - y, 0)]
        inside[:, : round_up(own_width, self._stride[1])] = self._pad_value
        if found is not None:
            band[:count, :own_width] = found
        return band

    def run(self, batch):
        """Compute a batch."""
        if batch.arguments is None:
            return []
        return batch.step.run(*batch.arguments)

    def write(self, batch, outputs):
        """Hand the rows on that are results, and yield the jobs that end."""
        made = [ops.convert_to_numpy(output) for output in outputs]
        for number, band in enumerate(batch.bands):
            if band is not None:
                for index, output in enumerate(made):
                    rows = output[number, 0]
                    self._add(*band, index, rows, batch.step.stream)
        for job in batch.ended:
            for index in range(len(self._scales)):
                self._fill(job, index, self._size_of(job, index)[0])
            job.finish()
            yield job

    def _size_of(self, job, index):
        """Give the size of an output of an image."""
        return [
            scaled_length(length, self._scales[index]) for length in job.size
        ]

    def _add(self, lane, y, index, rows, stream):
        """Hand the rows of one output on that are not done yet."""
        job, output = lane.job, stream.outputs[index]
        height, width = self._size_of(job, index)
        first = y // stream.rows * output.rows - output.lag
        start = max(first, job.given(index))
        stop = min(first + output.rows, height)
        if start < stop and job.error is None:
            self._fill(job, index, start)
            empty = lane.kept.empty(start, stop, self._scales[index])
            job.add(index, rows[start - first : stop - first, :width], empty)

    def _fill(self, job, index, stop):
        """Hand rows on up to one, where what is kept begins or the end is."""
        _, width = self._size_of(job, index)
        spec = self._specs[index]
        while job.error is None and (start := job.given(index)) < stop:
            count = min(stop - start, PLACE)
            band = np.zeros(
                (count, width, *spec.shape[3:]), numpy_dtype(spec.dtype)
            )
            job.add(index, band, np.ones(count, bool))


def _arguments(blocks, numbers):
    """Make the arguments of a step, of what is of each lane."""
    some = next(block for block in blocks if block is not None)
    blocks = [np.zeros_like(some) if b is None else b for b in blocks]
    batch = blocks[0][None] if len(blocks) == 1 else np.stack(blocks)
    is_first, first_row, height, width = np.array(numbers, "int32").T
    return is_first.astype(bool), batch[:, None], first_row, height, width


class _Waiting:
    """Images whose turn has not come, some of them in sight."""

    def __init__(self, jobs, choose_step):
        self._jobs, self._choose_step = jobs, choose_step
        self._seen = collections.deque()
        self._are_all_seen = False

    @property
    def is_at_end(self):
        """Whether no image is left."""
        return self._are_all_seen and not self._seen

    def _look(self, count):
        while len(self._seen) < count and not self._are_all_seen:
            job = next(self._jobs, self)
            if job is None:
                break  # There is none now.
            if job is self:
                self._are_all_seen = True
                break
            step = self._choose_step(job.size, job.source.dtype)
            self._seen.append((step, job))

    def next_step(self):
        """Give the step that the next image needs; `None` if there is none."""
        self._look(1)
        return self._seen[0][0] if self._seen else None

    def take(self, step):
        """Take the next image in sight that fits a step, or `None`."""
        self._look(step.count * _LOOK_AHEAD if step.count > 1 else 1)
        for index, (needed, job) in enumerate(self._seen):
            if needed is step:
                del self._seen[index]
                return job
        return None
