"""Layers on a band of rows: what each kind keeps, and how it is run.

Each class runs one call of a layer in a step of `RowStream`. The rows outside
of a tensor, above its first and below its last, hold what biases and
activations have made of nothing; so they are overwritten where a layer looks
at neighbours, by what its own padding stands for. `axes` of a tensor are those
of its rows and columns.
"""

import concurrent.futures
import functools
import math

import keras
import numpy as np
from keras import ops

from keras_patching._keras_internals import twin_of
from keras_patching.layers.torch_windows import (
    torch_convolution,
    torch_max_pooling,
)
from keras_patching.ops.lengths import maximum
from keras_patching.receptive_fields.operation_rules import (
    read_key,
    resizing_factors,
)
from keras_patching.receptive_fields.rules import INTERPOLATION_RADIUS

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


class _Runner:
    """What runs a call of a layer."""

    @classmethod
    def of(cls, call, inputs, output):
        """Make what runs a call of a layer."""
        return cls(call, inputs, output)


class Pointwise(_Runner):
    """A layer that looks at one pixel of each input at a time.

    Inputs that are ahead of the others wait.
    """

    def __init__(self, call, inputs, output):
        self._call = call
        self._inputs = inputs
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


class Repeat(_Runner):
    """A layer that makes several pixels of each."""

    def __init__(self, call, inputs, output):
        self._call = call

    def kept(self):
        """See `Pointwise`."""
        return []

    def run(self, values, state, bands):
        """See `Pointwise`."""
        return self._call(*values), []


class _Neighbours(_Runner):
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
        row_axis, column_axis = spatial_axes(self._input)
        rows = value.shape[row_axis]
        if band.is_full(rows):
            return value
        inside = band.inside(rows, ops.shape(value)[column_axis], self._input)
        outside = clip_to_dtype(self.outside, value.dtype)
        return ops.where(inside, value, ops.cast(outside, value.dtype))

    def _padded_columns(self, value, outside):
        reading = self._output.x.reading
        if not (reading.before or reading.after):
            return value
        _, column_axis = spatial_axes(self._input)
        widths = [(0, 0)] * self._input.rank
        widths[column_axis] = (reading.before, reading.after)
        outside = clip_to_dtype(outside, value.dtype)
        return ops.pad(value, widths, constant_values=outside)


class Window(_Neighbours):
    """A convolution."""

    def __init__(self, call, inputs, output):
        super().__init__(call, inputs, output)
        twin = twin_of(call.operation, padding="valid")
        self._valid = call.with_operation(twin)

    def _make(self, value, band):
        return self._valid(self._padded_columns(value, self.outside))


class Convolution(Window):
    """A layer that convolves, on torch without what Keras copies."""

    def __init__(self, call, inputs, output):
        super().__init__(call, inputs, output)
        self._is_torch = _is_channels_last_on_torch(self._input)
        if self._is_torch:
            columns = output.x.reading.before, output.x.reading.after
            convolve = torch_convolution(self._layer, columns)
            twin = twin_of(self._valid.operation, convolution_op=convolve)
            self._valid = call.with_operation(twin)

    def _padded_columns(self, value, outside):
        if self._is_torch:
            return value  # Convolved as if it were.
        return super()._padded_columns(value, outside)


class MaxPooling(Window):
    """Pooling, where nothing that is outside is larger than what is inside."""

    outside = LOWEST

    def __init__(self, call, inputs, output):
        super().__init__(call, inputs, output)
        if _is_channels_last_on_torch(self._input):
            self._valid = torch_max_pooling(self._layer)


def _is_channels_last_on_torch(field):
    is_torch = keras.backend.backend() == "torch"
    return is_torch and field.data_format == "channels_last"


