"""Padding, cropping, picking and reshaping on a band of rows."""

import keras
from keras import ops

from keras_patching.layers.row_bands import (
    Neighbours,
    Pointwise,
    Runner,
    spatial_axes,
)
from keras_patching.ops.lengths import maximum
from keras_patching.receptive_fields.neighbour_rules import (
    read_key,
)


class Pad(Neighbours):
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


class Mirror(Neighbours):
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


class Pick(Neighbours):
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


class Reverse(Runner):
    """The last column comes first, of as many as the image has."""

    @classmethod
    def of(cls, call, inputs, output):
        """Make what runs a call of a `Turn`."""
        if output.directions == inputs[0].directions:
            return Pointwise(call, inputs, output)
        return cls(call, inputs, output)

    def __init__(self, call, inputs, output):
        self._call, (self._input,) = call, inputs

    def kept(self):
        """See `Pointwise`."""
        return []

    def run(self, values, state, bands):
        """See `Pointwise`."""
        (value,), (band,) = values, bands
        if band.width is None:
            return self._call(value), state
        _, column_axis = spatial_axes(self._input)
        columns = ops.shape(value)[column_axis]
        index = band.width - 1 - ops.arange(columns, dtype="int32")
        return ops.take(value, ops.maximum(index, 0), axis=column_axis), state
