"""Rules of operations that look at one pixel at a time."""

import keras

from keras_patching._keras_internals import settings_of
from keras_patching.receptive_fields.constants import (
    check_constant,
    check_constants,
    shape_of,
)
from keras_patching.receptive_fields.errors import refusal, unbounded
from keras_patching.receptive_fields.rules import (
    check_axes,
    merge,
)


def _pointwise(call, fields):
    """Combine tensors of the same size and numbers, pixel by pixel."""
    for value in settings_of(call.operation).values():
        check_constant(
            call.operation, fields[0], shape_of(call.operation, value)
        )
    check_arguments(call, fields[0])
    return merge(call.operation, fields)


def check_arguments(call, field):
    """Refuse constants among the arguments that differ between pixels."""
    check_constants(
        call.operation, field, (*call.args, call.kwargs), call.constants
    )


def _where(call, fields):
    if call.argument("x1") is None or call.argument("x2") is None:
        raise unbounded(call.operation, "makes a list of pixels")
    return _pointwise(call, fields)


def _batch_normalization(call, fields):
    field = only(call, fields)
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


def only(call, fields):
    """Return the field of the only input that has rows and columns.

    It must be the first argument; others are constants.
    """
    if len(fields) != 1 or call.first is not call.tensors[0]:
        raise refusal(call.operation, "is given several images, or not first")
    return fields[0]


def _color(call, fields):
    field = only(call, fields)
    check_format(call, field)
    return field


def check_format(call, field):
    """Refuse an operation on images that are in the other data format."""
    expected = call.operation.data_format or keras.config.image_data_format()
    if field.data_format != expected:
        raise refusal(
            call.operation,
            f"is {expected}, and is given a tensor of {field.rank} axes whose "
            f"rows and columns are the axes {field.axes}",
        )


# By the names of their classes.
PIXEL_RULES = {
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
    **dict.fromkeys(("HSVToRGB", "RGBToGrayscale", "RGBToHSV"), _color),
    "BatchNorm": _batch_normalization,
    "Where": _where,
}
