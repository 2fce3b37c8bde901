"""Images of many sizes through one compiled step, band by band, in lanes.

A lane holds one image and the rows that layers keep of it; lanes are run side
by side. One that is done takes the next image, whatever its height. Narrower
images than a lane is wide lie at its left.
"""

import collections
import dataclasses
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_patching.geometry import round_up
from keras_patching.ops.patches import dtype_with, scaled_length
from keras_patching.prediction.image_job import ImageJob

# Images that are looked at to find one that fits a free lane, per lane.
_LOOK_AHEAD = 4


@dataclasses.dataclass
class _Lane:
    """An image in a lane, its first band, the next one, and where they end."""

    job: ImageJob
    start: int
    y: int
    stop: int

    @property
    def is_first(self):
        return self.y == self.start

    def next_band(self, rows):
        """Go on to the next band; whether there is one."""
        self.y += rows
        return self.y < self.stop


@dataclasses.dataclass(frozen=True)
class _Batch:
    """A band of each lane.

    Attributes:
        step: What computes it.
        bands: For each lane its job and the first row of the band, or `None`.
        ended: Jobs that have no more bands.
        arguments: Of the step.
    """

    step: Any
    bands: list
    ended: list[ImageJob]
    arguments: tuple


class LaneFunction:
    """The step of some lanes, a function of what they keep.

    Args:
        stream: `RowStream`.
        count: Number of lanes; more than one on jax only.
        transform: Of the outputs of a band, in the graph.
        structure: What the patch model returns.
    """

    def __init__(self, stream, count, transform, structure):
        self.stream, self.count = stream, count
        self._transform, self._structure = transform, structure

    def __call__(self, state, is_first, rows, first_row, height, width):
        """Run a band of each lane.

        Args:
            state: What is kept.
            is_first, first_row, height, width: Tensors `(lanes,)`.
            rows: Tensor `(lanes, 1, rows, width, channels)`.

        Returns:
            List of the outputs, `(lanes, 1, ...)`, and the new state.
        """
        arguments = is_first, rows, first_row, height, width
        if self.count == 1:
            outputs, state = self._run(state, *(each[0] for each in arguments))
            return [output[None] for output in outputs], state
        import jax

        return jax.vmap(self._run)(state, *arguments)

    def _run(self, state, is_first, rows, first_row, height, width):
        specs = self.stream.state_specs(1, rows.shape[2])
        state = [
            ops.where(is_first, ops.cast(value, dtype), kept)
            for kept, (_, dtype, value) in zip(state, specs, strict=True)
        ]
        outputs, state = self.stream.step(state, rows, first_row, height, width)
        outputs = keras.tree.pack_sequence_as(self._structure, outputs)
        return keras.tree.flatten(self._transform(outputs)), state

    def blank_state(self, width):
        """Return zeros in the place of what is kept, for lanes of a width.

        As arrays of numpy they cost jax no compilation.
        """
        lanes = () if self.count == 1 else (self.count,)
        return [
            np.zeros((*lanes, *shape), _numpy_dtype(dtype))
            for shape, dtype, _ in self.stream.state_specs(1, width)
        ]


class LaneStep:
    """Lanes of one width, which are run side by side.

    Args:
        function: Their `LaneFunction`.
        compiled: The same, compiled.
        width: In pixels.
    """

    def __init__(self, function, compiled, width):
        self.stream, self.count = function.stream, function.count
        self.width = width
        self._compiled = compiled
        self._state = function.blank_state(width)

    def run(self, *arguments):
        """Run a band of each lane; as `LaneFunction`, without the state."""
        outputs, self._state = self._compiled(self._state, *arguments)
        return outputs


