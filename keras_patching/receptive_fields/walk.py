"""How far a patch model looks, and what that means for tiles of an image."""

import dataclasses
import math

import keras

from keras_patching._keras_internals import operation_of
from keras_patching.geometry import round_up
from keras_patching.receptive_fields.axes import FieldAxis, SpatialField
from keras_patching.receptive_fields.calls import input_spec
from keras_patching.receptive_fields.errors import describe
from keras_patching.receptive_fields.nets import Net
from keras_patching.receptive_fields.rules import register_rule

__all__ = ["ReceptiveField", "receptive_field", "register_rule"]

# So far inside of an image that no layer meets its edge, in strides.
_FAR_INSIDE = 2**32


@dataclasses.dataclass(frozen=True)
class ReceptiveField:
    """How far a patch model looks, in input pixels.

    Attributes:
        top, bottom, left, right: The halo: how many pixels beyond itself an
            output pixel sees at most. (One at 1/4 of the scale is 4 x 4 pixels
            itself.)
        stride: `(height, width)`, what origins and sizes of tiles must be
            multiples of, so that all strides of the model fall on the same
            pixels in a tile and in the whole image.
        margin: `(height, width)`, how many pixels along an edge of a tile
            differ from the prediction of the whole image, where origin and
            size of the tile are multiples of `stride`. That is less than the
            halo where a model of stride s looks at blocks of s pixels: tiles
            do not cut these.
    """

    top: int
    bottom: int
    left: int
    right: int
    stride: tuple[int, int]
    margin: tuple[int, int]

    @property
    def halo(self):
        """`(height, width)`: the larger of both sides."""
        return max(self.top, self.bottom), max(self.left, self.right)

    @property
    def overlap(self):
        """`(height, width)`: the overlap of tiles that leaves no seam.

        It is twice the margin, rounded up to `stride`. With
        `multiple_of=stride` and `blend="crop"`, tiles give what the patch model
        gives on the whole image, padded at the bottom and right to multiples
        of `stride`.
        """
        height, width = (
            2 * round_up(margin, stride)
            for margin, stride in zip(self.margin, self.stride, strict=True)
        )
        return height, width


def receptive_field(
    patch_model: keras.layers.Layer, *, data_format: str | None = None
) -> ReceptiveField:
    """Derive from its layers how far a patch model looks.

    No weights are looked at and nothing is run: every layer has a rule, or is
    opened, so that the rules of what is inside tell. After Araujo et al. 2019,
    "Computing receptive fields of convolutional neural networks"
    (https://doi.org/10.23915/distill.00021).

    Args:
        patch_model: `keras.Model` with one input `(batch, height, width,
            channels)`, or a layer. All of its outputs must be of rank 4, both
            axes k times or 1/k of the input. Models may be nested in it, and
            layers be shared. Subclassed models must be built.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to
            `keras.config`'s.

    Returns:
        A `ReceptiveField`. With several outputs, it is large enough for all.

    Raises:
        ValueError: If a layer looks at the whole image (global pooling,
            attention, normalization over height and width, say), or works in
            training mode; if it has no rule (see `register_rule`) and its
            `call` cannot be recorded on symbolic tensors of unknown size; or
            if an output is not k times or 1/k of the input (as after `valid`
            convolutions). The layer is named.

    Example:

    >>> model = keras.Sequential(
    ...     [
    ...         keras.Input((None, None, 3)),
    ...         keras.layers.Conv2D(8, 3, padding="same"),
    ...         keras.layers.MaxPooling2D(),
    ...         keras.layers.Conv2D(8, 3, padding="same"),
    ...         keras.layers.UpSampling2D(),
    ...     ]
    ... )
    >>> field = keras_patching.receptive_field(model)
    >>> field.top, field.bottom, field.stride, field.margin, field.overlap
    (4, 4, (2, 2), (4, 4), (8, 8))
    """
    data_format = data_format or keras.config.image_data_format()
    net = net_of(patch_model, data_format)
    return field_of_net(patch_model, net, data_format)


