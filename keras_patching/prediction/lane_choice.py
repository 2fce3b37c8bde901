"""Chooses the lanes of rows, and the steps that compute them."""

import math

import keras
import numpy as np

from keras_patching.geometry import round_up
from keras_patching.layers.row_stream import RowStream
from keras_patching.ops.chunks import is_on_cpu
from keras_patching.prediction.activation_memory import activation_bytes
from keras_patching.prediction.lane_steps import LaneFunction, LaneStep
from keras_patching.prediction.lane_widths import choose_widths, fitting_width
from keras_patching.prediction.row_lanes import RowLanes
from keras_patching.prediction.sharing import count_devices
from keras_patching.receptive_fields.walk import receptive_field

# Bytes of the largest tensor of the lanes that are run together, and how many
# they are at the most, where a device would idle with one.
_BYTES_AT_ONCE = 2**28
_MOST_LANES = 16


class LaneSteps:
    """The steps of one call, whose lanes are of few widths.

    Args:
        engines: `Engines`, which keeps what is compiled.
        streaming: `RowStreaming`.
        transform, sizes, batch_size, sharing, device_memory: As for
            `Engines.make`.
    """

    def __init__(
        self,
        engines,
        streaming,
        transform,
        sizes,
        batch_size,
        sharing,
        device_memory,
    ):
        self._engines, self._streaming = engines, streaming
        self._sharing, self._device_memory = sharing, device_memory
        self._transform, self._batch_size = transform, batch_size
        self._count = len(sizes) or None
        self._highest = choose_widths(sizes, streaming.stride[1])
        self._is_planned = bool(self._highest)
        self._steps, self._divisor = {}, 1

    def engine(self):
        predictor = self._engines.predictor
        field = receptive_field(predictor.inference_layer())
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
        predictor, streaming = self._engines.predictor, self._streaming
        rows = streaming.rows
        if rows is None:
            height = round_up(height, streaming.stride[0])
            rows = streaming.rows_for(height, width)
        rows = self._divided(rows, self._divisor)
        count = self._lanes(rows, width)
        if self._device_memory is not None:
            rows, count = self._fitting(rows, count, width)
        function, compiled = self._engines.compiled(
            ("rows", rows, width, count, self._transform),
            lambda: LaneFunction(
                RowStream(predictor.inference_layer(), rows),
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

    def _fitting(self, rows, count, width):
        """Choose as many lanes, then rows, as `device_memory` holds."""
        layer = self._engines.predictor.inference_layer()
        channels = self._engines.predictor.channels
        stride, devices = (
            self._streaming.stride[0],
            count_devices(self._sharing),
        )
        shape = 1, rows, width, channels
        of_row = activation_bytes(layer, shape) / rows
        # Before a step, after it, and joined to its rows.
        kept = 3 * self._streaming.kept_bytes * width

        def needed(rows):
            return math.ceil(rows * of_row + kept)

        each = int(self._device_memory // needed(rows))
        if each >= 1:
            return rows, min(count, each * devices)
        fitting = int((self._device_memory - kept) / of_row)
        if fitting < stride:
            raise ValueError(
                f"A step of {stride} rows of {width} pixels, the least that "
                f"can be streamed, takes about {needed(stride)} bytes. "
                f"Received: device_memory={self._device_memory}. Narrower "
                "tiles take less, as `set_tiling(predict_patch_size=512)`."
            )
        return fitting // stride * stride, devices
