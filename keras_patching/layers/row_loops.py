"""Loops over the bands of images, in the way of each backend.

The outputs of large images are larger than all else together: so jax writes
them in place in what a loop carries on, torch into a tensor that is there, and
tensorflow collects them.
"""

import keras
from keras import ops

from keras_patching.layers.row_layers import spatial_axes, take_rows


def stream_rows(stream, images):
    """Run a `RowStream` on all rows of images.

    Args:
        stream: `RowStream`.
        images: Tensor `(batch, height, width, channels)`.

    Returns:
        List of its outputs.
    """
    loops = {
        "jax": _write_in_place,
        "torch": _write_into,
        "tensorflow": _collect,
    }
    return loops[keras.backend.backend()](stream, images)


def _write_in_place(stream, images):
    row_axis, column_axis = spatial_axes(stream.input_field)
    batch_size, width = images.shape[0], images.shape[column_axis]
    height = images.shape[row_axis]
    images = _at_least(stream.rows, images, row_axis)
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
            _write(output, earlier, rows, k * field.y.rows - field.y.lag, axis)
            for output, earlier, rows, field, axis in zip(
                outputs,
                before,
                made,
                stream.output_fields,
                [row_axis] * len(made),
                strict=True,
            )
        ]
        return (state, outputs, made), None

    state = stream.initial_state(batch_size, width)
    steps = ops.arange(_count_steps(stream, height), dtype="int32")
    (_, outputs, _), _ = ops.scan(step, (state, outputs, before), steps)
    return [
        take_rows(output, field, 0, field.y.length_of(height))
        for output, field in zip(outputs, stream.output_fields, strict=True)
    ]


def _write(output, before, made, first, row_axis):
    """Write the rows of a step, the first of which is row `first`.

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
    images = _at_least(stream.rows, images, row_axis)
    for k in range(_count_steps(stream, height)):
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
    import tensorflow as tf

    row_axis, column_axis = spatial_axes(stream.input_field)
    sizes = ops.shape(images)
    batch_size, height, width = (sizes[i] for i in (0, row_axis, column_axis))
    num_steps = _count_steps(stream, height)
    images = _at_least(num_steps * stream.rows, images, row_axis)
    state = stream.initial_state(batch_size, width)
    outputs = [
        stream.blank_output(index, batch_size, field.y.rows, width)
        for index, field in enumerate(stream.output_fields)
    ]
    arrays = [
        tf.TensorArray(output.dtype, num_steps, element_shape=output.shape)
        for output in outputs
    ]

    def step(k, state, arrays):
        offset, shape = [0, 0, 0, 0], [*sizes]
        offset[row_axis], shape[row_axis] = k * stream.rows, stream.rows
        rows = ops.slice(images, offset, shape)
        made, state = stream.step(state, rows, k * stream.rows, height)
        arrays = [
            array.write(k, rows)
            for array, rows in zip(arrays, made, strict=True)
        ]
        return k + 1, state, arrays

    _, _, arrays = tf.while_loop(
        lambda k, *_: k < num_steps,
        step,
        (tf.constant(0), state, arrays),
        shape_invariants=(
            tf.TensorShape([]),
            [tf.TensorShape(each.shape) for each in state],
            [tf.TensorShape(None) for _ in arrays],
        ),
    )
    return [
        _join_bands(array.stack(), output, field, height)
        for array, output, field in zip(
            arrays, outputs, stream.output_fields, strict=True
        )
    ]


def _join_bands(bands, band, field, height):
    """Make an image of the bands `(steps, *band)` of all steps."""
    row_axis, _ = spatial_axes(field)
    shape = list(ops.shape(band))
    shape[row_axis] = -1
    rows = ops.reshape(ops.moveaxis(bands, 0, row_axis), shape)
    lag = field.y.lag
    return take_rows(rows, field, lag, lag + field.y.length_of(height))


def _at_least(rows, images, row_axis):
    """Pad images that have fewer rows, with what is never looked at."""
    missing = rows - ops.shape(images)[row_axis]
    if isinstance(missing, int) and missing <= 0:
        return images
    widths = [(0, 0)] * 4
    widths[row_axis] = (0, ops.maximum(missing, 0))
    return ops.pad(images, widths)


def _count_steps(stream, height):
    """Count the steps until all rows of all outputs are made."""
    counts = [
        -(-(field.y.length_of(height) + field.y.lag) // field.y.rows)
        for field in stream.output_fields
    ]
    most = counts[0]
    for count in counts[1:]:
        are_known = isinstance(count, int) and isinstance(most, int)
        most = max(most, count) if are_known else ops.maximum(most, count)
    return most
