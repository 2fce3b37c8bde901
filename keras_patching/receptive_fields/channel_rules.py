"""Rules of operations along what are no rows and columns."""

import dataclasses
import math

import keras

from keras_patching._keras_internals import settings_of
from keras_patching.receptive_fields.constants import (
    check_constant,
    shape_of,
)
from keras_patching.receptive_fields.errors import refusal, unbounded
from keras_patching.receptive_fields.pixel_rules import check_arguments, only
from keras_patching.receptive_fields.rules import (
    check_axes,
    merge,
)


def _axes(call, field, axes):
    """Return axes of a tensor, none of them of the batch, rows or columns."""
    if axes is None:
        raise unbounded(call.operation, "looks at the whole image (axis=None)")
    axes = [axes] if isinstance(axes, int) else list(axes)
    check_axes(call.operation, field, axes)
    return sorted({axis % field.rank for axis in axes})


def along_channels(call, fields):
    """Make something of all channels of a pixel, or the same of each."""
    field = only(call, fields)
    _axes(call, field, call.operation.axis)
    return field


def _scaled_along_channels(call, fields):
    field = along_channels(call, fields)
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
        check_arguments(call, fields[0])
    return merge(operation, fields)


def _reduce(call, fields):
    """Make one number of some channels of each pixel."""
    field, operation = only(call, fields), call.operation
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
    return placed(
        field,
        [axis for axis in range(field.rank) if axis not in axes],
    )


def placed(field, order):
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
    return placed(field, order)


def _with_axis(call, field, axis):
    order = list(range(field.rank))
    order.insert(axis, None)
    return _order(field, call, order)


def _one_hot(call, fields):
    (field,) = fields
    axis = call.operation.axis % (field.rank + 1)
    return _with_axis(call, field, axis)


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
    check_arguments(call, fields[0])
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
    field, operation = only(call, fields), call.operation
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


# By the names of their classes.
CHANNEL_RULES = {
    **dict.fromkeys(
        (
            *("Argpartition", "Argsort", "Cumprod", "Cumsum", "Diff", "Flip"),
            *("Glu", "LogSoftmax", "Nancumprod", "Nancumsum", "Normalize"),
            *("Roll", "Softmax", "Sort", "Sparsemax"),
        ),
        along_channels,
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
    "Concatenate": _concatenate,
    "Einsum": _einsum,
    "ExpandDims": _expand_dims,
    "Moveaxis": _moveaxis,
    "OneHot": _one_hot,
    "Reshape": _reshape,
    "Squeeze": _squeeze,
    "Stack": _stack,
    "Swapaxes": _swapaxes,
    "Take": _take,
    "TakeAlongAxis": _sorted_out,
    "Tile": _tile,
    "Transpose": _transpose,
    "Unstack": _unstack,
}
