"""Where patches lie: the one rule of geometry that everything else asks.

The contract: patches all have the same size, cover every pixel, never reach
beyond the padded image, and the image is padded at the bottom and right only.
Without overlap the image is padded to whole patches. With overlap it is padded
to `multiple_of` (and to at least one patch), and the last row and column of
patches are shifted inward to end at the padded edge.

Coordinates, of points and boxes alike, are continuous: pixel `i` reaches from
`i` to `i + 1`, and its center is at `i + 0.5`. So an image is from 0 to its
height and width, a point `(y, x)` lies in the pixel `(floor(y), floor(x))`, a
patch owns the objects whose center is from its origin to, exclusively, origin
plus size, and a flip takes `x` to `width - x`.

The formulas use only `+ - * //` on non-negative values, so that the same lines
serve Python integers, arrays, and the dynamic sizes of a graph. (`-(-a // b)`
is avoided on purpose: exported to ONNX it divides by truncation.) What
compares lengths, a `maximum` and a `minimum`, is passed in.
"""

import numbers
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from keras_patching._checks import is_integer


def round_up(value, multiple):
    """Return the smallest multiple of `multiple` that is at least `value`."""
    return (value + multiple - 1) // multiple * multiple


# What pixels beyond the image are: one number, or those of the image.
PAD_MODES = ("constant", "reflect", "edge")


def check_pad_mode(pad_mode):
    """Return a way to pad images, or refuse what is none.

    Raises:
        ValueError: If it is not one of `PAD_MODES`.
    """
    if pad_mode not in PAD_MODES:
        raise ValueError(
            f"`pad_mode` must be one of {PAD_MODES}. "
            f"Received: pad_mode={pad_mode!r}"
        )
    return pad_mode


def pixel_for(index, length, pad_mode, *, maximum=max, minimum=min):
    """Return the pixel of an image that one beyond its end is a copy of.

    Args:
        index: Index of a pixel, from 0; of an integer, array or tensor.
        length: Length of the image.
        pad_mode: "reflect" mirrors the image at its last pixel, as often as it
            takes, "edge" repeats the last pixel, both as `numpy.pad` does.
        maximum: Function that gives the larger of two lengths.
        minimum: Function that gives the smaller of an index and a length.

    Example:

    >>> [pixel_for(index, 4, "reflect") for index in range(9)]
    [0, 1, 2, 3, 2, 1, 0, 1, 2]
    """
    if pad_mode == "edge":
        return minimum(index, length - 1)
    period = maximum(2 * (length - 1), 1)
    index = index - index // period * period
    return minimum(index, period - index)


def as_pair(value, name):
    """Return `value` as `(height, width)`; one integer stands for both.

    Args:
        value: Integer or pair of integers.
        name: What the value is called, for the error.

    Raises:
        ValueError: If it is neither.
    """
    pair = value if isinstance(value, (tuple, list)) else (value, value)
    if len(pair) != 2 or not all(map(is_integer, pair)):
        raise ValueError(
            f"`{name}` must be an integer or a pair (height, width) of "
            f"integers. Received: {name}={value!r}"
        )
    return int(pair[0]), int(pair[1])


def as_positive_pair(value, name):
    """Return `value` as `as_pair` does; both are 1 at least.

    Raises:
        ValueError: If it is neither an integer nor a pair, or not positive.
    """
    pair = as_pair(value, name)
    if min(pair) < 1:
        raise ValueError(
            f"`{name}` must be positive, (height, width). "
            f"Received: {name}={value}"
        )
    return pair


def as_patch_size(value, name):
    """Return `value` as `(height, width)`, where one of a pair may be `None`.

    Args:
        value: Integer, or pair of integers or `None`.
        name: What the value is called, for the error.

    Raises:
        ValueError: If it is neither.
    """
    if not isinstance(value, (tuple, list)) or None not in value:
        return as_pair(value, name)
    known = as_pair([length or 0 for length in value], name)
    return tuple(
        None if given is None else length
        for given, length in zip(value, known, strict=True)
    )


