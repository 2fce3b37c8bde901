"""Loops over the bands of images that are trained through.

What a step needs to go back is computed again then: stored are the rows that
layers keep for the next step, and no activations. Outputs leave the loop by
its results: what is carried on would be stored at every step.
"""

import dataclasses
import functools
import math
from typing import Any

import keras
from keras import ops

from keras_patching.layers.row_bands import spatial_axes, take_rows
from keras_patching.layers.row_loops import (
    count_steps,
    join_bands,
    pad_rows,
)
from keras_patching.layers.row_training_on_tensorflow import (
    loop_there_and_back,
)
from keras_patching.layers.stored_values import stored_values


def stream_in_training(stream, images):
    """Run a `RowStream` of a training on all rows of images.

    Args:
        stream: `RowStream`.
        images: Tensor `(batch, height, width, channels)`.

    Returns:
        List of its outputs, whose gradients are those of the whole image.
    """
    loops = {
        "jax": _scan,
        "tensorflow": loop_there_and_back,
        "torch": _call_in_turn,
    }
    steps = Steps.of(stream, images)
    outputs, seeds = loops[keras.backend.backend()](steps)
    for seed, value in zip(stream.seeds, seeds, strict=True):
        seed.variable.assign(value)
    return outputs


@dataclasses.dataclass(frozen=True)
class Steps:
    """The steps of a stream over some images.

    Attributes:
        stream: `RowStream`.
        images: With rows below them, as many as steps need.
        height: Of the images without these.
        count: How many steps there are.
        values: Pairs of all variables and what they hold.
        seeds: What those hold that layers draw with.
    """

    stream: Any
    images: Any
    height: Any
    count: Any
    values: list[Any]
    seeds: list[Any]

    @classmethod
    def of(cls, stream, images):
        row_axis, _ = spatial_axes(stream.input_field)
        height = ops.shape(images)[row_axis]
        count = count_steps(stream, height)
        images = pad_rows(images, count * stream.rows - height, row_axis)
        variables = stream.patch_model.variables
        values = stored_values(variables)
        by_variable = dict(zip(map(id, variables), values, strict=True))
        return cls(
            *(stream, images, height, count),
            values=list(zip(variables, values, strict=True)),
            # Torch writes into the tensor that a variable holds.
            seeds=[
                ops.copy(by_variable[id(seed.variable)])
                for seed in stream.seeds
            ],
        )

    def first_state(self):
        """Return the state, and the seeds, before the first step."""
        _, column_axis = spatial_axes(self.stream.input_field)
        sizes = ops.shape(self.images)
        state = self.stream.initial_state(sizes[0], sizes[column_axis])
        return state, self.seeds

    def run(self, state, seeds, k):
        """Take a step, and change nothing else.

        Args:
            state, seeds: From the step before.
            k: Number of the step; an integer, or a scalar of a graph.

        Returns:
            Rows of each output, and state and seeds for the next step.
        """
        stream = self.stream
        row_axis, _ = spatial_axes(stream.input_field)
        offset, shape = [0, 0, 0, 0], list(ops.shape(self.images))
        offset[row_axis], shape[row_axis] = k * stream.rows, stream.rows
        rows = ops.slice(self.images, offset, shape)
        drawn_with = [
            (seed.variable, first if seed.is_of_all_rows else now)
            for seed, first, now in zip(
                stream.seeds, self.seeds, seeds, strict=True
            )
        ]
        with keras.StatelessScope(
            [*self.values, *drawn_with],
            collect_losses=True,
            initialize_variables=False,
        ) as scope:
            before = self._held(scope)
            made, state = stream.step(state, rows, k * stream.rows, self.height)
        self._check_unchanged(scope, before)
        seeds = [
            scope.get_current_value(seed.variable) for seed in stream.seeds
        ]
        return made, state, seeds

    def _held(self, scope):
        model = self.stream.patch_model
        variables = [*model.variables, *model.metrics_variables]
        return [(each, scope.get_current_value(each)) for each in variables]

    def _check_unchanged(self, scope, before):
        """Refuse what a layer does with one band that is meant for images."""
        if scope.losses:
            raise ValueError(
                "Images are trained on a band of rows at a time, and a layer "
                f"of '{self.stream.patch_model.name}' adds a loss in its "
                "`call`, which would be of one band. Put it into the loss that "
                "the model is compiled with."
            )
        seeds = {id(seed.variable) for seed in self.stream.seeds}
        for variable, value in before:
            is_seed = id(variable) in seeds
            if scope.get_current_value(variable) is not value and not is_seed:
                raise ValueError(
                    "Images are trained on a band of rows at a time, and the "
                    f"variable '{variable.path}' is changed by its layer in "
                    "training, which would count each band as an image. Freeze "
                    "that layer (`layer.trainable = False`)."
                )


def _grouping(count):
    """Choose groups of steps of one size, so that few are added.

    What is kept is stored of each group, and of each step of one: all of them
    together, of large images, would take more than all else.

    Args:
        count: How many steps there are.

    Returns:
        `(number of groups, size of each)`.
    """
    root = math.isqrt(count)
    sizes = range(max(root - 1, 1), root + 3)
    size = min(sizes, key=lambda size: (-count % size, abs(size - root)))
    return -(-count // size), size


def _scan(steps):
    import jax

    def step(carry, k):
        made, *carry = steps.run(*carry, k)
        return tuple(carry), made

    # In a loop nothing is computed once for both directions anyway.
    again = functools.partial(jax.checkpoint, prevent_cse=False)
    groups, size = _grouping(steps.count)
    numbers = ops.arange(groups * size, dtype="int32")
    (_, seeds), stacks = jax.lax.scan(
        again(functools.partial(jax.lax.scan, again(step))),
        steps.first_state(),
        ops.reshape(numbers, (groups, size)),
    )
    stacks = [ops.reshape(each, (-1, *each.shape[2:])) for each in stacks]
    return [
        join_bands(stack, stack[0], field, steps.height)
        for stack, field in zip(stacks, steps.stream.output_fields, strict=True)
    ], seeds


def _call_in_turn(steps):
    from torch.utils.checkpoint import checkpoint

    again = functools.partial(checkpoint, use_reentrant=False)

    def run_group(state, seeds, numbers):
        bands = []
        for k in numbers:
            made, state, seeds = again(steps.run, state, seeds, k)
            bands.append(made)
        return bands, state, seeds

    state, seeds = steps.first_state()
    _, size = _grouping(steps.count)
    bands = []
    for first in range(0, steps.count, size):
        numbers = range(first, min(first + size, steps.count))
        made, state, seeds = again(run_group, state, seeds, numbers)
        bands += made
    outputs = []
    for each, field in zip(
        zip(*bands, strict=True), steps.stream.output_fields, strict=True
    ):
        row_axis, _ = spatial_axes(field)
        rows, lag = ops.concatenate(each, row_axis), field.y.lag
        height = field.y.length_of(steps.height)
        outputs.append(take_rows(rows, field, lag, lag + height))
    return outputs, seeds
