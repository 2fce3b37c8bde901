"""Draws shapes as masks: a pixel is of a shape when its center is inside.

Pixel `i` reaches from `i` to `i + 1`, so its center is at `i + 0.5`. A center
on the upper or left edge is inside, on the lower or right edge it is not:
shapes that share an edge share no pixel. What a polygon winds around twice is
outside. Later shapes are drawn over earlier ones.
"""

import dataclasses
import math

import numpy as np

from keras_patching.data.images.resampling import Resampling
from keras_patching.data.labels.shapes import outline

# So many corners of an ellipse are as good as all.
_ROUND = 256


@dataclasses.dataclass(frozen=True, eq=False)
class DrawnShape:
    """A shape with the value that its pixels have.

    Attributes:
        value: Class, or the value of unlabelled pixels.
        corners: Float64 `(n, 2)` of (y, x) in pixels; of a mask its place.
        bits: The pixels of a mask, packed, or `None`.
        size: `(height, width)` of a mask.
    """

    value: int
    corners: np.ndarray
    bits: np.ndarray | None = None
    size: tuple[int, int] = (0, 0)

    @classmethod
    def of(cls, shape, value):
        """Make one of a `Shape`."""
        if shape.kind != "mask":
            return cls(value, outline(shape, _ROUND))
        pixels = shape.pixels()
        return cls(value, shape.points[:1], np.packbits(pixels), pixels.shape)

    def moved(self, scale):
        """Give the shape where it is in an image that is resized.

        Args:
            scale: `ReadScale` of the image.
        """
        if self.bits is None:
            corners = self.corners * scale.size / scale.file_size
            return dataclasses.replace(self, corners=corners)
        pixels = np.unpackbits(self.bits, count=math.prod(self.size))
        pixels, places = pixels.reshape(self.size), []
        for axis, first in enumerate(self.corners[0].tolist()):
            lengths = scale.file_size[axis], scale.size[axis]
            nearest, _ = Resampling(*lengths, "nearest").spans(0, lengths[1])
            nearest = nearest - round(first)
            inside = (nearest >= 0) & (nearest < pixels.shape[axis])
            places.append(int(np.argmax(inside)))
            pixels = pixels.take(nearest[inside], axis)
        corners = np.array([places], "float64")
        bits = np.packbits(pixels.astype(bool))
        return DrawnShape(self.value, corners, bits, pixels.shape)

    @property
    def content(self):
        """What decides its pixels, JSON-able."""
        bits = None if self.bits is None else self.bits.tobytes().hex()
        return [self.value, self.corners.tolist(), bits, list(self.size)]


def draw_shapes(shapes, size, dtype):
    """Draw a mask.

    Args:
        shapes: List of `DrawnShape`.
        size: `(height, width)` of the mask.
        dtype: Its dtype.

    Returns:
        Array `(height, width)`, 0 where no shape is.
    """
    mask = np.zeros(size, dtype)
    for shape in shapes:
        if shape.bits is None:
            y, x, inside = fill_polygon(shape.corners, size)
        else:
            y, x, inside = _place_mask(shape, size)
        height, width = inside.shape
        mask[y : y + height, x : x + width][inside] = shape.value
    return mask


def _place_mask(shape, size):
    """Give the pixels of a mask that lie in an image."""
    height, width = shape.size
    count = height * width
    pixels = np.unpackbits(shape.bits, count=count).astype(bool)
    pixels = pixels.reshape(shape.size)
    y, x = (round(first) for first in shape.corners[0].tolist())
    top, left = max(-y, 0), max(-x, 0)
    y, x = y + top, x + left
    rows, columns = max(size[0] - y, 0), max(size[1] - x, 0)
    return y, x, pixels[top:, left:][:rows, :columns]


def fill_polygon(corners, size):
    """Tell which pixels have their center in a polygon.

    Args:
        corners: Float64 `(n, 2)` of (y, x) in pixels, the first not repeated.
        size: `(height, width)` of the image.

    Returns:
        Row and column of the first pixel of a window, and bool `(rows,
        columns)` of its pixels.

    Example:

    >>> corners = np.array([[0.5, 0.5], [0.5, 2.5], [2.5, 0.5]])
    >>> y, x, inside = fill_polygon(corners, size=(9, 9))
    >>> y, x, inside.tolist()
    (0, 0, [[True, True], [True, False]])
    """
    (top, left), (bottom, right) = (
        [_first_center(edge) for edge in edges]
        for edges in (corners.min(axis=0), corners.max(axis=0))
    )
    top, bottom = max(top, 0), min(bottom, size[0])
    left = max(left, 0)
    right = max(min(right, size[1]), left)  # A polygon may be beside the image.
    shape = max(bottom - top, 0), right - left
    # Where a row enters or leaves the polygon its pixels change from there on.
    changes = np.zeros((shape[0], shape[1] + 1), "uint8")
    for (y1, x1), (y2, x2) in zip(
        corners, np.roll(corners, -1, axis=0), strict=True
    ):
        first, last = sorted((_first_center(y1), _first_center(y2)))
        rows = np.arange(max(first, top), min(last, bottom))
        if len(rows):
            x = x1 + (rows + 0.5 - y1) * ((x2 - x1) / (y2 - y1))
            columns = np.ceil(x - 0.5).clip(left, right).astype(int) - left
            changes[rows - top, columns] ^= 1
    inside = np.bitwise_xor.accumulate(changes, axis=1)[:, :-1]
    return top, left, inside.astype(bool)


def _first_center(coordinate):
    """Give the first pixel whose center is not before a coordinate."""
    return math.ceil(coordinate - 0.5)
