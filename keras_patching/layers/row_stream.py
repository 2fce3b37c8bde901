"""A patch model that runs a band of rows at a time, and repeats nothing."""

import dataclasses
import functools
import math
import numbers
from typing import Any

import keras
from keras import ops

from keras_patching._checks import is_integer
from keras_patching._keras_internals import convert_input
from keras_patching.geometry import round_up
from keras_patching.layers.row_bands import (
    Band,
    clip_to_dtype,
    mask_outside,
    spatial_axes,
)
from keras_patching.layers.row_layers import find_runner
from keras_patching.layers.row_loops import count_steps, stream_rows
from keras_patching.layers.row_slopes import (
    numbers_with_slopes,
    split_activation,
)
from keras_patching.layers.row_training import stream_in_training
from keras_patching.layers.stored_values import stored_values
from keras_patching.receptive_fields.axes import SpatialField
from keras_patching.receptive_fields.rows import RowAxis
from keras_patching.receptive_fields.training_rules import draws_once, seeds_of
from keras_patching.receptive_fields.walk import field_of_net, net_of

# Of images that stand in for those of any size.
_SOME_LENGTH = 256

# Of numbers that are not of 4 bytes.
_BYTES = {"bfloat16": 2, "float16": 2, "float64": 8}


@dataclasses.dataclass(frozen=True)
class _Call:
    """One call of a layer: what runs it, and its tensors by number.

    In training an activation that may have no slope somewhere comes after.
    """

    name: str
    runner: Any
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    activation: Any

    @property
    def makes_infinities(self):
        """Whether it makes infinite numbers, perhaps, of what is outside."""
        runner = self.runner
        is_smooth = self.activation is None and not runner.needs_slopes
        return runner.makes_infinities or not is_smooth


@dataclasses.dataclass(frozen=True)
class Seed:
    """What a layer draws with in training.

    Attributes:
        variable: `keras.Variable` that a draw changes.
        is_of_all_rows: Whether one draw is for all rows of an image.
    """

    variable: keras.Variable
    is_of_all_rows: bool


@dataclasses.dataclass(frozen=True)
class StreamedOutput:
    """How an output comes out of a stream.

    Attributes:
        rows: Rows of it that a step makes.
        lag: How many rows it is behind: the step whose first input row is
            `first_row` makes it from row `first_row * rows / stream.rows -
            lag` on.

    Example:

    >>> keras_patching.layers.RowStream(patch_model, rows=64).outputs
    (StreamedOutput(rows=64, lag=1),)
    """

    rows: int
    lag: int


