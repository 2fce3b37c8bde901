"""Mirrors and quarter-turns of images, and how far layers look after them."""

import dataclasses

import keras
from keras import ops

from keras_patching.receptive_fields.errors import refusal
from keras_patching.receptive_fields.rules import register_rule


@dataclasses.dataclass(frozen=True)
class Symmetry:
    """An image is mirrored along some axes, then its axes may be swapped.

    Attributes:
        mirror_y: Whether the last row comes first.
        mirror_x: Whether the last column comes first.
        swap: Whether rows become columns.
    """

    mirror_y: bool = False
    mirror_x: bool = False
    swap: bool = False

    @property
    def inverse(self):
        """The one that undoes it."""
        if not self.swap:
            return self
        return Symmetry(self.mirror_x, self.mirror_y, True)


_SAME, _LEFT_RIGHT = Symmetry(), Symmetry(False, True)
_TOP_DOWN = Symmetry(True)
_HALF_TURN = Symmetry(True, True)
_MIRRORS = _SAME, _LEFT_RIGHT, _TOP_DOWN, _HALF_TURN
_SWAPPED = tuple(dataclasses.replace(each, swap=True) for each in _MIRRORS)
_, _QUARTER_LEFT, _QUARTER_RIGHT, _ = _SWAPPED

# All of each name form a group, and the image as it is comes first.
SYMMETRIES = {
    "left_right": (_SAME, _LEFT_RIGHT),
    "mirrors": _MIRRORS,
    "turns": (_SAME, _QUARTER_LEFT, _HALF_TURN, _QUARTER_RIGHT),
    "all": (*_MIRRORS, *_SWAPPED),
}


class Turn(keras.Operation):
    """Mirrors and turns images.

    Args:
        symmetry: `Symmetry`.
        data_format: Of the images.
    """

    def __init__(self, symmetry, data_format):
        super().__init__()
        self.symmetry, self.data_format = symmetry, data_format

    @property
    def _axes(self):
        return (1, 2) if self.data_format == "channels_last" else (2, 3)

    def call(self, images):
        y_axis, x_axis = self._axes
        axes = [
            axis
            for axis, is_mirrored in (
                (y_axis, self.symmetry.mirror_y),
                (x_axis, self.symmetry.mirror_x),
            )
            if is_mirrored
        ]
        if axes:
            images = ops.flip(images, axis=axes)
        return (
            ops.swapaxes(images, *self._axes) if self.symmetry.swap else images
        )

    def compute_output_spec(self, images):
        shape = list(images.shape)
        if self.symmetry.swap:
            y_axis, x_axis = self._axes
            shape[y_axis], shape[x_axis] = shape[x_axis], shape[y_axis]
        return keras.KerasTensor(shape, dtype=images.dtype)


@register_rule(Turn)
def _turn(operation, fields):
    (field,) = fields
    if field.data_format != operation.data_format:
        raise refusal(operation, "is given no images of its data format")
    symmetry = operation.symmetry
    if symmetry.mirror_y:
        field = field.mirror_rows()
    if symmetry.mirror_x:
        field = field.mirror_columns()
    return field.swap_axes() if symmetry.swap else field
