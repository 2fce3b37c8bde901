"""Loops of tensorflow over the bands of images that are trained through.

The gradient of a `tf.while_loop` would hold all that its steps compute, also
where they are to be computed again. So there is a loop of its own for the way
back.
"""

import dataclasses

import keras

from keras_patching.layers.row_bands import spatial_axes
from keras_patching.layers.row_loops import join_bands


def loop_there_and_back(steps):
    """Take all steps.

    Args:
        steps: `Steps`.

    Returns:
        List of the outputs, and what seeds hold afterwards.
    """
    import tensorflow as tf

    variables = [variable for variable, _ in steps.values]
    seeds = []

    @tf.custom_gradient
    def run(*values):
        pairs = list(zip(variables, values, strict=True))
        there = dataclasses.replace(steps, values=pairs)
        stacks, kept, after = _go(there)
        seeds.extend(after)

        def back(*gradients):
            return _go_back(steps, values, kept, gradients)

        return stacks, back

    stacks = run(*(tf.convert_to_tensor(value) for _, value in steps.values))
    fields = steps.stream.output_fields
    return [
        join_bands(stack, stack[0], field, steps.height)
        for stack, field in zip(stacks, fields, strict=True)
    ], seeds


def _go(steps):
    """Take steps, and stack what each makes, and what it began with."""
    import tensorflow as tf

    state, seeds = steps.first_state()
    began, size = [*state, *seeds], len(state)
    _, column_axis = spatial_axes(steps.stream.input_field)
    sizes = tf.shape(steps.images)
    bands = [
        steps.stream.blank_output(
            index, sizes[0], field.y.rows, sizes[column_axis]
        )
        for index, field in enumerate(steps.stream.output_fields)
    ]
    arrays = [
        tf.TensorArray(each.dtype, steps.count, element_shape=each.shape)
        for each in (*bands, *began)
    ]

    def step(k, held, arrays):
        made, *after = steps.run(held[:size], held[size:], k)
        written = zip(arrays, (*made, *held), strict=True)
        after = keras.tree.flatten(after)
        return k + 1, after, [each.write(k, rows) for each, rows in written]

    _, held, arrays = tf.while_loop(
        lambda k, *_: k < steps.count,
        step,
        (tf.constant(0), began, arrays),
        shape_invariants=(
            tf.TensorShape([]),
            [tf.TensorShape(each.shape) for each in began],
            [tf.TensorShape(None) for _ in arrays],
        ),
    )
    stacks = [array.stack() for array in arrays]
    return stacks[: len(bands)], stacks[len(bands) :], held[size:]


def _go_back(steps, values, kept, gradients):
    """Take steps once more, the last one first, for gradients of values.

    Args:
        steps: `Steps`.
        values: What variables hold.
        kept: Stacks of state and seeds, with which steps began.
        gradients: Stacks of what is known of the bands that steps made.

    Returns:
        List of the gradients of `values`.
    """
    import tensorflow as tf

    variables = [variable for variable, _ in steps.values]

    def step(k, of_state, sums):
        here = [tf.identity(value) for value in values]
        pairs = list(zip(variables, here, strict=True))
        held = [stack[k] for stack in kept]
        state, seeds = held[: len(of_state)], held[len(of_state) :]
        sources = [*state, *here]
        with tf.GradientTape() as tape:
            tape.watch([each for each in sources if each.dtype.is_floating])
            again = dataclasses.replace(steps, values=pairs)
            made, after, _ = again.run(state, seeds, k)
        known = [*(stack[k] for stack in gradients), *of_state]
        found = tape.gradient(
            *([*made, *after], sources, known),
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
        of_state, here = found[: len(state)], found[len(state) :]
        sums = [a + b for a, b in zip(sums, here, strict=True)]
        return k - 1, of_state, sums

    size = len(kept) - len(steps.seeds)
    of_state = [tf.zeros_like(each[0]) for each in kept[:size]]
    sums = [tf.zeros_like(value) for value in values]
    start = (tf.convert_to_tensor(steps.count) - 1, of_state, sums)
    _, _, sums = tf.while_loop(
        lambda k, *_: k >= 0,
        step,
        start,
        shape_invariants=keras.tree.map_structure(
            lambda each: tf.TensorShape(each.shape), start
        ),
    )
    return sums