class RowStream:
    """A patch model that runs a band of rows at a time, and repeats nothing.

    An image goes through in bands of rows, from the top. Every layer that
    looks up or down keeps the last rows of its input until the next band
    comes, and every number is computed once, as the whole image would have
    it: the result is that of the patch model on the whole image. Memory holds
    the activations of a band, and the rows that are kept. (Weights are those
    at the time of a step. Make another stream where layers become others, by
    `quantize` or `enable_lora`.)

    In steps of 8 rows of a small U-Net, of the input of a layer (▒ is kept, █
    is new):

        full    3 x 3             ▒▒████████   2 rows
        halve   pooling by 2       ▒████████   1, with which a block begins
        half    5 x 5           ▒▒▒▒████       4, of half the height
        double  upsampling          ████       none
        join    double, full   ▒▒▒▒▒████████   5 of `full` wait for `double`
        scores  3 x 3             ▒▒████████   2

    `kept_rows` lists them for a net, `kept_bytes` tells what they take.

    The idea is that of line buffers of image processors, and of fused layers:
    Alwani et al. 2016, "Fused-layer CNN accelerators"
    (https://doi.org/10.1109/MICRO.2016.7783725).

    Args:
        patch_model: As for `keras_patching.receptive_field`.
        rows: Rows of the image in a step, a multiple of the stride of the
            patch model.
        data_format: As for `keras_patching.receptive_field`.
        training: Whether layers are run as in training. Then a call can be
            trained through: its gradients are those of the whole image, in
            the memory of a band and of what is kept at each step, since what
            a step has computed is computed again on the way back. Layers draw
            (`Dropout`) for each band anew.

    Attributes:
        rows: Rows of a step.
        stride: `(height, width)`, what the size of images is a multiple of.
        outputs: A `StreamedOutput` for each output of the patch model.

    Raises:
        ValueError: If `rows` is no multiple of the stride, if a layer looks at
            the whole image, or if it cannot be run on rows; it is named. In
            training also if one needs the whole image there, such as
            `BatchNormalization` that is not frozen.

    Example:

    >>> stream = keras_patching.layers.RowStream(patch_model, rows=64)
    >>> image = np.zeros((1, 200, 96, 3), "float32")
    >>> tuple(stream(image).shape)
    (1, 200, 96, 2)

    Rows that come one after the other, as from a scanner. What a step makes
    is some rows behind; steps below the image, whose rows may hold anything,
    make the last. On torch, take steps under `torch.no_grad()`: a state that
    is part of a gradient holds all that was computed before it.

    >>> state = stream.initial_state(batch_size=1, width=96)
    >>> parts = []
    >>> for index in range(stream.count_steps(200)):
    ...     rows = np.zeros((1, 64, 96, 3), "float32")
    ...     (made,), state = stream.step(state, rows, index * 64, height=200)
    ...     parts.append(keras.ops.convert_to_numpy(made))
    >>> lag = stream.outputs[0].lag
    >>> tuple(np.concatenate(parts, axis=1)[:, lag : lag + 200].shape)
    (1, 200, 96, 2)
    """

    def __init__(
        self,
        patch_model: keras.Model,
        rows: int,
        *,
        data_format: str | None = None,
        training: bool = False,
    ) -> None:
        data_format = data_format or keras.config.image_data_format()
        net = net_of(patch_model, data_format, training)
        self.stride = field_of_net(patch_model, net, data_format).stride
        if not is_integer(rows) or rows <= 0 or rows % self.stride[0]:
            raise ValueError(
                "`rows` must be a positive multiple of the stride of the patch "
                f"model, which is {self.stride[0]}. Received: rows={rows}"
            )
        self.rows = rows
        self.training = training
        self.patch_model = patch_model
        self.input_field = SpatialField.of_images(
            RowAxis(rows), RowAxis(0), data_format
        )
        self._fields = net.fields_of(self.input_field)
        self._specs = net.specs
        self._calls = [self._run_on_rows(call) for call in net.calls]
        self._outputs = net.outputs
        self.seeds = list(self._seeds_of(net)) if training else []
        self.outputs = tuple(
            StreamedOutput(field.y.rows, field.y.lag)
            for field in self.output_fields
        )

    @property
    def output_fields(self) -> list[SpatialField[RowAxis]]:
        """`SpatialField` of each output, its rows a `RowAxis`."""
        return [self._fields[number] for number in self._outputs]

    def _run_on_rows(self, call):
        name, activation = call.operation.name, None
        if self.training:
            call, activation = split_activation(call)
        runner = find_runner(
            call,
            [self._fields[number] for number in call.inputs],
            self._fields[call.made[0]],
        )
        return _Call(
            name, runner, tuple(call.inputs), tuple(call.made), activation
        )

    def _seeds_of(self, net):
        """Give each `Seed` that layers draw with once."""
        known = set()
        for call in net.calls:
            if call.training and isinstance(call.operation, keras.layers.Layer):
                fields = [self._fields[number] for number in call.inputs]
                for variable in seeds_of(call.operation):
                    if id(variable) not in known:
                        known.add(id(variable))
                        yield Seed(variable, draws_once(call, fields))

    def initial_state(self, batch_size: int, width: int) -> list[Any]:
        """Return the state before the first step.

        Args:
            batch_size: Number of images.
            width: Width of the bands in pixels, a multiple of the stride.

        Returns:
            List of tensors: the rows that layers keep.
        """
        return [
            ops.full(shape, ops.cast(value, dtype), dtype)
            for shape, dtype, value in self.state_specs(batch_size, width)
        ]

    def state_specs(
        self, batch_size: int, width: int
    ) -> list[tuple[tuple[int, ...], str, float]]:
        """Return shape, dtype and value of each tensor of the first state.

        Args:
            batch_size, width: As for `initial_state`.
        """
        self._check_length(width, self.stride[1], "width")
        return [
            (
                self._shape(number, batch_size, rows, width),
                self._specs[number].dtype,
                clip_to_dtype(value, self._specs[number].dtype),
            )
            for call in self._calls
            for number, rows, value in self._kept(call)
        ]

    def _kept(self, call):
        return [
            (call.inputs[index], rows, value)
            for index, rows, value in call.runner.kept()
        ]

    @property
    def kept_rows(self) -> list[tuple[str, int]]:
        """Names of the layers that keep rows, and how many of an input.

        Example:

        >>> net = keras.Sequential(
        ...     [
        ...         keras.Input((None, None, 3)),
        ...         keras.layers.Conv2D(8, 5, padding="same", name="first"),
        ...         keras.layers.Conv2D(8, 3, padding="same", name="second"),
        ...     ]
        ... )
        >>> keras_patching.layers.RowStream(net, rows=64).kept_rows
        [('first', 4), ('second', 2)]
        """
        return [
            (call.name, rows)
            for call in self._calls
            for _, rows, _ in self._kept(call)
        ]

    def kept_bytes(self, width: int) -> int:
        """Tell how much the state of one image takes.

        Args:
            width: Width of the bands in pixels.

        Returns:
            Bytes of the rows that layers keep.
        """
        return sum(
            self._bytes(number, rows, width)
            for call in self._calls
            for number, rows, _ in self._kept(call)
        )

    def band_bytes(self, width: int) -> int:
        """Tell how much the largest tensor of a step takes, for one image.

        Args:
            width: Width of the bands in pixels.
        """
        return max(self._bytes_of_tensors(width))

    def step_bytes(self, width: int) -> int:
        """Tell how much all tensors of a step take, for one image.

        Args:
            width: Width of the bands in pixels.
        """
        return sum(self._bytes_of_tensors(width))

    def _bytes_of_tensors(self, width):
        return [
            self._bytes(number, field.y.rows, width)
            for number, field in self._fields.items()
        ]

    def _bytes(self, number, rows, width):
        field, spec = self._fields[number], self._specs[number]
        channels = [spec.shape[axis] for axis in field.channel_axes]
        pixels = rows * field.x.length_of(width)
        return pixels * math.prod(channels) * _BYTES.get(spec.dtype, 4)

    def blank_output(
        self, index: int, batch_size: Any, rows: Any, width: Any
    ) -> Any:
        """Return zeros of some rows of an output, for bands of a width.

        Args:
            index: Number of the output.
            batch_size, rows, width: Integers, or sizes of a graph.
        """
        number = self._outputs[index]
        shape = self._shape(number, batch_size, rows, width)
        return ops.zeros(shape, self._specs[number].dtype)

    def _shape(self, number, batch_size, rows, width):
        """Return the shape of some rows of a tensor."""
        field = self._fields[number]
        row_axis, column_axis = spatial_axes(field)
        shape = list(self._specs[number].shape)
        shape[0] = batch_size
        shape[row_axis] = rows
        shape[column_axis] = field.x.length_of(width)
        return tuple(shape)

    def step(
        self,
        state: list[Any],
        rows: Any,
        first_row: Any,
        height: Any,
        width: Any = None,
    ) -> tuple[list[Any], list[Any]]:
        """Run the next band of rows.

        Nothing else is changed or kept: it may be scanned, compiled, or
        called for images in turn, each with a state of its own.

        Args:
            state: That of the step before, or `initial_state`.
            rows: Tensor `(batch, stream.rows, width, channels)`, which is
                cast to the compute dtype of the patch model. Rows below the
                image may hold anything.
            first_row: Index of the first of them in the image, a multiple of
                `stream.rows`. Steps go on below the image until all rows of
                the outputs are made.
            height: Height of the image, a multiple of the stride.
            width: Width of the image, a multiple of the stride, where it is
                less than that of the bands: columns right of it may hold
                anything. By default that of the bands.

        Returns:
            `(outputs, state)`: a list of the rows of each output, see
            `stream.outputs`, and the state for the next step.
        """
        first_row, height = map(_as_index, (first_row, height))
        self._check_step(rows, height)
        rows = convert_input(self.patch_model, ops.convert_to_tensor(rows))
        tensors, new_state = {0: ops.cast(rows, self._specs[0].dtype)}, []
        state = iter(state)
        place = first_row, height, width
        for call in self._calls:
            bands = [self._band(number, *place) for number in call.inputs]
            kept = [next(state) for _ in call.runner.kept()]
            inputs = [tensors[number] for number in call.inputs]
            if self.training and call.runner.needs_slopes:
                inputs = self._put_outside(
                    numbers_with_slopes, call.inputs, inputs, place
                )
            made, kept = call.runner.run(inputs, kept, bands)
            new_state += kept
            made = keras.tree.flatten(made)
            if call.activation is not None:
                (value,) = self._put_outside(
                    numbers_with_slopes, call.outputs, made, place
                )
                made = [call.activation(value)]
            if self.training and call.makes_infinities:
                made = self._put_outside(
                    lambda *_: 0.0, call.outputs, made, place
                )
            tensors.update(zip(call.outputs, made, strict=True))
        return [tensors[number] for number in self._outputs], new_state

    def _put_outside(self, choose, numbers, values, place):
        """Put what is chosen for each tensor of floats outside of it."""
        filled = []
        for number, value in zip(numbers, values, strict=True):
            if keras.backend.is_float_dtype(value.dtype):
                field = self._fields[number]
                band = self._band(number, *place)
                value = mask_outside(value, band, field, choose(value, field))
            filled.append(value)
        return filled

    def _band(self, number, first_row, height, width):
        field = self._fields[number]
        first = field.y.index_of(first_row) - field.y.lag
        width = None if width is None else field.x.length_of(width)
        return Band(first, field.y.length_of(height), width)

    def __call__(self, images: Any) -> Any:
        """Run all rows of images.

        Args:
            images: Tensor `(batch, height, width, channels)`, height and width
                multiples of the stride.

        Returns:
            What the patch model returns.
        """
        outputs = self.run(images)
        return keras.tree.pack_sequence_as(self._structure, outputs)

    def run(self, images: Any) -> list[Any]:
        """Run all rows of images, as a call does.

        Args:
            images: As for a call.

        Returns:
            List of the outputs, as `keras.tree.flatten` orders them.
        """
        self._check_size(images)
        if self.training:
            return stream_in_training(self, images)
        # What layers change must not leave the loop, such as losses.
        variables = self.patch_model.variables
        values = zip(variables, stored_values(variables), strict=True)
        with keras.StatelessScope(values):
            return stream_rows(self, images)

    def count_steps(self, height: Any) -> Any:
        """Tell how many steps make all rows of the outputs.

        Args:
            height: Of the image; an integer, or a size of a graph.

        Example:

        >>> stream = keras_patching.layers.RowStream(patch_model, rows=64)
        >>> stream.count_steps(200)
        4
        """
        return count_steps(self, height)

    def _check_step(self, rows, height):
        row_axis, _ = self.input_field.axes
        found = rows.shape[row_axis]
        if isinstance(found, int) and found != self.rows:
            raise ValueError(
                f"A step takes {self.rows} rows. Received: rows of shape "
                f"{tuple(rows.shape)}"
            )
        self._check_length(height, self.stride[0], "height")

    def _check_size(self, images):
        for axis, stride, name in zip(
            self.input_field.axes, self.stride, ("height", "width"), strict=True
        ):
            self._check_length(images.shape[axis], stride, name)

    def _check_length(self, length, stride, name):
        if isinstance(length, int) and length % stride:
            raise ValueError(
                f"The {name} of images must be a multiple of the stride of "
                f"the patch model, which is {stride}: pad them. Received: "
                f"{name}={length}"
            )

    @functools.cached_property
    def _structure(self):
        """What the patch model returns of images of some size."""
        spec = self._specs[0]
        shape = [1 if spec.shape[0] is None else spec.shape[0], *spec.shape[1:]]
        for axis, stride in zip(
            self.input_field.axes, self.stride, strict=True
        ):
            shape[axis] = shape[axis] or round_up(_SOME_LENGTH, stride)
        spec = keras.KerasTensor(shape, dtype=spec.dtype)
        return self.patch_model.compute_output_spec(spec)


def _as_index(number):
    """Keep what is known, so that nothing is masked where all is inside."""
    if isinstance(number, numbers.Integral):
        return int(number)
    return ops.cast(number, "int32")