class PatchAxis:
    """The patches along one axis of an image. All lengths are in pixels.

    Its numbers are computed once, when it is made: where the length is a size
    of a graph, each is an operation of that graph.

    Args:
        length: Length of the image; an integer or a size of a graph.
        patch: Length of a patch; likewise.
        overlap: How many pixels neighbours share, at the least; an integer.
        multiple_of: What origins and padded length are multiples of; an
            integer.
        maximum: Function that gives the larger of two lengths.
        longest: Length of a patch before it shrank; an integer.

    Attributes:
        step: Distance between the origins of two neighbours, if not shifted.
        padded_length: Length of the image after padding.
        count: Number of patches.
    """

    def __init__(
        self,
        length,
        patch,
        overlap=0,
        multiple_of=1,
        *,
        maximum=max,
        longest=None,
    ):
        self.length, self.patch = length, patch
        self.overlap, self.multiple_of = overlap, multiple_of
        self._longest = longest
        self.step = _step(patch, overlap, multiple_of, maximum)
        self.padded_length = maximum(round_up(length, self.unit), patch)
        last_origin = self.padded_length - patch
        last = (last_origin + self.step - 1) // self.step
        self.count = last + 1
        self._last = maximum(last, 1)
        self._shift = last * self.step - last_origin

    def __repr__(self):
        return (
            f"PatchAxis(length={self.length}, patch={self.patch}, "
            f"overlap={self.overlap}, multiple_of={self.multiple_of})"
        )

    @property
    def unit(self):
        """What every origin and the padded length are multiples of."""
        return self.multiple_of if self.overlap else self.patch

    @property
    def most_holders(self):
        """How many patches can hold a pixel, at the most; an integer."""
        patch = self.patch
        if not isinstance(patch, int):
            # One that shrank in a graph is as long as the image, and alone.
            patch = self._longest
        step = _step(patch, self.overlap, self.multiple_of, max)
        return (patch + step - 1) // step + 1

    def origin(self, index):
        """First pixel of patch `index`; of an integer, array or tensor."""
        # The last patch is shifted inward: `index // last` is 1 for it alone.
        return index * self.step - index // self._last * self._shift

    def border(self, index):
        """First pixel that patch `index` owns.

        Each pixel of the image is owned by one patch: of the zone that two
        neighbours share, each owns the half on its side. The border is the
        middle of that zone, floored to `multiple_of`.
        """
        # 0 for the first patch, which has none before it, else 1.
        has_one_before = (index + self.count - 1) // self.count
        before = index - has_one_before
        zone_start = self.origin(index)
        zone_end = self.origin(before) + self.patch
        middle = (zone_start + zone_end) // 2
        return middle // self.multiple_of * self.multiple_of * has_one_before


def _step(patch, overlap, multiple_of, maximum):
    # One patch over the whole length may be shorter than the overlap.
    patch = maximum(patch, overlap + multiple_of)
    return (patch - overlap) // multiple_of * multiple_of


class PatchGrid:
    """The grid of patches that covers an image.

    `overlap=0` gives `ceil(H / h)` rows and `ceil(W / w)` columns over the
    image padded at the bottom and right to whole patches. With an overlap the
    image is padded only to `multiple_of` and to at least one patch, and the
    last row and column are shifted inward, so that they share more than
    `overlap` with their neighbours.

    Args:
        image_size: `(height, width)` of the image in pixels.
        patch_size: `(height, width)` of a patch in pixels, or one integer.
            `None` in the pair is the length of the image, rounded up to
            `multiple_of`: `(512, None)` are bands of full width.
        overlap: Pixels that neighbours share, a pair or one integer.
        multiple_of: Origins are multiples of this, a pair or one integer.
        shrink: Whether patches are made as small as the same number of them
            can be with that overlap, which also spreads them evenly. Where
            the size of the image is one of a graph, only patches longer than
            the image shrink, to its length rounded up to `multiple_of`.
        maximum, minimum: Functions that give the larger and the smaller of
            two lengths. The defaults serve integers; sizes of a graph need
            their own.

    Attributes:
        image_size, patch_size, overlap, multiple_of: As pairs of what holds
            for this image.
        rows, cols, num_patches: Numbers of patches.
        padded_size: `(height, width)` of the padded image.

    Raises:
        ValueError: If a length is not positive, `overlap` is not smaller than
            the patch, or `multiple_of` does not divide the patch.

    Example:

    >>> grid = keras_patching.PatchGrid((100, 200), patch_size=128)
    >>> grid.rows, grid.cols, grid.padded_size, grid.origins
    (1, 2, (128, 256), [(0, 0), (0, 128)])
    >>> grid = keras_patching.PatchGrid((100, 200), patch_size=64, overlap=16)
    >>> grid.origins[:4]
    [(0, 0), (0, 48), (0, 96), (0, 136)]
    >>> grid = keras_patching.PatchGrid((100, 200), 64, overlap=16, shrink=True)
    >>> grid.patch_size
    (58, 62)
    """

    def __init__(
        self,
        image_size: Sequence[Any],
        patch_size: int | Sequence[int | None],
        overlap: int | Sequence[int] = 0,
        multiple_of: int | Sequence[int] = 1,
        *,
        shrink: bool = False,
        maximum: Callable = max,
        minimum: Callable = min,
    ) -> None:
        patch_size = as_patch_size(patch_size, "patch_size")
        overlap = as_pair(overlap, "overlap")
        multiple_of = as_pair(multiple_of, "multiple_of")
        check_patch_geometry(patch_size, overlap, multiple_of)
        _check_image_size(image_size)
        image_size = [
            int(length) if isinstance(length, numbers.Integral) else length
            for length in image_size
        ]
        self.y_axis, self.x_axis = (
            PatchAxis(
                length,
                *_fitted(length, patch, shared, unit, shrink, minimum),
                maximum=maximum,
                longest=patch,
            )
            for length, patch, shared, unit in zip(
                image_size, patch_size, overlap, multiple_of, strict=True
            )
        )
        self.image_size = self.y_axis.length, self.x_axis.length
        self.patch_size = self.y_axis.patch, self.x_axis.patch
        self.overlap = self.y_axis.overlap, self.x_axis.overlap
        self.multiple_of = self.y_axis.multiple_of, self.x_axis.multiple_of
        self.rows, self.cols = self.y_axis.count, self.x_axis.count
        self.padded_size = self.y_axis.padded_length, self.x_axis.padded_length

    @property
    def num_patches(self) -> Any:
        return self.rows * self.cols

    @property
    def origins(self) -> list[tuple[Any, Any]]:
        """`(y, x)` of the top-left corner of every patch, row-major."""
        columns = [self.x_axis.origin(col) for col in range(self.cols)]
        return [
            (self.y_axis.origin(row), x)
            for row in range(self.rows)
            for x in columns
        ]

    def __repr__(self):
        return (
            f"PatchGrid(image_size={self.image_size}, "
            f"patch_size={self.patch_size}, overlap={self.overlap}, "
            f"multiple_of={self.multiple_of})"
        )


