"""How a `PatchedPredictor` streams rows, where its patch model can."""

import dataclasses
import math
import numbers
import warnings
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_patching.geometry import PatchGrid, round_up
from keras_patching.layers.row_loops import BACKENDS
from keras_patching.layers.row_stream import RowStream
from keras_patching.ops.chunks import is_on_cpu
from keras_patching.ops.data_formats import shape_to_channels_last
from keras_patching.ops.lengths import maximum
from keras_patching.ops.patches import graph_grid
from keras_patching.receptive_fields.automatic_overlap import (
    find_overlap,
    takes_any_size,
)
from keras_patching.receptive_fields.walk import receptive_field

# Pixels of images that are run at once: that takes less than bands of rows.
_SMALL = 2**18

# Bytes of the largest tensor of a step: more outgrow the caches of a CPU, and
# less leave other devices idle.
_BAND_ON_CPU = 2**23
_BAND = 2**28

# Bytes of rows that layers keep; wider images are streamed in strips.
_MOST_KEPT = 2**28

# Width that bands are assumed to have where a graph does not know it, and rows
# of a step that are not too many for small images.
_USUAL_WIDTH = 2048
_FEW_ROWS = 32


@dataclasses.dataclass(frozen=True)
class RowStreaming:
    """Rows per step, and the strips of columns that are streamed.

    Attributes:
        patch_model: The patch model.
        data_format: That of the patch model.
        stride: `(height, width)` of the patch model.
        overlap: Columns that neighbouring strips share.
        rows: Rows of a step; `None` for as many as suit the device.
        columns: Width of a strip in pixels; `None` for one as wide as the
            image, or as memory allows.
        kept_bytes: Bytes that layers keep for each column of an image.
        band_bytes: Bytes of the largest tensor of a step, for each pixel.
        step_bytes: Bytes of all tensors of a step, for each pixel.
    """

    patch_model: keras.Model
    data_format: str
    stride: tuple[int, int]
    overlap: int
    rows: int | None
    columns: int | None
    kept_bytes: float
    band_bytes: float
    step_bytes: float

    def grid(self, image_size: Sequence[Any]) -> PatchGrid:
        """Return the `PatchGrid` of the strips of images.

        Args:
            image_size: As for `graph_grid`.
        """
        columns = self.columns or self._most_columns(image_size[1])
        overlap = 0 if columns is None else self.overlap
        return graph_grid(
            image_size, (None, columns), (0, overlap), self.stride, shrink=True
        )

    def _most_columns(self, width):
        """Return the width of strips, or `None` where one will do."""
        if not isinstance(width, numbers.Integral):
            return None
        strips = math.ceil(width * self.kept_bytes / _MOST_KEPT)
        if strips <= 1:
            return None
        columns = round_up(math.ceil(width / strips), self.stride[1])
        # Of a strip that is this wide, a quarter is computed twice.
        return max(columns, 4 * self.overlap)

    def computed_pixels(self, image_size: Sequence[int]) -> int:
        """Tell how many pixels go through the patch model for an image.

        Args:
            image_size: `(height, width)` in pixels.
        """
        grid = self.grid(image_size)
        height, width = grid.patch_size
        stream = self.stream_of_strip(grid.patch_size)
        if stream is not None:
            height = stream.count_steps(height) * stream.rows
        return grid.num_patches * height * width

    def stream_of_strip(self, size: Sequence[int]) -> RowStream | None:
        """Return the `RowStream` of strips, or `None` of small ones.

        Args:
            size: `(height, width)` of a strip in pixels.
        """
        if self._are_small((1, *size)):
            return None
        return self._stream(*size)

    def images_at_once(self, shape: Sequence[Any]) -> Any:
        """Tell how many small images are run together; large ones are alone.

        Args:
            shape: `(batch, height, width, channels)`, as of `ops.shape`.

        Returns:
            An integer; a tensor where tensorflow learns the size when the
            graph runs.
        """
        _, height, width, _ = shape
        is_known = isinstance(height, int) and isinstance(width, int)
        if not is_known and keras.backend.backend() != "tensorflow":
            return 1  # Sizes of `jax.export` make no size of a chunk.
        return maximum(_SMALL // (height * width), 1)

    def _are_small(self, shape):
        """Whether images are run at once, unless rows of steps are given."""
        return (
            self.rows is None
            and all(isinstance(length, int) for length in shape)
            and math.prod(shape) <= _SMALL
            and takes_any_size(self.patch_model, self.data_format)
        )

    def run(self, images: Any, structure: Any) -> Any:
        """Run the patch model on images as a whole.

        Args:
            images: Tensor in the data format of the patch model, height and
                width multiples of its stride.
            structure: What the patch model returns has this structure. (In a
                prediction on jax a subclassed model cannot be asked.)

        Returns:
            What the patch model returns.
        """
        shape = shape_to_channels_last(images.shape, self.data_format)
        if self._are_small(shape[:3]):
            if not keras.backend.is_float_dtype(images.dtype):
                images = ops.cast(images, keras.config.floatx())
            return self.patch_model(images)
        _, height, width, _ = shape
        outputs = self._stream(height, width).run(images)
        return keras.tree.pack_sequence_as(structure, outputs)

    def run_in_training(self, images: Any, structure: Any) -> Any:
        """Run the patch model on images as a whole, to train through it.

        Args:
            images, structure: As for `run`.

        Returns:
            What the patch model returns.
        """
        stream = self.stream_in_training(images.shape)
        if stream is not None:
            return keras.tree.pack_sequence_as(structure, stream.run(images))
        if not keras.backend.is_float_dtype(images.dtype):
            images = ops.cast(images, keras.config.floatx())
        return self.patch_model(images)

    def stream_in_training(self, shape: Sequence[Any]) -> RowStream | None:
        """Return the `RowStream` that images are trained through.

        Args:
            shape: Of the images, in the data format of the patch model.

        Returns:
            A `RowStream`; `None` where they are run at once, as small images
            are.

        Raises:
            ValueError: Naming it, if a layer needs whole images in training.
        """
        shape = shape_to_channels_last(shape, self.data_format)
        # Tensorflow does not know how many images there will be.
        shape = shape[0] or 1, *shape[1:3]
        if self._are_small(shape):
            return None
        return RowStream(
            self.patch_model,
            self.rows or self._rows_in_training(shape[1]),
            data_format=self.data_format,
            training=True,
        )

    def _rows_in_training(self, height):
        """Choose the rows of a step that is trained through.

        Memory holds what is kept, twice of as many steps as the root of their
        number, and what is computed in one: so many rows need the least.
        """
        if not isinstance(height, int):
            height = _USUAL_WIDTH
        kept = self.kept_bytes * math.sqrt(height)
        rows = min(int((kept / self.step_bytes) ** (2 / 3)), height)
        return max(rows // self.stride[0], 1) * self.stride[0]

    def _stream(self, height, width):
        rows = self.rows
        if rows is None:
            rows = self.rows_for(height, width)
        return RowStream(self.patch_model, rows, data_format=self.data_format)

    def rows_for(self, height: Any, width: Any) -> int:
        """Choose the rows of a step, for images of a size."""
        if not isinstance(width, int):
            width = _USUAL_WIDTH
        most = _BAND_ON_CPU if is_on_cpu() else _BAND
        # What is kept is copied in each step: not much more than is new.
        most = max(most, width * self.kept_bytes / 6)
        rows = most / (width * self.band_bytes)
        rows = min(rows, height if isinstance(height, int) else _FEW_ROWS)
        return max(int(rows) // self.stride[0], 1) * self.stride[0]


def find_streaming(
    patch_model: keras.layers.Layer,
    predict_patch_size: Sequence[int | None] | None,
    data_format: str,
) -> RowStreaming | None:
    """Find how the images of a layer with `overlap="auto"` are streamed.

    Args:
        patch_model: Built.
        predict_patch_size: As for `PatchedPredictor`.
        data_format: Of the patch model.

    Returns:
        A `RowStreaming`; or `None` where tiles are asked for, or the patch
        model has a layer that only tiles can be made with, which a warning
        names.

    Raises:
        ValueError: If no overlap is enough for the patch model, or if strips
            are too narrow or rows no multiple of its stride.
    """
    rows, columns = predict_patch_size or (None, None)
    field = receptive_field(patch_model, data_format=data_format)
    if rows and columns and rows >= field.overlap[0] + field.stride[0]:
        return None
    try:
        stream = _smallest_stream(patch_model, field.stride[0], data_format)
    except ValueError as obstacle:
        warnings.warn(
            f"{obstacle} So '{patch_model.name}' is run on tiles that overlap "
            f"by {field.overlap} pixels, which are computed twice: larger "
            "tiles (`predict_patch_size`) cost less, and "
            "`recomputation(image_size)` tells how much.",
            stacklevel=2,
        )
        return None
    if columns is not None:
        find_overlap(patch_model, (None, columns), data_format)
    if rows is not None and rows % field.stride[0]:
        raise ValueError(
            f"Rows of a step must be a multiple of the stride of "
            f"'{patch_model.name}', which is {field.stride[0]}. Received: "
            f"predict_patch_size={(rows, columns)}"
        )
    width = field.stride[1] * _USUAL_WIDTH
    pixels = field.stride[0] * width
    return RowStreaming(
        patch_model,
        data_format,
        field.stride,
        field.overlap[1],
        rows,
        columns,
        kept_bytes=stream.kept_bytes(width) / width,
        band_bytes=stream.band_bytes(width) / pixels,
        step_bytes=stream.step_bytes(width) / pixels,
    )


def _smallest_stream(patch_model, stride, data_format):
    if keras.backend.backend() not in BACKENDS:
        raise ValueError(f"Rows are not streamed on {keras.backend.backend()}.")
    return RowStream(patch_model, stride, data_format=data_format)
