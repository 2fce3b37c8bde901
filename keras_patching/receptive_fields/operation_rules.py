"""What each operation of Keras does to a receptive field.

Operations, as in `x + y`, are what a functional model records beside layers,
and what is found inside of layers that are opened. A rule is a function
`rule(call, fields) -> field`: it takes the `Call`, whose arguments it reads,
and the `SpatialField` of each input that has rows and columns. Keras does not
export the classes of operations: they are known by their names.
"""

import dataclasses
import math
from fractions import Fraction

import keras

from keras_patching._keras_internals import settings_of
from keras_patching.receptive_fields.constants import (
    check_constant,
    check_constants,
    shape_of,
)
from keras_patching.receptive_fields.errors import refusal, unbounded
from keras_patching.receptive_fields.rules import (
    INTERPOLATION_RADIUS,
    check_axes,
    merge,
)


def find_operation_rule(operation):
    """Return the rule of an operation of Keras, or None."""
    return _RULES.get(operation_kind(operation))


def operation_kind(operation):
    """Return the name that an operation of Keras has its rule by, or None."""
    if isinstance(operation, keras.layers.Layer):
        return None
    if not type(operation).__module__.startswith("keras."):
        return None
    name = type(operation).__name__
    return name if name in _RULES else None


# Pixel by pixel


def _pointwise(call, fields):
    """Combine tensors of the same size and numbers, pixel by pixel."""
    for value in settings_of(call.operation).values():
        check_constant(
            call.operation, fields[0], shape_of(call.operation, value)
        )
    _check_arguments(call, fields[0])
    return merge(call.operation, fields)


def _check_arguments(call, field):
    check_constants(
        call.operation, field, (*call.args, call.kwargs), call.constants
    )


def _where(call, fields):
    if call.argument("x1") is None or call.argument("x2") is None:
        raise unbounded(call.operation, "makes a list of pixels")
    return _pointwise(call, fields)


def _one_hot(call, fields):
    (field,) = fields
    axis = call.operation.axis % (field.rank + 1)
    return _with_axis(call, field, axis)


def _batch_normalization(call, fields):
    field = _only(call, fields)
    check_axes(call.operation, field, (call.operation.axis,))
    for value in (*call.args[1:], *call.kwargs.values()):
        if (
            value is not call.tensors[0]
            and len(shape_of(call.operation, value)) > 1
        ):
            check_constant(
                call.operation, field, shape_of(call.operation, value)
            )
    return field


def _only(call, fields):
    """Return the field of the only input that has rows and columns.

    It must be the first argument; others are constants.
    """
    if len(fields) != 1 or call.first is not call.tensors[0]:
        raise refusal(call.operation, "is given several images, or not first")
    return fields[0]


def _color(call, fields):
    field = _only(call, fields)
    _check_format(call, field)
    return field


def _check_format(call, field):
    """Refuse an operation on images that are in the other data format."""
    expected = call.operation.data_format or keras.config.image_data_format()
    if field.data_format != expected:
        raise refusal(
            call.operation,
            f"is {expected}, and is given a tensor of {field.rank} axes whose "
            f"rows and columns are the axes {field.axes}",
        )


# Along channels


def _axes(call, field, axes):
    """Return axes of a tensor, none of them of the batch, rows or columns."""
    if axes is None:
        raise unbounded(call.operation, "looks at the whole image (axis=None)")
    axes = [axes] if isinstance(axes, int) else list(axes)
    check_axes(call.operation, field, axes)
    return sorted({axis % field.rank for axis in axes})


def _along_channels(call, fields):
    """Make something of all channels of a pixel, or the same of each."""
    field = _only(call, fields)
    _axes(call, field, call.operation.axis)
    return field


def _scaled_along_channels(call, fields):
    field = _along_channels(call, fields)
    for value in (*call.args[1:], *call.kwargs.values()):
        if value is not call.first and len(shape_of(call.operation, value)) > 1:
            check_constant(
                call.operation, field, shape_of(call.operation, value)
            )
    if _axes(call, field, call.operation.axis) != [field.rank - 1]:
        raise refusal(call.operation, "scales other axes than the last")
    return field


def _sorted_out(call, fields):
    """Pick some channels of each pixel, by numbers or by other images."""
    operation, axis = call.operation, call.operation.axis
    if call.first is call.tensors[0]:
        _axes(call, fields[0], axis)
    else:
        raise refusal(operation, "picks from a constant")
    if len(fields) == 1:
        _check_arguments(call, fields[0])
    return merge(operation, fields)


