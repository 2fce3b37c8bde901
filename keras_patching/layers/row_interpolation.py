"""Upsampling on a band of rows: rows by weights, which are measured."""

import concurrent.futures
import functools

import keras
import numpy as np
from keras import ops

from keras_patching._keras_internals import twin_of
from keras_patching.layers.row_bands import (
    Neighbours,
    Runner,
    spatial_axes,
)
from keras_patching.receptive_fields.neighbour_rules import (
    resizing_factors,
)
from keras_patching.receptive_fields.rules import INTERPOLATION_RADIUS


class Repeat(Runner):
    """A layer that makes several pixels of each."""

    def __init__(self, call, inputs, output):
        self._call = call

    def kept(self):
        """See `Pointwise`."""
        return []

    def run(self, values, state, bands):
        """See `Pointwise`."""
        return self._call(*values), []


class Interpolate(Neighbours):
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
        columns = ops.shape(value)[column_axis]
        if band.width is None and isinstance(columns, int):
            return self._with_columns(value)
        width = columns if band.width is None else band.width
        made = columns * columns_factor
        indices, weights = _weigh(self._tables[1], 0, made, width)
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
