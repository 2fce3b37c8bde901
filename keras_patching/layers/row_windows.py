"""Convolutions and pooling on a band of rows."""

import keras
from keras import ops

from keras_patching._keras_internals import twin_of
from keras_patching.layers.jax_windows import jax_convolution
from keras_patching.layers.row_bands import (
    LOWEST,
    Neighbours,
    spatial_axes,
    take_rows,
)
from keras_patching.layers.torch_windows import (
    torch_convolution,
    torch_max_pooling,
)
from keras_patching.ops.chunks import is_on_cpu


class Window(Neighbours):
    """A convolution."""

    def __init__(self, call, inputs, output):
        super().__init__(call, inputs, output)
        twin = twin_of(call.operation, padding="valid")
        self._valid = call.with_operation(twin)

    def _make(self, value, band):
        return self._valid(self._padded_columns(value, self.outside))


class Convolution(Window):
    """A layer that convolves, in the way that a backend is fast in."""

    def __init__(self, call, inputs, output):
        super().__init__(call, inputs, output)
        self._is_torch = _is_channels_last_on_torch(self._input)
        if self._is_torch:
            columns = output.x.reading.before, output.x.reading.after
            convolve = torch_convolution(self._layer, columns)
            self._convolve_by(convolve)
        elif call.training and _is_slow_in_loops(self._layer, self._input):
            self._convolve_by(jax_convolution(self._layer))

    def _convolve_by(self, convolve):
        twin = twin_of(self._valid.operation, convolution_op=convolve)
        self._valid = self._valid.with_operation(twin)

    def _padded_columns(self, value, outside):
        if self._is_torch:
            return value  # Convolved as if it were.
        return super()._padded_columns(value, outside)


class MaxPooling(Window):
    """Pooling, where nothing that is outside is larger than what is inside."""

    outside = LOWEST
    makes_infinities = True

    def __init__(self, call, inputs, output):
        super().__init__(call, inputs, output)
        if _is_channels_last_on_torch(self._input):
            self._valid = torch_max_pooling(self._layer)


def _is_slow_in_loops(layer, field):
    """Whether a CPU would take its time to train a convolution on jax."""
    is_jax = keras.backend.backend() == "jax" and is_on_cpu()
    is_last = field.data_format == "channels_last"
    return is_jax and is_last and layer.groups == 1


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


class TransposedWindow(Neighbours):
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


class Blocks(Neighbours):
    """Pixels of a block that become the channels of one."""

    def _make(self, value, band):
        return self._run_call(value)