class AveragePooling(Window):
    """Pooling, where what is outside is not counted."""

    def _make(self, value, band):
        if self._layer.padding != "same":
            return super()._make(value, band)
        paddings = [
            (axis.reading.before, axis.reading.after)
            for axis in (self._output.y, self._output.x)
        ]
        if not any(map(any, paddings)):
            return super()._make(value, band)
        is_uneven = any(before != after for before, after in paddings)
        if keras.backend.backend() == "torch" and is_uneven:
            # There Keras repeats the edges, and counts them.
            return self._valid(self._with_edges(value, band, paddings[1]))
        pooled = super()._make(value, band)
        share = super()._make(self._ones_inside(value, band), band)
        share = ops.cast(share, pooled.dtype)
        return pooled / ops.where(share > 0, share, 1)

    def _ones_inside(self, value, band):
        row_axis, column_axis = spatial_axes(self._input)
        rows, columns = value.shape[row_axis], ops.shape(value)[column_axis]
        shape = [1] * self._input.rank
        shape[row_axis], shape[column_axis] = rows, columns
        inside = band.inside(rows, columns, self._input)
        return ops.where(inside, ops.ones(shape, "float32"), 0.0)

    def _with_edges(self, value, band, padding):
        row_axis, column_axis = spatial_axes(self._input)
        rows = value.shape[row_axis]
        index = band.first + ops.arange(rows, dtype="int32")
        index = ops.minimum(ops.maximum(index, 0), band.height - 1) - band.first
        index = ops.minimum(ops.maximum(index, 0), rows - 1)
        value = ops.take(value, index, axis=row_axis)
        before, after = padding
        columns = ops.shape(value)[column_axis]
        index = ops.arange(-before, columns + after, dtype="int32")
        last = (columns if band.width is None else band.width) - 1
        index = ops.minimum(ops.maximum(index, 0), last)
        return ops.take(value, index, axis=column_axis)


class TransposedWindow(_Neighbours):
    """A transposed convolution."""

    def __init__(self, call, inputs, output):
        super().__init__(call, inputs, output)
        twin = twin_of(call.operation, padding="valid", output_padding=None)
        self._valid = call.with_operation(twin)

    def _make(self, value, band):
        _, column_axis = spatial_axes(self._input)
        columns = ops.shape(value)[column_axis]
        made = self._valid(value)
        skipped = self._reading.skipped
        made = take_rows(
            made, self._output, skipped, skipped + self._output.y.rows
        )
        start = self._output.x.reading.before
        stride = int(self._input.x.scale / self._output.x.scale)
        more = self._output.x.length - self._input.x.length * stride
        index = [slice(None)] * self._input.rank
        index[column_axis] = slice(start, start + columns * stride + more)
        return made[tuple(index)]


class Interpolate(_Neighbours):
    """Upsampling that interpolates: rows by weights, columns by the layer."""

    @classmethod
    def of(cls, call, inputs, output):
        """Make what runs a call of a layer."""
        layer = call.operation
        if layer.interpolation == "nearest":
            return Repeat(call, inputs, output)
        return cls(call, inputs, output)

    def __init__(self, call, inputs, output):
        super().__init__(call, inputs, output)
        layer = call.operation
        self._columns = twin_of(layer, size=(1, layer.size[1]))
        self._tables = [
            _interpolation_tables(layer.interpolation, factor)
            for factor in layer.size
        ]

    def _masked(self, value, band):
        return value  # What is outside has no weight.

    def _make(self, value, band):
        row_axis, column_axis = spatial_axes(self._input)
        rows_factor, columns_factor = self._layer.size
        if rows_factor > 1:
            first = (band.first + self._reading.kept) * rows_factor - (
                self._output.y.lag - self._input.y.lag * rows_factor
            )
            indices, weights = _weigh(
                self._tables[0], first, self._output.y.rows, band.height
            )
            indices = indices - band.first
            value = _blend(value, row_axis, indices, weights)
        if band.width is None:
            return self._with_columns(value)
        made = ops.shape(value)[column_axis] * columns_factor
        indices, weights = _weigh(self._tables[1], 0, made, band.width)
        return _blend(value, column_axis, indices, weights)

    def _with_columns(self, value):
        """Interpolate columns, each row by itself.

        Together, rows would be weighted by zeros, which spread infinities.
        """
        row_axis, _ = spatial_axes(self._input)
        shape = list(ops.shape(value))
        before, rows = shape[row_axis - 1 : row_axis + 1]
        shape[row_axis - 1 : row_axis + 1] = before * rows, 1
        made = self._columns(ops.reshape(value, shape))
        shape = list(ops.shape(made))
        shape[row_axis - 1 : row_axis + 1] = before, rows
        return ops.reshape(made, shape)