def _reduce(call, fields):
    """Make one number of some channels of each pixel."""
    field, operation = _only(call, fields), call.operation
    axes = getattr(operation, "axis", getattr(operation, "axes", None))
    axes = _axes(call, field, axes)
    for name, value in settings_of(operation).items():
        if name not in ("axis", "axes"):
            check_constant(operation, field, shape_of(operation, value))
    for value in (*call.args[1:], *call.kwargs.values()):
        if value is not call.first and shape_of(operation, value) not in (
            (),
            (call.first.shape[axes[0]],),
        ):
            raise refusal(operation, "is given numbers of more axes than one")
    if getattr(operation, "keepdims", False):
        return field
    return _without_axes(field, axes)


def _without_axes(field, axes):
    """Return the field of a tensor that has lost some axes."""
    return _placed(
        field,
        [axis for axis in range(field.rank) if axis not in axes],
    )


def _placed(field, order):
    """Return the field of a tensor whose axes stand in another order.

    Args:
        field: `SpatialField`.
        order: Which axis each axis was; `None` of a new one.
    """
    return dataclasses.replace(
        field,
        axes=tuple(order.index(axis) for axis in field.axes),
        rank=len(order),
    )


def _order(field, call, order):
    """Return the field after axes changed places; the batch stays first."""
    if order[0] != 0:
        raise unbounded(call.operation, "mixes images of a batch")
    return _placed(field, order)


def _with_axis(call, field, axis):
    order = list(range(field.rank))
    order.insert(axis, None)
    return _order(field, call, order)


def _expand_dims(call, fields):
    (field,), order = fields, []
    axes = call.operation.axis
    axes = [axes] if isinstance(axes, int) else list(axes)
    rank = field.rank + len(axes)
    added = {axis % rank for axis in axes}
    old = iter(range(field.rank))
    order = [None if axis in added else next(old) for axis in range(rank)]
    return _order(field, call, order)


def _squeeze(call, fields):
    (field,) = fields
    axes = call.operation.axis
    if axes is None:
        raise refusal(call.operation, "drops the axes that happen to be one")
    return _without_axes(field, _axes(call, field, axes))


def _transpose(call, fields):
    (field,) = fields
    axes = call.operation.axes
    if axes is None:
        axes = reversed(range(field.rank))
    return _order(field, call, [axis % field.rank for axis in axes])


def _swapaxes(call, fields):
    (field,) = fields
    one, other = call.operation.axis1, call.operation.axis2
    order = list(range(field.rank))
    order[one], order[other] = order[other], order[one]
    return _order(field, call, order)


def _moveaxis(call, fields):
    (field,), operation = fields, call.operation
    source, destination = (
        [each % field.rank]
        if isinstance(each, int)
        else [axis % field.rank for axis in each]
        for each in (operation.source, operation.destination)
    )
    order = [axis for axis in range(field.rank) if axis not in source]
    for place, axis in sorted(zip(destination, source, strict=True)):
        order.insert(place, axis)
    return _order(field, call, order)


def _concatenate(call, fields):
    _axes(call, fields[0], call.operation.axis)
    _check_arguments(call, fields[0])
    return merge(call.operation, fields)


def _stack(call, fields):
    field = merge(call.operation, fields)
    if call.constants or len(call.tensors) != len(
        keras.tree.flatten((call.args, call.kwargs))
    ):
        raise refusal(call.operation, "stacks constants and images")
    return _with_axis(call, field, call.operation.axis % (field.rank + 1))


def _split(call, fields):
    (field,) = fields
    _axes(call, field, call.operation.axis)
    return field


def _unstack(call, fields):
    (field,) = fields
    return _without_axes(field, _axes(call, field, call.operation.axis))


def _take(call, fields):
    operation, indices = call.operation, call.argument("indices")
    if len(fields) != 1:
        raise unbounded(operation, "looks up pixels by others")
    (field,) = fields
    if call.first is not call.tensors[0]:
        return _look_up(call, field)
    (axis,) = _axes(call, field, operation.axis)
    order = list(range(field.rank))
    order[axis : axis + 1] = [None] * len(shape_of(operation, indices))
    return _order(field, call, order)


def _look_up(call, field):
    """Look each pixel up in a table of numbers."""
    axis, shape = call.operation.axis, shape_of(call.operation, call.first)
    if axis != 0:
        raise refusal(call.operation, "looks up along another axis than 0")
    order = [*range(field.rank), *[None] * (len(shape) - 1)]
    return _order(field, call, order)


def _tile(call, fields):
    (field,), repeats = fields, call.operation.repeats
    repeats = [repeats] if isinstance(repeats, int) else list(repeats)
    repeats = [1] * (field.rank - len(repeats)) + repeats
    if len(repeats) != field.rank or any(
        repeats[axis] != 1 for axis in (0, *field.axes)
    ):
        raise unbounded(call.operation, "repeats the whole image")
    return field


