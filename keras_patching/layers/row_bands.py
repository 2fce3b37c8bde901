"""What a layer is run with on a band of rows, and what all ways have in common.

Each class runs one call of a layer in a step of `RowStream`. The rows outside
of a tensor, above its first and below its last, hold what biases and
activations have made of nothing; so they are overwritten where a layer looks
at neighbours, by what its own padding stands for. `axes` of a tensor are those
of its rows and columns.
"""

import math

import keras
import numpy as np
from keras import ops

from keras_patching.layers.row_slopes import has_slopes

# What is outside of max pooling. Of tensorflow it is finite: graphs that are
# converted to ONNX multiply it by zero.
LOWEST = -3e38 if keras.backend.backend() == "tensorflow" else -math.inf


def clip_to_dtype(value, dtype):
    """Return a number, or the nearest to it that a data type holds.

    Args:
        value: Float. Infinity stays in data types that have it.
        dtype: Name or data type of the backend.
    """
    dtype = keras.backend.standardize_dtype(dtype)
    if keras.backend.is_int_dtype(dtype):
        limits = np.iinfo(dtype)
        return int(min(max(value, limits.min), limits.max))
    if dtype == "float16" and math.isfinite(value):
        return max(value, -65504.0)
    return value


class Band:
    """Where the rows of a tensor of one step lie.

    Attributes:
        first: Index of the first row that the layer is run on.
        height, width: Of the whole tensor; scalars or integers. `width` is
            `None` where all columns are inside of it.
    """

    def __init__(self, first, height, width):
        self.first, self.height, self.width = first, height, width

    def is_full(self, rows):
        """Whether so many rows, and all columns, are known to be inside."""
        return (
            self.width is None
            and isinstance(self.first, int)
            and isinstance(self.height, int)
            and 0 <= self.first <= self.height - rows
        )

    def inside(self, rows, columns, field):
        """Tell which pixels of a band are of the tensor.

        Returns:
            Boolean tensor that broadcasts to the band.
        """
        row_axis, column_axis = spatial_axes(field)
        index = self.first + ops.arange(rows, dtype="int32")
        shape = [1] * field.rank
        shape[row_axis] = rows
        inside = ops.reshape((index >= 0) & (index < self.height), shape)
        if self.width is None:
            return inside
        shape = [1] * field.rank
        shape[column_axis] = columns
        index = ops.arange(columns, dtype="int32")
        return inside & ops.reshape(index < self.width, shape)


def spatial_axes(field):
    """Return the axes of rows and of columns of a tensor."""
    return field.axes


def take_rows(tensor, field, start, stop):
    """Return some of the rows of a tensor."""
    row_axis, _ = spatial_axes(field)
    index = [slice(None)] * field.rank
    index[row_axis] = slice(start, stop)
    return tensor[tuple(index)]


def _join(kept, rows, field):
    row_axis, _ = spatial_axes(field)
    return ops.concatenate([kept, rows], row_axis)


def _keep(tensor, field, start):
    """Return the last rows of a tensor, for the next step."""
    kept = take_rows(tensor, field, start, None)
    # A view would hold all rows in memory.
    return ops.copy(kept) if keras.backend.backend() == "torch" else kept


def mask_outside(value, band, field, outside):
    """Put a number in the place of what is outside of a tensor.

    Args:
        value: Rows of it.
        band: `Band` of these rows.
        field: `SpatialField` of the tensor.
        outside: Float; or a tensor that broadcasts to `value`.
    """
    row_axis, column_axis = spatial_axes(field)
    rows = value.shape[row_axis]
    if band.is_full(rows):
        return value
    inside = band.inside(rows, ops.shape(value)[column_axis], field)
    if isinstance(outside, (int, float)):
        outside = clip_to_dtype(outside, value.dtype)
    return ops.where(inside, value, ops.cast(outside, value.dtype))


class Runner:
    """What runs a call of a layer."""

    # Whether it makes infinite numbers of what is outside.
    makes_infinities = False

    # Whether it has no slope, perhaps, at what is outside.
    needs_slopes = False

    @classmethod
    def of(cls, call, inputs, output):
        """Make what runs a call of a layer."""
        return cls(call, inputs, output)


class Pointwise(Runner):
    """A layer that looks at one pixel of each input at a time.

    Inputs that are ahead of the others wait.
    """

    def __init__(self, call, inputs, output):
        self._call = call
        self._inputs = inputs
        self.needs_slopes = not has_slopes(call)
        self._delays = [output.y.lag - field.y.lag for field in inputs]

    def kept(self):
        """Return for each array that is kept its input, rows and value."""
        return [
            (index, delay, 0.0)
            for index, delay in enumerate(self._delays)
            if delay
        ]

    def run(self, values, state, bands):
        """Run the layer on the rows of a step.

        Args:
            values: Rows of each input.
            state: What was kept, as `kept` lists it.
            bands: `Band` of each input, from the first row of the step.

        Returns:
            The output of the layer, and what to keep.
        """
        delayed, new_state, state = [], [], list(state)
        for value, field, delay in zip(
            values, self._inputs, self._delays, strict=True
        ):
            if delay:
                value = _join(state.pop(0), value, field)
                new_state.append(_keep(value, field, field.y.rows))
                value = take_rows(value, field, 0, field.y.rows)
            delayed.append(value)
        return self._call(*delayed), new_state


class Neighbours(Runner):
    """A layer that looks at neighbouring rows of its only input."""

    # What pixels outside of the input count as.
    outside = 0.0

    def __init__(self, call, inputs, output):
        (self._input,) = inputs
        self._run_call = call
        self._layer = call.operation
        self._output = output
        self._reading = output.y.reading

    def kept(self):
        """See `Pointwise`."""
        rows = self._reading.kept
        return [(0, rows, self.outside)] if rows > 0 else []

    def run(self, values, state, bands):
        """See `Pointwise`."""
        (value,), (band,) = values, bands
        field, kept = self._input, self._reading.kept
        value = self._masked(value, band)
        if kept > 0:
            value = _join(state[0], value, field)
        elif kept < 0:
            value = take_rows(value, field, -kept, None)
        state = [_keep(value, field, field.y.rows)] if kept > 0 else []
        value = take_rows(value, field, 0, self._reading.taken)
        band = Band(band.first - kept, band.height, band.width)
        return self._make(value, band), state

    def _masked(self, value, band):
        return mask_outside(value, band, self._input, self.outside)

    def _padded_columns(self, value, outside):
        reading = self._output.x.reading
        if not (reading.before or reading.after):
            return value
        _, column_axis = spatial_axes(self._input)
        widths = [(0, 0)] * self._input.rank
        widths[column_axis] = (reading.before, reading.after)
        outside = clip_to_dtype(outside, value.dtype)
        return ops.pad(value, widths, constant_values=outside)
