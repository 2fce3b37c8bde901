"""What each kind of layer does to a receptive field: one rule a kind.

A rule is a function `rule(layer, fields) -> field`: it takes the layer and the
`SpatialField` of each of its inputs, and returns that of its output. Nothing is
guessed. What a layer combines its inputs with, and is no input itself, is a
constant, and must be the same everywhere.

Layers are registered by class; those that no overlap helps are in `_UNBOUNDED`.
Operations, as in `x + y`, have theirs in `operation_rules`. A
rule for one input begins with `single`, which checks what all layers share.
What can be asked of a `SpatialField` is in `axes`.

A layer without a rule may be opened: see `opening`.
"""

import functools
from collections.abc import Callable

import keras

from keras_patching._keras_internals import EXPORT_MARKS, methods_put_into
from keras_patching.receptive_fields.constants import (
    check_constant,
    check_own_constants,
    shape_of,
)
from keras_patching.receptive_fields.errors import refusal, unbounded

_RULES: dict[type, Callable] = {}

# Why no rule could help, and no overlap.
_UNBOUNDED = {
    **dict.fromkeys(
        (
            keras.layers.AdaptiveAveragePooling2D,
            keras.layers.AdaptiveMaxPooling2D,
            keras.layers.AdditiveAttention,
            keras.layers.Attention,
            keras.layers.Flatten,
            keras.layers.GlobalAveragePooling2D,
            keras.layers.GlobalMaxPooling2D,
            keras.layers.GroupNormalization,
            keras.layers.GroupQueryAttention,
            keras.layers.MultiHeadAttention,
        ),
        "looks at the whole image",
    ),
    keras.layers.CenterCrop: "crops to a fixed size",
    keras.layers.Resizing: "resizes to a fixed size",
}

# What a subclass may override without computing anything else.
_HARMLESS_OVERRIDES = {
    *("__init__", "get_config", "from_config", "compute_mask"),
    *("compute_output_shape", "compute_output_spec"),
    # What Python and Keras write into every class.
    *("__module__", "__qualname__", "__doc__", "__dict__", "__weakref__"),
    *("__annotations__", "__firstlineno__", "__static_attributes__"),
    *("__parameters__", "__orig_bases__", "__abstractmethods__", "_abc_impl"),
    *EXPORT_MARKS,
}

# How far each interpolation of `UpSampling2D` looks.
INTERPOLATION_RADIUS = {
    "nearest": 0,
    "bilinear": 1,
    "bicubic": 2,
    "lanczos3": 3,
    "lanczos5": 5,
}


def register_rule(*layer_classes: type) -> Callable[[Callable], Callable]:
    """Decorator: register a function as the rule of some classes of layers.

    The rule also serves subclasses that override nothing that computes
    (`__init__`, `get_config` and the shape of the output are no matter).

    Args:
        *layer_classes: Classes of layers, models or `keras.Operation`s.

    Returns:
        A decorator for a function `rule(layer, fields) -> field`. `fields` is
        a list with one `SpatialField` per input tensor of rank 4; its methods
        `window` (convolution, pooling), `transposed_window`, `enlarge`, `pad`
        and `merge` give that of the output. A layer that looks at one pixel
        at a time returns what it is given. A layer with several outputs may
        return a list.

    Raises:
        ValueError: If it is given no classes, or what is none.

    Example:

    >>> class BlurPool(keras.layers.Layer):
    ...     def call(self, inputs):
    ...         return keras.ops.average_pool(inputs, 3, 2, padding="same")
    >>> @keras_patching.layers.register_rule(BlurPool)
    ... def blur_pool_rule(layer, fields):
    ...     (field,) = fields
    ...     return field.window(kernel_size=3, strides=2, padding="same")
    >>> model = keras.Sequential([keras.Input((None, None, 3)), BlurPool()])
    >>> keras_patching.receptive_field(model).stride
    (2, 2)
    """
    if not layer_classes or not all(map(_is_operation, layer_classes)):
        raise ValueError(
            "`register_rule` takes the classes that a rule is for, as in "
            f"@register_rule(BlurPool). Received: {layer_classes}"
        )

    def register(rule):
        _RULES.update(dict.fromkeys(layer_classes, rule))
        return rule

    return register


def _is_operation(value):
    return isinstance(value, type) and issubclass(value, keras.Operation)


def find_rule(layer):
    """Return the rule of a layer, or None."""
    return _RULES.get(find_kind(layer))


def find_kind(layer):
    """Return the class that a layer has the rule of, or None.

    Args:
        layer: A `keras.Operation`; all layers are.
    """
    for base in type(layer).__mro__:
        if base in _RULES and _computes_like(layer, base):
            return base
    return None


def _computes_like(layer, base):
    """Whether a layer overrides nothing that the rule of a class is of."""
    mro = type(layer).__mro__
    overridden = {
        name
        for subclass in mro[: mro.index(base)]
        for name in vars(subclass)
        if hasattr(base, name)
    }
    return overridden | methods_put_into(layer) <= _HARMLESS_OVERRIDES


def check_bounded(layer):
    """Refuse a layer that no rule could help, and no overlap."""
    for layer_class, reason in _UNBOUNDED.items():
        if isinstance(layer, layer_class):
            raise unbounded(layer, reason)


