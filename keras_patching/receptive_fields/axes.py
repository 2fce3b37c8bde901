"""What a cut through an image spoils, layer by layer: integers, no keras.

An image is cut, and all beyond the cut is unknown. Of each tensor that a net
makes from the rest, the first and the last few indices are spoiled, along each
axis: they have seen what is unknown, or the padding that took its place. A
layer moves the borders of what is not spoiled; this module says where to. The
arithmetic is that of Araujo et al. 2019, "Computing receptive fields of
convolutional neural networks" (https://doi.org/10.23915/distill.00021), kept in
whole indices from each end, so that strides, even kernels and upsampling need
no average over their phases.

Lengths are relative, since the image may have any: N stands for the pixels of
the image along the axis, a multiple of `stride`.
"""

import dataclasses
import math
from fractions import Fraction
from typing import Any, Generic, TypeVar

from keras_patching.geometry import as_pair, round_up

AxisT = TypeVar("AxisT", bound=Any)


@dataclasses.dataclass(frozen=True)
class FieldAxis:
    """One axis of a tensor.

    Attributes:
        scale: Input pixels per index.
        start: First index that is not spoiled.
        end: N / scale + end is the first spoiled index after it.
        length: N / scale + length is the number of indices.
        stride: What N and cuts are multiples of, so that the strides of all
            layers up to here fall on the same pixels in every part.
    """

    scale: Fraction = Fraction(1)
    start: int = 0
    end: int = 0
    length: int = 0
    stride: int = 1

    def window(self, kernel, stride, dilation, padding):
        """Index i becomes what a window sees that is `stride` x i further."""
        reach, before, _, length = window_geometry(
            self.length, kernel, stride, dilation, padding
        )
        return self._moved(
            scale=self.scale * stride,
            start=round_up(self.start + before, stride) // stride,
            end=(self.end + before - reach) // stride + 1,
            length=length,
        )

    def transposed_window(
        self, kernel, stride, dilation, padding, output_padding
    ):
        """Each index is spread over a window that is `stride` further."""
        reach, before, length = transposed_geometry(
            self.length, kernel, stride, dilation, padding, output_padding
        )
        return self._spread(stride, -before, reach - 1 - before, length)

    def enlarge(self, factor, radius):
        """Repeat each index, or interpolate with a kernel of some radius."""
        first, last = reach_of_enlarging(factor, radius)
        return self._spread(factor, first, last, self.length * factor)

    def pad(self, before, after):
        """Add indices at both ends; less than none cuts some off."""
        return self._moved(
            scale=self.scale,
            start=self.start + before,
            end=self.end + before,
            length=self.length + before + after,
        )

    def mirror(self, before, after):
        """Add indices at both ends that are like some inside, near them."""
        return self.pad(before, after)

    def reverse(self):
        """Let the last index come first.

        N is a multiple of the stride, and so are cuts counted from the end.
        """
        return dataclasses.replace(
            self, start=self.length - self.end, end=self.length - self.start
        )

    def across(self):
        """Let rows be columns, or columns rows."""
        return self

    def merge(self, other):
        """Put on top of another axis, of the same scale and length."""
        return dataclasses.replace(
            self,
            start=max(self.start, other.start),
            end=min(self.end, other.end),
            stride=math.lcm(self.stride, other.stride),
        )

    def _spread(self, stride, first, last, length):
        """Index i reaches from stride * i + first to stride * i + last."""
        return self._moved(
            scale=self.scale / stride,
            start=(self.start - 1) * stride + last + 1,
            end=self.end * stride + first,
            length=length,
        )

    def _moved(self, scale, start, end, length):
        return FieldAxis(
            scale=scale,
            # What a tensor does not hold is spoiled too: a tile cannot shift
            # it out and in again.
            start=max(start, 0),
            end=min(end, length),
            length=length,
            stride=math.lcm(self.stride, scale.numerator),
        )


def window_geometry(length, kernel, stride, dilation, padding):
    """Tell how windows lie on an axis.

    Args:
        length: The axis has N / scale + length indices.
        kernel, stride, dilation: Integers.
        padding: `"same"`, `"valid"`, or how many indices are added before
            and after the axis; less than none cuts some off.

    Returns:
        `(reach, before, after, length)`: the indices that a window spans, what
        is added before and after the axis, and the length of what windows
        make.
    """
    reach = (kernel - 1) * dilation + 1
    if padding != "same":
        before, after = (0, 0) if padding == "valid" else padding
        windows = (before + length + after - reach) // stride + 1
        return reach, before, after, windows
    windows = round_up(length, stride) // stride
    added = max((windows - 1) * stride + reach - length, 0)
    return reach, added // 2, added - added // 2, windows


def transposed_geometry(
    length, kernel, stride, dilation, padding, output_padding
):
    """Tell how windows that are spread over an axis lie on what they make.

    Args:
        length, kernel, stride, dilation, padding: As for `window_geometry`.
        output_padding: As of `keras.layers.Conv2DTranspose`.

    Returns:
        `(reach, before, length)`: the indices that a window spans, how many
        are cut off before the first, and the length of what is made.
    """
    reach = (kernel - 1) * dilation + 1
    whole = (length - 1) * stride + reach
    if output_padding is not None:
        base = reach % 2 if padding == "same" else reach
        made = (length - 1) * stride + base + output_padding
    elif padding == "same":
        made = length * stride
    else:
        made = max(whole, length * stride)
    before = max(whole - made, 0) // 2 if padding == "same" else 0
    return reach, before, made