def _reshape(call, fields):
    """Split or join channels; rows and columns stay what they are."""
    (field,), operation = fields, call.operation
    before, after = call.first.shape, call.outputs[0].shape
    y, x = field.axes
    parts = before[1:y], before[y + 1 : x], before[x + 1 :]
    for y_after in range(1, len(after)):
        for x_after in range(y_after + 1, len(after)):
            new_parts = (
                after[1:y_after],
                after[y_after + 1 : x_after],
                after[x_after + 1 :],
            )
            is_same = (
                (after[y_after], after[x_after]) == (before[y], before[x])
                and after[0] in (None, before[0])
                and all(map(_same_size, parts, new_parts))
            )
            if is_same:
                return _placed_at(field, (y_after, x_after), len(after))
    raise refusal(
        operation,
        f"makes {tuple(after)} of {tuple(before)}, which is not only of the "
        "channels",
    )


def _same_size(shape, other):
    return None not in (*shape, *other) and math.prod(shape) == math.prod(other)


def _matmul(call, fields):
    """Multiply all channels of each pixel by a matrix."""
    field, operation = _only(call, fields), call.operation
    shape = shape_of(operation, call.argument("x2"))
    axes = getattr(operation, "axes", 1)
    is_last = axes == 1 or [
        list(each) if isinstance(each, (list, tuple)) else [each]
        for each in (axes if isinstance(axes, (list, tuple)) else [axes])
    ] in ([[-1], [0]], [[field.rank - 1], [0]])
    if len(shape) != 2 or not is_last:
        raise refusal(operation, f"multiplies by numbers of shape {shape}")
    check_axes(operation, field, (-1,))
    return field


def _einsum(call, fields):
    """Sum over channels, by the letters of `subscripts`."""
    operation = call.operation
    taken, _, made = operation.subscripts.replace(" ", "").partition("->")
    operands, letters = list(call.args), taken.split(",")
    if not made or call.kwargs or len(letters) != len(operands):
        raise refusal(operation, "has subscripts that are not known")
    by_tensor = dict(zip(map(id, call.tensors), fields, strict=True))
    places, of_constants = set(), set()
    for operand, each in zip(operands, letters, strict=True):
        field = by_tensor.get(id(operand))
        if field is None:
            of_constants |= set(each)
            continue
        each = _without_ellipsis(each, field.rank)
        made = _without_ellipsis(made, field.rank)
        places.add((each[0], *(each[axis] for axis in field.axes)))
    first = min(places)
    if (
        len(places) > 1
        or set(first) & of_constants
        or "." in of_constants
        or made[0] != first[0]
        or not set(first) <= set(made)
    ):
        raise unbounded(operation, "looks along height or width")
    merged = merge(
        operation, [_placed_at(field, (1, 2), 3) for field in fields]
    )
    return _placed_at(merged, tuple(map(made.index, first[1:])), len(made))


def _without_ellipsis(letters, rank):
    """Write digits for the first axes, where an ellipsis stands for them."""
    before, dots, after = letters.partition("...")
    if not dots or before:
        return letters
    return "0123456789"[: rank - len(after)] + after


def _placed_at(field, axes, rank):
    return dataclasses.replace(field, axes=axes, rank=rank)


# Neighbours


def _convolution(call, fields):
    field, operation = _only(call, fields), call.operation
    _check_format(call, field)
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
    field, operation = _only(call, fields), call.operation
    _check_format(call, field)
    return field.transposed_window(
        shape_of(operation, call.argument("kernel"))[:2],
        operation.strides,
        operation.dilation_rate,
        operation.padding.lower(),
        operation.output_padding,
    )


def _pooling(call, fields):
    field, operation = _only(call, fields), call.operation
    _check_format(call, field)
    return field.window(
        operation.pool_size,
        operation.strides or operation.pool_size,
        padding=operation.padding.lower(),
    )


def _depth_to_space(call, fields):
    field = _only(call, fields)
    _check_format(call, field)
    return field.enlarge(call.operation.block_size)


def _space_to_depth(call, fields):
    field, block = _only(call, fields), call.operation.block_size
    _check_format(call, field)
    return field.window(block, block, padding="valid")


def _repeat(call, fields):
    field, operation = _only(call, fields), call.operation
    if operation.axis is None:
        raise unbounded(operation, "looks at the whole image (axis=None)")
    axis, repeats = operation.axis % field.rank, operation.repeats
    if axis not in field.axes:
        return _along_channels(call, fields)
    if not isinstance(repeats, int):
        raise unbounded(operation, "repeats some rows more than others")
    factor = [repeats if axis == each else 1 for each in field.axes]
    return field.enlarge(tuple(factor))


