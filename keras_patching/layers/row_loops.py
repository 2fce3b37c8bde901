"""Loops over the bands of images, in the way of each backend.

The outputs of large images are larger than all else together: so jax writes
them in place in what a loop carries on, torch into a tensor that is there, and
tensorflow collects them, as jax does where it does not know the size.
"""

import functools

import keras
from keras import ops

from keras_patching.layers.row_bands import spatial_axes, take_rows
from keras_patching.ops.lengths import maximum

BACKENDS = ("jax", "torch", "tensorflow")


def stream_rows(stream, images):
    """Run a `RowStream` on all rows of images.

    Args:
        stream: `RowStream`.
        images: Tensor `(batch, height, width, channels)`.

    Returns:
        List of its outputs.
    """
    loops = {
        "jax": _write_in_place if _is_static(images) else _collect,
        "torch": _write_into,
        "tensorflow": _collect,
    }
    return loops[keras.backend.backend()](stream, images)


def _is_static(images):
    return all(isinstance(length, int) for length in images.shape)


def _write_in_place(stream, images):
    row_axis, column_axis = spatial_axes(stream.input_field)
    batch_size, width = images.shape[0], images.shape[column_axis]
    height = images.shape[row_axis]
    images = pad_rows(images, stream.rows - height, row_axis)
    outputs, before = [], []
    for index, field in enumerate(stream.output_fields):
        rows, high = field.y.rows, field.y.length_of(height)
        most = max(high, rows)
        outputs.append(stream.blank_output(index, batch_size, most, width))
        before.append(stream.blank_output(index, batch_size, rows, width))

    def step(carry, k):
        state, outputs, before = carry
        rows = _rows_of_step(images, k, stream.rows, row_axis)
        made, state = stream.step(state, rows, k * stream.rows, height)
        outputs = [
            _write(
                output,
                earlier,
                rows,
                k * field.y.rows - field.y.lag,
                row_axis,
                is_done_before=len(outputs) > 1,
            )
            for output, earlier, rows, field in zip(
                outputs, before, made, stream.output_fields, strict=True
            )
        ]
        return (state, outputs, made), None

    state = stream.initial_state(batch_size, width)
    steps = ops.arange(count_steps(stream, height), dtype="int32")
    (_, outputs, _), _ = ops.scan(step, (state, outputs, before), steps)
    return [
        take_rows(output, field, 0, field.y.length_of(height))
        for output, field in zip(outputs, stream.output_fields, strict=True)
    ]


def _write(output, before, made, first, row_axis, is_done_before):
    """Write the rows of a step, the first of which is row `first`.

    Where `is_done_before`, steps go on when all rows are made, for others.

    At the ends of an image fewer of them are inside. So what is written, as
    many rows as a step makes, is cut out of those of this step and the one
    before. What then stands below the rows that are known is written over by
    the next steps.
    """
    rows = made.shape[row_axis]
    start = ops.clip(first, 0, output.shape[row_axis] - rows)
    joined = ops.concatenate([before, made, made], row_axis)
    offset = [0, 0, 0, 0]
    offset[row_axis] = ops.minimum(start - first + rows, 2 * rows)
    inside = ops.slice(joined, offset, made.shape)
    offset[row_axis] = start
    if is_done_before:
        there = ops.slice(output, offset, made.shape)
        inside = ops.where(first - start > rows, there, inside)
    return ops.slice_update(output, offset, inside)


def _rows_of_step(images, k, rows, row_axis):
    """Cut out the rows of a step; below the image are some of the others."""
    height = images.shape[row_axis]
    start = ops.minimum(k * rows, height - rows)
    offset, shape = [0, 0, 0, 0], list(images.shape)
    offset[row_axis], shape[row_axis] = start, rows
    cut = ops.slice(images, offset, shape)
    if height % rows == 0:
        return cut
    offset[row_axis] = ops.minimum(k * rows - start, rows)
    return ops.slice(ops.concatenate([cut, cut], row_axis), offset, shape)