def single(layer, fields):
    """Return the only input, after the checks that all layers share."""
    if len(fields) != 1:
        raise refusal(layer, f"has {len(fields)} inputs instead of one")
    (field,) = fields
    data_format = getattr(layer, "data_format", None)
    if field.data_format is None:
        raise refusal(layer, "is given no images, but what has other axes")
    if data_format not in (None, field.data_format):
        raise refusal(
            layer,
            f"is {data_format}, but the patch model is {field.data_format}",
        )
    check_own_constants(layer, field)
    return field


def check_axes(layer, field, axes):
    """Refuse a layer that looks along other axes than the channels."""
    axes = {axis % field.rank for axis in axes if axis is not None}
    if not axes <= set(field.channel_axes):
        raise unbounded(layer, "looks along height or width")


@register_rule(
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
)
def _convolution(layer, fields):
    return single(layer, fields).window(
        layer.kernel_size, layer.strides, layer.dilation_rate, layer.padding
    )


@register_rule(keras.layers.Conv2DTranspose)
def _transposed_convolution(layer, fields):
    return single(layer, fields).transposed_window(
        layer.kernel_size,
        layer.strides,
        layer.dilation_rate,
        layer.padding,
        layer.output_padding,
    )


@register_rule(keras.layers.AveragePooling2D, keras.layers.MaxPooling2D)
def _pooling(layer, fields):
    return single(layer, fields).window(
        layer.pool_size, layer.strides, padding=layer.padding
    )


@register_rule(keras.layers.UpSampling2D)
def _upsampling(layer, fields):
    radius = INTERPOLATION_RADIUS[layer.interpolation]
    return single(layer, fields).enlarge(layer.size, radius)


@register_rule(keras.layers.ZeroPadding2D)
def _zero_padding(layer, fields):
    return single(layer, fields).pad(layer.padding)


@register_rule(keras.layers.Cropping2D)
def _cropping(layer, fields):
    top_bottom, left_right = layer.cropping
    return single(layer, fields).pad(
        ([-n for n in top_bottom], [-n for n in left_right])
    )


@register_rule(
    keras.layers.Activation,
    keras.layers.ActivityRegularization,
    keras.layers.AlphaDropout,
    keras.layers.Dropout,
    keras.layers.ELU,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.Identity,
    keras.layers.LeakyReLU,
    keras.layers.ReLU,
    keras.layers.SpatialDropout2D,
)
def _pointwise(layer, fields):
    return single(layer, fields)


@register_rule(
    keras.layers.BatchNormalization,
    keras.layers.LayerNormalization,
    keras.layers.Normalization,
    keras.layers.RMSNormalization,
    keras.layers.Softmax,
    keras.layers.UnitNormalization,
)
def _over_channels(layer, fields):
    field = single(layer, fields)
    check_axes(layer, field, keras.tree.flatten(layer.axis))
    return field


@register_rule(keras.layers.Dense)
def _dense(layer, fields):
    field = single(layer, fields)
    check_axes(layer, field, (-1,))
    return field


@register_rule(keras.layers.PReLU)
def _prelu(layer, fields):
    if set(fields[0].axes) - set(layer.shared_axes or ()):
        raise unbounded(
            layer,
            "has weights for each row or column (shared_axes=[1, 2] has not)",
        )
    return single(layer, fields)


@register_rule(keras.layers.Rescaling)
def _rescaling(layer, fields):
    field = single(layer, fields)
    scale, offset = (shape_of(layer, n) for n in (layer.scale, layer.offset))
    if scale and keras.config.image_data_format() == "channels_first":
        scale += (1,) * (3 - len(scale))
    check_constant(layer, field, scale)
    check_constant(layer, field, offset)
    return field


@register_rule(
    keras.layers.Add,
    keras.layers.Average,
    keras.layers.Maximum,
    keras.layers.Minimum,
    keras.layers.Multiply,
    keras.layers.Subtract,
)
def _merge(layer, fields):
    check_own_constants(layer, fields[0])
    return merge(layer, fields)


def merge(layer, fields):
    """Return the field of what a layer makes of several, pixel by pixel."""
    for field in fields[1:]:
        if field.directions != fields[0].directions:
            raise unbounded(layer, "merges an image with its mirror image")
        if not field.fits(fields[0]):
            raise refusal(layer, "merges tensors of different sizes")
    return functools.reduce(lambda one, other: one.merge(other), fields)


@register_rule(keras.layers.Concatenate)
def _concatenate(layer, fields):
    check_axes(layer, fields[0], (layer.axis,))
    return _merge(layer, fields)


# What augments images in training leaves them as they are otherwise.
_AUGMENTATIONS = (
    *("AugMix", "CutMix", "MixUp", "RandAugment", "RandomBrightness"),
    *("RandomColorDegeneration", "RandomColorJitter", "RandomContrast"),
    *("RandomElasticTransform", "RandomErasing", "RandomFlip"),
    *("RandomGaussianBlur", "RandomGrayscale", "RandomHue", "RandomInvert"),
    *("RandomPerspective", "RandomPosterization", "RandomRotation"),
    *("RandomSaturation", "RandomSharpness", "RandomShear"),
    *("RandomTranslation", "RandomZoom"),
)
register_rule(
    *(
        getattr(keras.layers, name)
        for name in _AUGMENTATIONS
        if hasattr(keras.layers, name)
    )
)(_pointwise)
