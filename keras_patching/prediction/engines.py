"""Chooses how images of many sizes are predicted, and keeps the functions."""

import collections
import math

import keras
import numpy as np
from keras import ops

from keras_patching._checks import is_integer
from keras_patching.geometry import PatchGrid, round_up
from keras_patching.layers.output_specs import Trace
from keras_patching.layers.row_stream import RowStream
from keras_patching.ops.chunks import is_on_cpu, patches_per_chunk
from keras_patching.prediction.compiled import ModelFunction
from keras_patching.prediction.lane_steps import LaneFunction, LaneStep
from keras_patching.prediction.lane_widths import choose_widths, fitting_width
from keras_patching.prediction.patch_batches import PatchBatches
from keras_patching.prediction.row_lanes import RowLanes
from keras_patching.prediction.sharing import count_devices
from keras_patching.receptive_fields.automatic_overlap import (
    find_multiple_of,
    takes_any_size,
)
from keras_patching.receptive_fields.walk import receptive_field

# Bytes of the largest tensor of the lanes that are run together, and how many
# they are at the most, where a device would idle with one.
_BYTES_AT_ONCE = 2**28
_MOST_LANES = 16

_MOST_FUNCTIONS = 16


class Engines:
    """Makes engines for a model, which share what was compiled before.

    Args:
        predictor: The `PatchedPredictor` of the model.
        turn: As for `ModelFunction`.
    """

    def __init__(self, predictor, turn):
        self._predictor, self._turn = predictor, turn
        self._functions = collections.OrderedDict()

    def clear(self):
        """Forget all: what the functions have closed over has changed."""
        self._functions.clear()

    def make(self, transform, sizes, batch_size=None, sharing=None):
        """Make the engine for some images.

        Args:
            transform: Of the structure that the patch model returns, in the
                graph, pixel by pixel.
            sizes: `(height, width)` of the images, as far as they are known.
            batch_size: Images side by side, or patches; `None` for as many as
                suit the device.
            sharing: As for `ModelFunction`; batches are multiples of its
                devices.
        """
        streaming = self._predictor._resolved()[3]
        if streaming is None:
            return self._make_patches(transform, batch_size, sharing)
        return _Lanes(
            self, streaming, transform, sizes, batch_size, sharing
        ).engine()

    def _make_patches(self, transform, batch_size, sharing):
        predictor = self._predictor
        known, call = predictor._outputs, predictor._patch_model
        # Averaged patches are decided on only after that.
        is_averaged = predictor.blend != "crop"
        within = _unchanged if is_averaged else transform

        def run(patches):
            return keras.tree.flatten(within(call.run(patches, known)))

        def finish(bands):
            bands = [ops.convert_to_tensor(band[None]) for band in bands]
            bands = transform(keras.tree.pack_sequence_as(known.spec, bands))
            return [
                ops.convert_to_numpy(band)[0]
                for band in keras.tree.flatten(bands)
            ]

        return PatchBatches(
            self._grid_of,
            lambda size, divisor: self._batch_size(
                batch_size, size, sharing, divisor
            ),
            self.compiled(("patches", within), lambda: run, sharing)[1],
            self._specs(within),
            known.scales,
            predictor.blend,
            predictor.pad_value,
            finish if is_averaged else None,
        )

    def make_whole(self, transform, sharing):
        """Make the engine for images that are run whole, one after the other.

        Args:
            transform, sharing: As for `make`.

        Raises:
            ValueError: If the patch model cannot be run so.
        """
        predictor = self._predictor
        known, call = predictor._outputs, predictor._patch_model
        _check_whole_images(predictor)
        multiple_of = find_multiple_of(predictor)

        def run(images):
            return keras.tree.flatten(transform(call.run(images, known)))

        return PatchBatches(
            lambda size: PatchGrid(size, (None, None), 0, multiple_of),
            lambda size, divisor: 1,
            self.compiled(("whole", transform), lambda: run, sharing)[1],
            self._specs(transform),
            known.scales,
            "crop",
            predictor.pad_value,
        )

    def _specs(self, transform):
        """List shapes and dtypes of what a transform makes of a batch."""
        trace = Trace(transform)
        spec = trace.compute_output_spec(self._predictor._outputs.spec)
        return keras.tree.flatten(spec)

    def _grid_of(self, size):
        predictor = self._predictor
        if not predictor._is_seamless:
            return predictor.patch_grid(size)
        # Tiles of one size are compiled once; without seams it does not
        # matter that others would be a little smaller.
        grid = predictor.patch_grid(size)
        patch_size = [
            shrunk if count == 1 else whole
            for shrunk, count, whole in zip(
                grid.patch_size,
                (grid.rows, grid.cols),
                predictor._largest_patch(),
                strict=True,
            )
        ]
        return PatchGrid(size, patch_size, grid.overlap, grid.multiple_of)

    def _batch_size(self, batch_size, patch_size, sharing, divisor):
        devices = count_devices(sharing)
        if batch_size is not None:
            return round_up(max(batch_size // divisor, 1), devices)
        chosen = self._predictor.patch_batch_size
        each = chosen if is_integer(chosen) else patches_per_chunk(patch_size)
        return max(each // divisor, 1) * devices

    def compiled(self, key, make, sharing):
        """Return a function and what it was compiled to, made when needed.

        Args:
            key: All that decides what is compiled, hashable, besides the
                variables of the patch model.
            make: Makes the function, which `ModelFunction` takes.
            sharing: As there.
        """
        layer = self._predictor.layer
        key = *key, sharing, tuple(map(id, layer.variables))
        if key not in self._functions:
            function = make()
            compiled = ModelFunction(function, layer, self._turn, sharing)
            self._functions[key] = function, compiled
        self._functions.move_to_end(key)
        if len(self._functions) > _MOST_FUNCTIONS:
            self._functions.popitem(last=False)
        return self._functions[key]


class _Lanes:
    """The lanes of one call, of few widths."""

    def __init__(
        self, engines, streaming, transform, sizes, batch_size, sharing
    ):
        self._engines, self._streaming = engines, streaming
        self._sharing = sharing
        self._transform, self._batch_size = transform, batch_size
        self._count = len(sizes) or None
        self._highest = choose_widths(sizes, streaming.stride[1])
        self._is_planned = bool(self._highest)
        self._steps, self._divisor = {}, 1

    def engine(self):
        predictor = self._engines._predictor
        field = receptive_field(predictor.layer)
        return RowLanes(
            self,
            self._streaming.stride,
            predictor._outputs.scales,
            self._engines._specs(self._transform),
            predictor.pad_value,
            math.ceil(field.overlap[0] / 2),
        )

    def choose(self, size, dtype):
        """Give the `LaneStep` for an image, made when needed."""
        height, width = (
            round_up(length, stride)
            for length, stride in zip(size, self._streaming.stride, strict=True)
        )
        wide = [each for each in self._highest if each >= width]
        if self._is_planned and wide:
            lane = min(wide)
        else:
            lane = fitting_width(wide, width) or width
            self._highest.setdefault(lane, height)
        key = lane, np.dtype(dtype)
        if key not in self._steps:
            self._steps[key] = self._make_step(lane, self._highest[lane])
        return self._steps[key]

    def _make_step(self, width, height):
        predictor, streaming = self._engines._predictor, self._streaming
        rows = streaming.rows
        if rows is None:
            height = round_up(height, streaming.stride[0])
            rows = streaming.rows_for(height, width)
        rows = self._divided(rows, self._divisor)
        count = self._lanes(rows, width)
        function, compiled = self._engines.compiled(
            ("rows", rows, width, count, self._transform),
            lambda: LaneFunction(
                RowStream(predictor.layer, rows),
                count,
                self._transform,
                predictor._outputs.spec,
            ),
            self._sharing,
        )
        return LaneStep(function, compiled, width)

    def halve(self):
        """Take half the rows in a step; see `RowLanes.halve`."""
        before = max(step.stream.rows for step in self._steps.values())
        after = self._divided(before, 2)
        if after == before:
            return None
        self._divisor *= 2
        self._steps.clear()
        return (
            f"The device has no memory left for steps of {before} rows. They "
            f"are tried again with {after}: `set_tiling(predict_patch_size=("
            f"{after}, None))` begins with these, and a smaller `batch_size` "
            "takes fewer images side by side."
        )

    def _divided(self, rows, divisor):
        stride = self._streaming.stride[0]
        return max(rows // divisor // stride, 1) * stride

    def _lanes(self, rows, width):
        if keras.backend.backend() != "jax":
            return 1
        devices = count_devices(self._sharing)
        if self._batch_size is not None:
            return round_up(self._batch_size, devices)
        if is_on_cpu():
            return devices
        each = self._streaming.band_bytes * rows * width
        most = _MOST_LANES
        if self._count is not None:
            most = min(most, math.ceil(self._count / devices))
        return max(min(int(_BYTES_AT_ONCE // each), most), 1) * devices


def _check_whole_images(predictor):
    """Refuse a patch model that does not make an image of an image."""
    layer = predictor.layer
    if not takes_any_size(layer, predictor.data_format):
        raise ValueError(
            f"split='rows' runs whole images, and '{layer.name}' takes patches "
            "of one size: build it with `keras.Input((None, None, channels))`."
        )
    if None in predictor._outputs.scales:
        raise ValueError(
            f"split='rows' is for outputs that are images, and '{layer.name}' "
            "has one that is not, or stitch=False."
        )


def _unchanged(outputs):
    return outputs