class Blocks(_Neighbours):
    """Pixels of a block that become the channels of one."""

    def _make(self, value, band):
        return self._run_call(value)


class Pad(_Neighbours):
    """Zero padding and cropping: rows wait, or are those outside."""

    def _make(self, value, band):
        left_right = self._output.x.reading
        widths = [(0, 0)] * self._input.rank
        _, column_axis = spatial_axes(self._input)
        before, after = left_right.before, left_right.after
        widths[column_axis] = (max(before, 0), max(after, 0))
        value = ops.pad(value, widths, constant_values=self.outside)
        index = [slice(None)] * self._input.rank
        index[column_axis] = slice(max(-before, 0), min(after, 0) or None)
        return value[tuple(index)]


class PadAnyhow(Pad):
    """`ops.pad` with one number."""

    @classmethod
    def of(cls, call, inputs, output):
        """Make what runs a call of an operation."""
        if output.y is inputs[0].y:
            return Pointwise(call, inputs, output)
        if call.operation.mode == "constant":
            return cls(call, inputs, output)
        return Mirror(call, inputs, output)

    def __init__(self, call, inputs, output):
        super().__init__(call, inputs, output)
        self.outside = call.argument("constant_values") or 0


class Mirror(_Neighbours):
    """`ops.pad` with rows and columns that are like some near the edge."""

    def _masked(self, value, band):
        return value

    def _make(self, value, band):
        reading, columns = self._output.y.reading, self._output.x.reading
        row_axis, column_axis = spatial_axes(self._input)
        rows, width = self._output.y.rows, ops.shape(value)[column_axis]
        if band.width is not None:
            width = band.width
        # The last that reads below is the row `2 * before` further.
        first = band.first + 2 * reading.after
        index = self._place(first, rows, band.height) - band.first
        index = ops.clip(index, 0, value.shape[row_axis] - 1)
        value = ops.take(value, index, axis=row_axis)
        made = ops.shape(value)[column_axis] + columns.before + columns.after
        index = self._place(-columns.before, made, width)
        index = ops.clip(index, 0, ops.shape(value)[column_axis] - 1)
        return ops.take(value, index, axis=column_axis)

    def _place(self, first, count, length):
        """Return which indices of an axis others, also outside, are like."""
        index = first + ops.arange(count, dtype="int32")
        mode = self._layer.mode
        is_torch = keras.backend.backend() == "torch"
        if mode == "edge" or (is_torch and mode == "symmetric"):
            return ops.clip(index, 0, length - 1)
        # It goes up and down again, also where it is padded by more.
        edge = 0 if mode == "reflect" else 1
        period = maximum(2 * (length - 1 + edge), 1)
        index = index % period
        return ops.minimum(index, period - edge - index)


class Pick(_Neighbours):
    """`x[:, a:-b:s]`: rows and columns that are cut off, or left out."""

    @classmethod
    def of(cls, call, inputs, output):
        """Make what runs a call of an operation."""
        if output.y is inputs[0].y:
            return Pointwise(call, inputs, output)
        return cls(call, inputs, output)

    def _masked(self, value, band):
        return value

    def _make(self, value, band):
        spatial = self._input.axes
        key = []
        for axis, item in read_key(self._run_call, self._input):
            if axis == spatial[0]:
                item = slice(None, None, item.step)
            key.append(item)
        return value[tuple(key)]