def _write_into(stream, images):
    row_axis, column_axis = spatial_axes(stream.input_field)
    batch_size, width = images.shape[0], images.shape[column_axis]
    height = images.shape[row_axis]
    fields = stream.output_fields
    outputs = [
        stream.blank_output(index, batch_size, field.y.length_of(height), width)
        for index, field in enumerate(fields)
    ]
    state = stream.initial_state(batch_size, width)
    images = pad_rows(images, stream.rows - height, row_axis)
    for k in range(count_steps(stream, height)):
        start = min(k * stream.rows, images.shape[row_axis] - stream.rows)
        rows = take_rows(images, stream.input_field, start, start + stream.rows)
        rows = ops.roll(rows, start - k * stream.rows, row_axis)
        made, state = stream.step(state, rows, k * stream.rows, height)
        for output, rows, field in zip(outputs, made, fields, strict=True):
            first = k * field.y.rows - field.y.lag
            last = min(first + field.y.rows, output.shape[row_axis])
            inside = take_rows(rows, field, max(-first, 0), last - first)
            if last > max(first, 0):
                take_rows(output, field, max(first, 0), last)[...] = inside
    return outputs


def _collect(stream, images):
    row_axis, column_axis = spatial_axes(stream.input_field)
    sizes = ops.shape(images)
    batch_size, height, width = (sizes[i] for i in (0, row_axis, column_axis))
    num_steps = count_steps(stream, height)
    images = pad_rows(images, num_steps * stream.rows - height, row_axis)

    def step(state, k):
        offset, shape = [0, 0, 0, 0], [*sizes]
        offset[row_axis], shape[row_axis] = k * stream.rows, stream.rows
        rows = ops.slice(images, offset, shape)
        return stream.step(state, rows, k * stream.rows, height)

    state = stream.initial_state(batch_size, width)
    bands = [
        stream.blank_output(index, batch_size, field.y.rows, width)
        for index, field in enumerate(stream.output_fields)
    ]
    loops = {"jax": _stack_on_jax, "tensorflow": _stack_on_tensorflow}
    stacks = loops[keras.backend.backend()](step, state, bands, num_steps)
    return [
        join_bands(stack, band, field, height)
        for stack, band, field in zip(
            stacks, bands, stream.output_fields, strict=True
        )
    ]


def _stack_on_jax(step, state, bands, num_steps):
    """Stack what all steps make: tensors `(steps, *band)`."""

    def next_step(state, k):
        made, state = step(state, k)
        return state, made

    steps = ops.arange(num_steps, dtype="int32")
    return ops.scan(next_step, state, steps)[1]


def _stack_on_tensorflow(step, state, bands, num_steps):
    """As `_stack_on_jax`."""
    import tensorflow as tf

    arrays = [
        tf.TensorArray(band.dtype, num_steps, element_shape=band.shape)
        for band in bands
    ]

    def next_step(k, state, arrays):
        made, state = step(state, k)
        arrays = [
            array.write(k, rows)
            for array, rows in zip(arrays, made, strict=True)
        ]
        return k + 1, state, arrays

    _, _, arrays = tf.while_loop(
        lambda k, *_: k < num_steps,
        next_step,
        (tf.constant(0), state, arrays),
        shape_invariants=(
            tf.TensorShape([]),
            [tf.TensorShape(each.shape) for each in state],
            [tf.TensorShape(None) for _ in arrays],
        ),
    )
    return [array.stack() for array in arrays]


def join_bands(bands, band, field, height):
    """Make an image of the bands `(steps, *band)` of all steps."""
    row_axis, _ = spatial_axes(field)
    shape = list(ops.shape(band))
    shape[row_axis] = -1
    rows = ops.reshape(ops.moveaxis(bands, 0, row_axis), shape)
    lag, length = field.y.lag, field.y.length_of(height)
    rows = take_rows(rows, field, lag, lag + length)
    if not isinstance(length, int):
        return rows
    # In batches of any size tensorflow does not count the rows of all bands.
    shape[row_axis] = length
    return ops.reshape(rows, shape)


def pad_rows(images, missing, row_axis):
    """Add rows to images, with what is never looked at."""
    if isinstance(missing, int) and missing <= 0:
        return images
    widths = [(0, 0)] * 4
    widths[row_axis] = (0, missing)
    return ops.pad(images, widths)


def count_steps(stream, height):
    """Count the steps until all rows of all outputs are made.

    Args:
        stream: `RowStream`.
        height: Of the images; an integer or a size of a graph.
    """
    counts = []
    for field in stream.output_fields:
        rows = field.y.length_of(height) + field.y.lag
        counts.append((rows + field.y.rows - 1) // field.y.rows)
    return functools.reduce(maximum, counts)
