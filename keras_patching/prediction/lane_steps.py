"""What computes a band of each lane: a function of what the lanes keep."""

import keras
import numpy as np
from keras import ops


class LaneFunction:
    """The step of some lanes, a function of what they keep.

    Args:
        stream: `RowStream`.
        count: Number of lanes; more than one on jax only.
        transform: Of the outputs of a band, in the graph.
        structure: What the patch model returns.
    """

    def __init__(self, stream, count, transform, structure):
        self.stream, self.count = stream, count
        self._transform, self._structure = transform, structure

    def __call__(self, state, is_first, rows, first_row, height, width):
        """Run a band of each lane.

        Args:
            state: What is kept.
            is_first, first_row, height, width: Tensors `(lanes,)`.
            rows: Tensor `(lanes, 1, rows, width, channels)`.

        Returns:
            List of the outputs, `(lanes, 1, ...)`, and the new state.
        """
        arguments = is_first, rows, first_row, height, width
        if self.count == 1:
            outputs, state = self._run(state, *(each[0] for each in arguments))
            return [output[None] for output in outputs], state
        import jax

        return jax.vmap(self._run)(state, *arguments)

    def _run(self, state, is_first, rows, first_row, height, width):
        specs = self.stream.state_specs(1, rows.shape[2])
        state = [
            ops.where(is_first, ops.cast(value, dtype), kept)
            for kept, (_, dtype, value) in zip(state, specs, strict=True)
        ]
        outputs, state = self.stream.step(state, rows, first_row, height, width)
        outputs = keras.tree.pack_sequence_as(self._structure, outputs)
        return keras.tree.flatten(self._transform(outputs)), state

    def blank_state(self, width):
        """Return zeros in the place of what is kept, for lanes of a width.

        As arrays of numpy they cost jax no compilation.
        """
        lanes = () if self.count == 1 else (self.count,)
        return [
            np.zeros((*lanes, *shape), numpy_dtype(dtype))
            for shape, dtype, _ in self.stream.state_specs(1, width)
        ]


class LaneStep:
    """Lanes of one width, which are run side by side.

    Args:
        function: Their `LaneFunction`.
        compiled: The same, compiled.
        width: In pixels.
    """

    def __init__(self, function, compiled, width):
        self.stream, self.count = function.stream, function.count
        self.width = width
        self._compiled = compiled
        self._state = function.blank_state(width)

    def run(self, *arguments):
        """Run a band of each lane; as `LaneFunction`, without the state."""
        outputs, self._state = self._compiled(self._state, *arguments)
        return outputs


def numpy_dtype(dtype):
    """Give what numpy calls a dtype of Keras."""
    if dtype == "bfloat16":
        import jax

        return jax.dtypes.bfloat16
    return dtype