def _resize(call, fields):
    field, operation = _only(call, fields), call.operation
    _check_format(call, field)
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
    field, operation = _only(call, fields), call.operation
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
    field = _only(call, fields)
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
    return _placed(field, order)


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
_RULES = {
    **dict.fromkeys(
        (
            *("Abs", "Absolute", "Add", "Angle", "Arccos", "Arccosh"),
            *("Array", "Arcsin", "Arcsinh", "Arctan", "Arctan2", "Arctanh"),
            *("BitwiseAnd", "BitwiseInvert", "BitwiseLeftShift", "BitwiseNot"),
            *("BitwiseOr", "BitwiseRightShift", "BitwiseXor", "Cast", "Cbrt"),
            *("Ceil", "Celu", "Clip", "Conj", "Conjugate", "ConvertToTensor"),
            *("Copy", "Cos", "Cosh", "Deg2rad", "Divide", "DivideNoNan"),
            *("Elu", "Equal", "Erf", "Erfc", "Erfinv", "Exp", "Exp2", "Expm1"),
            *("Fabs", "Floor", "FloorDivide", "Fmax", "Fmin", "Fmod"),
            *("FullLike", "Gcd", "Gelu", "Greater", "GreaterEqual"),
            *("HardShrink", "HardSigmoid", "HardSilu", "HardTanh"),
            *("Heaviside", "Hypot", "I0", "Imag", "Isclose", "Isfinite"),
            *("Isinf", "Isnan", "Isneginf", "Isposinf", "Isreal", "Lcm"),
            *("Ldexp", "LeakyRelu", "LeftShift", "Less", "LessEqual", "Log"),
            *("Log10", "Log1p", "Log2", "LogSigmoid", "Logaddexp"),
            *("Logaddexp2", "LogicalAnd", "LogicalNot", "LogicalOr"),
            *("LogicalXor", "Maximum", "Minimum", "Mish", "Mod", "Multiply"),
            *("NanToNum", "Negative", "Nextafter", "NotEqual", "OnesLike"),
            *("Polar", "Power", "Rad2deg", "ReLU", "Real", "Reciprocal"),
            *("Relu", "Relu6", "RightShift", "Round", "Rsqrt"),
            *("SaturateCast", "Select", "Selu", "Sigmoid", "Sign", "Signbit"),
            *("Silu", "Sin", "Sinc", "Sinh", "SoftShrink", "Softplus"),
            *("Softsign", "SparsePlus", "SparseSigmoid", "Sqrt", "Square"),
            *("Squareplus", "StopGradient", "Subtract", "Tan", "Tanh"),
            *("TanhShrink", "Threshold", "TrueDivide", "Trunc", "ZerosLike"),
        ),
        _pointwise,
    ),
    **dict.fromkeys(
        (
            *("Argpartition", "Argsort", "Cumprod", "Cumsum", "Diff", "Flip"),
            *("Glu", "LogSoftmax", "Nancumprod", "Nancumsum", "Normalize"),
            *("Roll", "Softmax", "Sort", "Sparsemax"),
        ),
        _along_channels,
    ),
    **dict.fromkeys(
        (
            *("All", "Amax", "Amin", "Any", "Argmax", "Argmin", "Average"),
            *("CountNonzero", "Logsumexp", "Max", "Mean", "Median", "Min"),
            *("Moments", "Nanargmax", "Nanargmin", "Nanmax", "Nanmean"),
            *("Nanmedian", "Nanmin", "Nanprod", "Nanstd", "Nansum", "Nanvar"),
            *("Prod", "Ptp", "Std", "Sum", "Var"),
        ),
        _reduce,
    ),
    **dict.fromkeys(("Dot", "Matmul", "Tensordot"), _matmul),
    **dict.fromkeys(("LayerNorm", "RMSNorm"), _scaled_along_channels),
    **dict.fromkeys(("ArraySplit", "Split"), _split),
    **dict.fromkeys(("Conv", "DepthwiseConv", "SeparableConv"), _convolution),
    **dict.fromkeys(("AveragePool", "MaxPool"), _pooling),
    **dict.fromkeys(("HSVToRGB", "RGBToGrayscale", "RGBToHSV"), _color),
    "BatchNorm": _batch_normalization,
    "Concatenate": _concatenate,
    "ConvTranspose": _transposed_convolution,
    "DepthToSpace": _depth_to_space,
    "Einsum": _einsum,
    "ExpandDims": _expand_dims,
    "GetItem": _getitem,
    "Moveaxis": _moveaxis,
    "OneHot": _one_hot,
    "Pad": _pad,
    "Repeat": _repeat,
    "Reshape": _reshape,
    "Resize": _resize,
    "SpaceToDepth": _space_to_depth,
    "Squeeze": _squeeze,
    "Stack": _stack,
    "Swapaxes": _swapaxes,
    "Take": _take,
    "TakeAlongAxis": _sorted_out,
    "Tile": _tile,
    "Transpose": _transpose,
    "Unstack": _unstack,
    "Where": _where,
}