def reach_of_enlarging(factor, radius):
    """Tell which indices `factor` x i + first to + last see an index i."""
    if not radius or factor == 1:
        return 0, factor - 1
    # Index j samples at (j + 1/2) / factor - 1/2, and sees what lies less
    # than the radius from there.
    first = (factor - 1) // 2 - factor * radius + 1
    last = factor // 2 + factor * radius - 1
    return first, last


@dataclasses.dataclass(frozen=True)
class SpatialField(Generic[AxisT]):
    """Both spatial axes of a tensor: what rules of layers work on.

    Attributes:
        y, x: A `FieldAxis` each, or a `RowAxis` of `rows`.
        axes: Which axes of the tensor they are. The first is the batch, and
            all others are channels.
        rank: Number of axes of the tensor; 4 of an image.
        directions: What `y` and `x` run along in the image, 1 for its rows and
            2 for its columns, less than none where from its end.
    """

    y: AxisT
    x: AxisT
    axes: tuple[int, int] = (1, 2)
    rank: int = 4
    directions: tuple[int, int] = (1, 2)

    @classmethod
    def of_images(cls, y, x, data_format):
        """Return that of images, in one of both data formats of Keras."""
        return cls(y, x, (1, 2) if data_format == "channels_last" else (2, 3))

    @property
    def channel_axis(self):
        """The only axis of channels, or the last of several."""
        return max(self.channel_axes)

    @property
    def channel_axes(self):
        """All axes but the batch and those of height and width."""
        return tuple(set(range(1, self.rank)) - set(self.axes))

    @property
    def data_format(self):
        """`"channels_last"` or `"channels_first"`; `None` of neither."""
        if self.rank != 4:
            return None
        return {(1, 2): "channels_last", (2, 3): "channels_first"}.get(
            self.axes
        )

    def window(self, kernel_size, strides=1, dilation_rate=1, padding="same"):
        """Return the field after a convolution or pooling.

        Args:
            kernel_size, strides, dilation_rate: Integers, or pairs
                `(height, width)`.
            padding: `"same"`, `"valid"`, or `((top, bottom), (left, right))`
                in pixels, less than none to cut some off.
        """
        return self._along_axes(
            "window",
            as_pair(kernel_size, "kernel_size"),
            as_pair(strides, "strides"),
            as_pair(dilation_rate, "dilation_rate"),
            (padding, padding) if isinstance(padding, str) else padding,
        )

    def transposed_window(
        self,
        kernel_size,
        strides=1,
        dilation_rate=1,
        padding="same",
        output_padding=None,
    ):
        """Return the field after a transposed convolution.

        Args:
            kernel_size, strides, dilation_rate: Integers, or pairs
                `(height, width)`.
            padding: `"same"` or `"valid"`.
            output_padding: As of `keras.layers.Conv2DTranspose`.
        """
        if output_padding is None:
            output_padding = (None, None)
        else:
            output_padding = as_pair(output_padding, "output_padding")
        return self._along_axes(
            "transposed_window",
            as_pair(kernel_size, "kernel_size"),
            as_pair(strides, "strides"),
            as_pair(dilation_rate, "dilation_rate"),
            (padding, padding),
            output_padding,
        )

    def enlarge(self, factor, radius=0):
        """Return the field after upsampling.

        Args:
            factor: Integer, or pair `(height, width)`.
            radius: Radius of the interpolation in pixels of what is enlarged:
                1 for bilinear. 0 repeats pixels.
        """
        return self._along_axes(
            "enlarge", as_pair(factor, "factor"), (radius, radius)
        )

    def pad(self, padding):
        """Return the field after padding, or with negative numbers cropping.

        Args:
            padding: `((top, bottom), (left, right))`.
        """
        befores, afters = zip(*padding, strict=True)
        return self._along_axes("pad", befores, afters)

    def mirror(self, padding):
        """Return the field after padding with pixels of the image near by.

        Args:
            padding: As for `pad`, none less than none.
        """
        befores, afters = zip(*padding, strict=True)
        return self._along_axes("mirror", befores, afters)

    def mirror_rows(self):
        """Return the field after the last row has come first."""
        y, x = self.directions
        return dataclasses.replace(self, y=self.y.reverse(), directions=(-y, x))

    def mirror_columns(self):
        """Return the field after the last column has come first."""
        y, x = self.directions
        return dataclasses.replace(self, x=self.x.reverse(), directions=(y, -x))

    def swap_axes(self):
        """Return the field after rows have become columns."""
        y, x = self.directions
        return dataclasses.replace(
            self, y=self.x.across(), x=self.y.across(), directions=(x, y)
        )

    def fits(self, other):
        """Whether both tensors have the same height and width, and axes."""
        places = ((f.axes, f.rank, f.directions) for f in (self, other))
        return len(set(places)) == 1 and all(
            (a.scale, a.length) == (b.scale, b.length)
            for a, b in ((self.y, other.y), (self.x, other.x))
        )

    def merge(self, other):
        """Return the field of a tensor made of two of the same size."""
        return dataclasses.replace(
            self, y=self.y.merge(other.y), x=self.x.merge(other.x)
        )

    def _along_axes(self, method, *pairs):
        """Call a method of both axes, each with its half of pairs."""
        of_y, of_x = zip(*pairs, strict=True)
        return dataclasses.replace(
            self,
            y=getattr(self.y, method)(*of_y),
            x=getattr(self.x, method)(*of_x),
        )