def field_of_net(patch_model, net, data_format):
    """Return the `ReceptiveField` of a patch model, given its `Net`."""

    def outputs_after_cut(cut_y, cut_x):
        axes = (FieldAxis(start=cut, end=-cut) for cut in (cut_y, cut_x))
        fields = net.fields_of(SpatialField.of_images(*axes, data_format))
        return [fields[number] for number in net.outputs]

    outputs = outputs_after_cut(0, 0)
    _check_outputs(patch_model, outputs, data_format)
    y_axes, x_axes = ([f.y for f in outputs], [f.x for f in outputs])
    stride = _common_stride(y_axes), _common_stride(x_axes)
    # A cut inside of an image, at each phase of the stride.
    top = bottom = left = right = 0
    for phase in range(max(stride)):
        cut_y, cut_x = (_FAR_INSIDE * s + phase for s in stride)
        for field in outputs_after_cut(cut_y, cut_x):
            top = max(top, _seen_before(field.y, cut_y))
            bottom = max(bottom, _seen_after(field.y, cut_y))
            left = max(left, _seen_before(field.x, cut_x))
            right = max(right, _seen_after(field.x, cut_x))
    margin = _largest_margin(y_axes), _largest_margin(x_axes)
    return ReceptiveField(top, bottom, left, right, stride, margin)


def net_of(patch_model, data_format, training=False):
    """Return the `Net` of a patch model, as of a training or not.

    Raises:
        ValueError: As `receptive_field` does of single layers.
    """
    field = SpatialField.of_images(FieldAxis(), FieldAxis(), data_format)
    spec = input_spec(patch_model, data_format)
    return Net(patch_model, spec, field, training)


def _common_stride(axes):
    return math.lcm(*(axis.stride for axis in axes))


def _largest_margin(axes):
    """Pixels that a cut at the edge of a tensor spoils, on either side."""
    return max(
        math.ceil(max(axis.start, axis.length - axis.end) * axis.scale)
        for axis in axes
    )


def _seen_before(axis, cut):
    """How far the last output that sees a pixel before the cut is from it."""
    return math.floor((axis.start - 1) * axis.scale) - (cut - 1)


def _seen_after(axis, cut):
    """How far the first output that sees a pixel after -cut is from it."""
    last_pixel_of_output = math.ceil((axis.end + 1) * axis.scale) - 1
    return -cut - last_pixel_of_output


def _check_outputs(patch_model, fields, data_format):
    for index, field in enumerate(fields):
        if field.directions != (1, 2):
            raise ValueError(
                f"Output {index} of {describe(patch_model)} is mirrored or "
                "turned against the image: tiles of it lie elsewhere. Turn it "
                "back."
            )
        scale = field.y.scale
        if (
            field.data_format != data_format
            or field.x.scale != scale
            or 1 not in (scale.numerator, scale.denominator)
            or field.y.length
            or field.x.length
        ):
            height = _formula("height", field.y)
            width = _formula("width", field.x)
            raise ValueError(
                "Tiles can be put together when outputs are k times or 1/k of "
                f"the input along both axes. Received: output {index} of "
                f"{describe(patch_model)}, which ends in "
                f"{describe(_last_layer(patch_model, index))}, is of shape "
                f"(batch, {height}, {width}, channels). Layers with "
                'padding="same" keep the scale.'
            )


def _formula(name, axis):
    """Write the length of an axis, as in `height / 2 - 1`."""
    text = name
    if axis.scale.denominator > 1:
        text += f" * {axis.scale.denominator}"
    if axis.scale.numerator > 1:
        text += f" / {axis.scale.numerator}"
    if axis.length:
        text += f" {'+-'[axis.length < 0]} {abs(axis.length)}"
    return text


def _last_layer(patch_model, index):
    outputs = getattr(patch_model, "outputs", None)
    if not outputs:
        return patch_model
    return operation_of(outputs[index])