class RowLanes:
    """Predicts images of many sizes by streaming their rows.

    Args:
        choose_step: Function from width and dtype of an image to `LaneStep`.
        stride: `(height, width)` of the patch model.
        scales: Of its outputs: pixels per pixel of the image.
        pad_value: Of what is beyond the image, up to a multiple of `stride`.
        reach: Rows above a band that its results depend on.
    """

    def __init__(self, choose_step, stride, scales, pad_value, reach):
        self._choose_step, self._stride = choose_step, stride
        self._scales, self._pad_value = scales, pad_value
        self._reach = reach

    def batches(self, jobs):
        """Read bands of all images.

        Args:
            jobs: Iterable of `ImageJob`.

        Yields:
            What `run` takes.
        """
        waiting = _Waiting(iter(jobs), self._choose_step)
        while (step := waiting.next_step()) is not None:
            yield from self._batches_of(step, waiting)

    def _batches_of(self, step, waiting):
        """Read bands until all lanes of a step are empty."""
        rows = step.stream.rows
        lanes = [None] * step.count
        while True:
            for index, lane in enumerate(lanes):
                if lane is None:
                    job = waiting.take(step)
                    lanes[index] = job and self._enter(job, step)
            if not any(lanes):
                return
            yield self._read(lanes, step)
            lanes = [
                lane if lane and lane.next_band(rows) else None
                for lane in lanes
            ]

    def _enter(self, job, step):
        """Put an image into a lane; above its first band all is done."""
        rows, stream = step.stream.rows, step.stream
        first = max(job.rows_done - self._reach, 0) // rows * rows
        height = round_up(job.size[0], self._stride[0])
        return _Lane(job, first, first, stream.count_steps(height) * rows)

    def _read(self, lanes, step):
        rows, width = step.stream.rows, step.width
        bands, ended, blocks = [], [], []
        for lane in lanes:
            if lane is None:
                bands.append(None)
                blocks.append(None)
                continue
            blocks.append(self._read_band(lane.job, lane.y, rows, width))
            bands.append((lane.job, lane.y))
            if lane.job.error is not None:
                lane.stop = 0
            if lane.y + rows >= lane.stop:
                ended.append(lane.job)
        return _Batch(step, bands, ended, self._arguments(blocks, lanes, step))

    def _read_band(self, job, y, rows, width):
        """Read a band; `None` of an image that is not read on."""
        height, own_width, channels = job.source.shape
        dtype = dtype_with(job.source.dtype, self._pad_value)
        count = min(max(height - y, 0), rows)
        found = job.read(y, count) if count else None
        if count == rows and own_width == width and found is not None:
            return found.astype(dtype, copy=False)
        band = np.zeros((rows, width, channels), dtype)
        inside = band[: max(round_up(height, self._stride[0]) - y, 0)]
        inside[:, : round_up(own_width, self._stride[1])] = self._pad_value
        if found is not None:
            band[:count, :own_width] = found
        return band

    def _arguments(self, blocks, lanes, step):
        some = next(block for block in blocks if block is not None)
        blocks = [np.zeros_like(some) if b is None else b for b in blocks]
        numbers = np.zeros((4, len(lanes)), "int32")
        # An empty lane runs a small image, and nobody looks.
        numbers[2:] = np.array(self._stride, "int32")[:, None]
        for index, lane in enumerate(lanes):
            if lane is not None:
                size = [
                    round_up(length, stride)
                    for length, stride in zip(
                        lane.job.size, self._stride, strict=True
                    )
                ]
                numbers[:, index] = lane.is_first, lane.y, *size
        is_first, first_row, height, width = numbers
        batch = blocks[0][None] if len(blocks) == 1 else np.stack(blocks)
        return is_first.astype(bool), batch[:, None], first_row, height, width

    def run(self, batch):
        """Compute a batch."""
        return batch.step.run(*batch.arguments)

    def write(self, batch, outputs):
        """Hand the rows on that are results, and yield the jobs that end."""
        made = [ops.convert_to_numpy(output) for output in outputs]
        for lane, band in enumerate(batch.bands):
            if band is not None:
                job, y = band
                for index, output in enumerate(made):
                    self._add(job, y, index, output[lane, 0], batch.step.stream)
        for job in batch.ended:
            job.finish()
            yield job

    def _add(self, job, y, index, rows, stream):
        """Hand the rows of one output on that are not done yet."""
        height, width = (
            scaled_length(length, self._scales[index]) for length in job.size
        )
        output = stream.outputs[index]
        first = y // stream.rows * output.rows - output.lag
        done = scaled_length(job.rows_done, self._scales[index])
        start = max(first, done)
        stop = min(first + output.rows, height)
        if start < stop:
            job.add(index, rows[start - first : stop - first, :width])


class _Waiting:
    """Images whose turn has not come, some of them in sight."""

    def __init__(self, jobs, choose_step):
        self._jobs, self._choose_step = jobs, choose_step
        self._seen = collections.deque()

    def _look(self, count):
        while len(self._seen) < count:
            job = next(self._jobs, None)
            if job is None:
                break
            step = self._choose_step(job.size, job.source.dtype)
            self._seen.append((step, job))

    def next_step(self):
        """Give the step that the next image needs; `None` after the last."""
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


def _numpy_dtype(dtype):
    if dtype == "bfloat16":
        import jax

        return jax.dtypes.bfloat16
    return dtype