class Reshape(Pointwise):
    """`ops.reshape` of channels, whatever the number of rows."""

    def __init__(self, call, inputs, output):
        super().__init__(call, inputs, output)
        self._shape = list(call.outputs[0].shape)
        self._from, self._to = inputs[0].axes, output.axes
        self._call = self._reshape

    def _reshape(self, value):
        sizes, shape = ops.shape(value), self._shape
        shape = list(shape)
        shape[0] = sizes[0]
        for before, after in zip(self._from, self._to, strict=True):
            shape[after] = sizes[before]
        return ops.reshape(value, shape)


class Resize(Interpolate):
    """`ops.image.resize` by whole factors, as upsampling does it."""

    @classmethod
    def of(cls, call, inputs, output):
        """Make what runs a call of an operation."""
        upsampling = keras.layers.UpSampling2D(
            resizing_factors(call, inputs[0]),
            interpolation=call.operation.interpolation,
            data_format=inputs[0].data_format,
            dtype=call.outputs[0].dtype,
        )
        call = call.with_operation(upsampling)
        return super().of(call, inputs, output)


def _blend(tensor, axis, indices, weights):
    """Make sums of what is along an axis, by indices and weights.

    Args:
        indices, weights: Both `(made, taps)`.
    """
    indices = ops.clip(indices, 0, ops.shape(tensor)[axis] - 1)
    weights = ops.cast(weights, tensor.dtype)
    shape = [1] * len(tensor.shape)
    shape[axis] = -1
    return sum(
        ops.take(tensor, indices[:, tap], axis=axis)
        * ops.reshape(weights[:, tap], shape)
        for tap in range(indices.shape[1])
    )


def _weigh(tables, first, made, length):
    """Tell what each index that interpolation makes is the sum of.

    Args:
        tables: See `_interpolation_tables`.
        first, made: Index of the first that is made, and how many are.
        length: Of the axis.

    Returns:
        Indices, and their weights; both `(made, taps)`.
    """
    most = len(tables)
    factor, radius = tables.shape[1] // most, most // 4
    ends = factor * most // 2
    index = first + ops.arange(made, dtype="int32")
    # The row of the table that is like it, by whole indices away.
    alike = index % factor + ends - factor
    from_end = index - (length - most) * factor
    alike = ops.where(from_end >= ends, from_end, alike)
    alike = ops.where((index < ends) | (length <= most), index, alike)
    shift = (index - alike) // factor
    # It samples at (index + 1/2) / factor - 1/2.
    nearest = index // factor
    before = (2 * index + 1 + factor) // (2 * factor) - 1
    taps = before[:, None] + ops.arange(1 - radius, radius + 1, dtype="int32")
    seen = taps - shift[:, None]
    table = ops.take(
        ops.convert_to_tensor(tables), ops.minimum(length, most) - 1, axis=0
    )
    weights = ops.take_along_axis(
        ops.take(table, ops.clip(alike, 0, most * factor - 1), axis=0),
        ops.clip(seen, 0, most - 1),
        axis=1,
    )
    weights = ops.where((seen >= 0) & (seen < most), weights, 0.0)
    # Nothing times infinity is not a number: so what has no weight is not
    # read, but the nearest, which has some.
    return ops.where(weights == 0, nearest[:, None], taps), weights


@functools.cache
def _interpolation_tables(interpolation, factor):
    """Measure how a backend interpolates, also near the ends.

    Returns:
        Array `(most, most * factor, most)`: for each height the weights of
        rows that are made by the rows there are.
    """
    most = 4 * INTERPOLATION_RADIUS[interpolation]

    def measure():
        tables = np.zeros((most, most * factor, most), "float32")
        layer = keras.layers.UpSampling2D(
            (factor, 1),
            interpolation=interpolation,
            data_format="channels_last",
            dtype="float32",
        )
        for height in range(1, most + 1):
            ones = np.eye(height, dtype="float32")[None, :, None, :]
            made = ops.convert_to_numpy(layer(ones))[0, :, 0]
            tables[height - 1, : height * factor, :height] = made
        return tables

    # A thread of its own is outside of whatever graph is made in this one.
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        return thread.submit(measure).result()
