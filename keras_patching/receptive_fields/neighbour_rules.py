"""Rules of operations that look at neighbours, or move pixels."""

from fractions import Fraction

from keras_patching.receptive_fields.channel_rules import along_channels, placed
from keras_patching.receptive_fields.constants import (
    shape_of,
)
from keras_patching.receptive_fields.errors import refusal, unbounded
from keras_patching.receptive_fields.pixel_rules import check_format, only
from keras_patching.receptive_fields.rules import (
    INTERPOLATION_RADIUS,
)


def _convolution(call, fields):
    field, operation = only(call, fields), call.operation
    check_format(call, field)
    name = (
        "kernel"
        if type(operation).__name__ != "SeparableConv"
        else ("depthwise_kernel")
    )
    kernel = shape_of(operation, call.argument(name))
    return field.window(
        kernel[:2],
        operation.strides,
        operation.dilation_rate,
        operation.padding.lower(),
    )


def _transposed_convolution(call, fields):
    field, operation = only(call, fields), call.operation
    check_format(call, field)
    return field.transposed_window(
        shape_of(operation, call.argument("kernel"))[:2],
        operation.strides,
        operation.dilation_rate,
        operation.padding.lower(),
        operation.output_padding,
    )


def _pooling(call, fields):
    field, operation = only(call, fields), call.operation
    check_format(call, field)
    return field.window(
        operation.pool_size,
        operation.strides or operation.pool_size,
        padding=operation.padding.lower(),
    )


def _depth_to_space(call, fields):
    field = only(call, fields)
    check_format(call, field)
    return field.enlarge(call.operation.block_size)


def _space_to_depth(call, fields):
    field, block = only(call, fields), call.operation.block_size
    check_format(call, field)
    return field.window(block, block, padding="valid")


def _repeat(call, fields):
    field, operation = only(call, fields), call.operation
    if operation.axis is None:
        raise unbounded(operation, "looks at the whole image (axis=None)")
    axis, repeats = operation.axis % field.rank, operation.repeats
    if axis not in field.axes:
        return along_channels(call, fields)
    if not isinstance(repeats, int):
        raise unbounded(operation, "repeats some rows more than others")
    factor = [repeats if axis == each else 1 for each in field.axes]
    return field.enlarge(tuple(factor))


def _resize(call, fields):
    field, operation = only(call, fields), call.operation
    check_format(call, field)
    factors = resizing_factors(call, field)
    is_plain = not (
        operation.crop_to_aspect_ratio or operation.pad_to_aspect_ratio
    )
    if factors is None or not is_plain:
        raise unbounded(
            operation, "resizes, but not to whole multiples of any size"
        )
    return field.enlarge(factors, INTERPOLATION_RADIUS[operation.interpolation])


def resizing_factors(call, field):
    """Return how many times as high and wide images get, or None."""
    factors = []
    for axis in field.axes:
        before, after = call.first.shape[axis], call.outputs[0].shape[axis]
        if None in (before, after) or Fraction(after, before).denominator > 1:
            return None
        factors.append(after // before)
    return tuple(factors)


def _pad(call, fields):
    field, operation = only(call, fields), call.operation
    widths = padding_of(call, field)
    others = [
        width
        for axis, width in enumerate(widths)
        if axis not in field.axes and width != (0, 0)
    ]
    if operation.mode == "constant":
        value = call.argument("constant_values")
        if shape_of(operation, value):
            raise refusal(operation, "pads with more than one number")
    if widths[0] != (0, 0):
        raise unbounded(operation, "pads the batch")
    padding = tuple(widths[axis] for axis in field.axes)
    if padding == ((0, 0), (0, 0)):
        return field
    if others:
        raise refusal(operation, "pads channels, rows and columns in one")
    if operation.mode == "constant":
        return field.pad(padding)
    if operation.mode in ("reflect", "symmetric", "edge"):
        return field.mirror(padding)
    raise refusal(operation, f"pads by mode={operation.mode!r}")


def padding_of(call, field):
    """Return `(before, after)` of each axis."""
    widths = call.operation.pad_width
    if isinstance(widths, int):
        widths = (widths,)
    widths = [
        (width, width) if isinstance(width, int) else tuple(width)
        for width in widths
    ]
    widths = [width * 2 if len(width) == 1 else width for width in widths]
    return widths * field.rank if len(widths) == 1 else widths


def _getitem(call, fields):
    field = only(call, fields)
    cuts = [[0, 0, 1], [0, 0, 1]]
    order = []
    for axis, item in read_key(call, field):
        if item is None:
            order.append(None)
        elif axis == 0 and item != slice(None):
            raise unbounded(call.operation, "picks images of a batch")
        elif axis in field.axes:
            cuts[field.axes.index(axis)] = _cut(call, item)
            order.append(axis)
        elif isinstance(item, slice):
            order.append(axis)
    if order[0] != 0:
        raise unbounded(call.operation, "mixes images of a batch")
    if cuts != [[0, 0, 1], [0, 0, 1]]:
        padding = tuple((-start, -stop) for start, stop, _ in cuts)
        strides = tuple(step for _, _, step in cuts)
        field = field.window(1, strides, padding=padding)
    return placed(field, order)


def read_key(call, field):
    """Return axis and item of each part of the key of `x[key]`.

    Returns:
        List of `(axis, item)`: an integer or a slice, or `(None, None)` of a
        new axis.
    """
    key = call.argument("key")
    key = list(key) if isinstance(key, (list, tuple)) else [key]
    if not all(
        item is None or item is Ellipsis or isinstance(item, (int, slice))
        for item in key
    ) or any(isinstance(item, bool) for item in key):
        raise refusal(call.operation, f"has the key {key}")
    count = sum(item is not None and item is not Ellipsis for item in key)
    rest = [slice(None)] * (field.rank - count)
    if Ellipsis in key:
        at = key.index(Ellipsis)
        key[at : at + 1] = rest
    else:
        key += rest
    axes = iter(range(field.rank))
    return [(None, None) if i is None else (next(axes), i) for i in key]


def _cut(call, item):
    """Return how many of both ends are cut off, and the step."""
    operation = call.operation
    if not isinstance(item, slice):
        raise unbounded(operation, "picks one row or column")
    start, stop, step = item.start or 0, item.stop or 0, item.step or 1
    if item.stop == 0 or start < 0 or stop > 0 or step < 0:
        raise unbounded(
            operation,
            f"picks [{item.start}:{item.stop}:{item.step}], other rows or "
            "columns of images of another size",
        )
    return [start, -stop, step]


# By the names of their classes.
NEIGHBOUR_RULES = {
    **dict.fromkeys(("Conv", "DepthwiseConv", "SeparableConv"), _convolution),
    **dict.fromkeys(("AveragePool", "MaxPool"), _pooling),
    "ConvTranspose": _transposed_convolution,
    "DepthToSpace": _depth_to_space,
    "GetItem": _getitem,
    "Pad": _pad,
    "Repeat": _repeat,
    "Resize": _resize,
    "SpaceToDepth": _space_to_depth,
}