def _fitted(length, patch, overlap, multiple_of, shrink, minimum):
    """Return patch, overlap and multiple, fitted to the length of an image."""
    units = (length + multiple_of - 1) // multiple_of
    if patch is None:
        return units * multiple_of, 0, multiple_of
    if not shrink:
        return patch, overlap, multiple_of
    if not isinstance(length, numbers.Integral):
        # In this form jax sees that it is positive, and a multiple.
        shorter = multiple_of * minimum(units, patch // multiple_of)
        return shorter, overlap, multiple_of
    count = PatchAxis(length, patch, overlap, multiple_of).count
    if count == 1:
        return units * multiple_of, 0, multiple_of
    shared = (count - 1) * round_up(overlap, multiple_of)
    each = (units * multiple_of + shared + count - 1) // count
    return round_up(each, multiple_of), overlap, multiple_of


def _check_image_size(image_size):
    """Refuse sizes that are no sizes; those of a graph pass."""
    is_pair = hasattr(image_size, "__len__") and len(image_size) == 2
    if isinstance(image_size, str) or not is_pair:
        raise _not_a_size(image_size)
    for length in image_size:
        is_number = isinstance(length, (numbers.Number, np.generic))
        if isinstance(length, (str, bool, np.bool_)) or length is None:
            raise _not_a_size(image_size)
        if is_number and (not is_integer(length) or length <= 0):
            raise _not_a_size(image_size)


def _not_a_size(image_size):
    return ValueError(
        "`image_size` must be a pair (height, width) of integers, of at least "
        f"one pixel each. Received: image_size={image_size!r}"
    )


def check_patch_geometry(patch_size, overlap, multiple_of):
    """Refuse pairs that no grid can be made of.

    Args:
        patch_size: Pair `(height, width)` of integers or `None`.
        overlap, multiple_of: Pairs `(height, width)` of integers.

    Raises:
        ValueError: Naming the argument and what it must be.
    """
    received = (
        f"Received: patch_size={patch_size}, overlap={overlap}, "
        f"multiple_of={multiple_of}"
    )
    if any(patch is not None and patch <= 0 for patch in patch_size):
        raise ValueError(f"`patch_size` must be positive. {received}")
    if min(multiple_of) <= 0:
        raise ValueError(f"`multiple_of` must be positive. {received}")
    for patch, shared, multiple in zip(
        patch_size, overlap, multiple_of, strict=True
    ):
        if patch is None:
            continue
        if patch % multiple:
            raise ValueError(
                f"`multiple_of` must divide `patch_size`. {received}"
            )
        if shared < 0 or patch - shared < multiple:
            raise ValueError(
                "`overlap` must be at least 0 and leave a step of at least "
                f"`multiple_of` pixels in each patch. {received}"
            )
