"""What dropout and the like draw next, which Keras does not save."""

import hashlib

import keras
import numpy as np


def drawn_states(model):
    """Read how far the random layers of a model are.

    Args:
        model: Keras model.

    Returns:
        List of lists of integers, of each `keras.random.SeedGenerator`.
    """
    return [
        keras.ops.convert_to_numpy(each).tolist() for each in _variables(model)
    ]


def restore_states(model, states):
    """Let the random layers of a model go on from `drawn_states`.

    Raises:
        ValueError: If the states are of other layers.
    """
    variables = _variables(model)
    if len(variables) != len(states):
        raise ValueError(
            f"'{model.name}' has not the layers that draw at random, such as "
            "`Dropout`, with which the training was interrupted. Make it as "
            "it was, or remove the folder of the backup to begin anew. "
            f"Received: {len(variables)} of them, was: {len(states)}"
        )
    for variable, state in zip(variables, states, strict=True):
        variable.assign(np.array(state, variable.dtype))


def _variables(model):
    return [
        variable
        for variable in model.variables
        if variable.path.endswith("seed_generator_state")
    ]


class TorchDraws:
    """The generators of torch, which its dropout without a seed draws from.

    Others draw from them at the seams of epochs: Keras does for each iterator
    over data. So each epoch begins with a seed of its own, and one that goes
    on in its middle with what was saved. On other backends it does nothing.

    Attributes:
        base: What the seeds of epochs are made of; `None` on other backends.
    """

    def __init__(self):
        self.base = None
        if keras.backend.backend() == "torch":
            import torch

            self.base = torch.initial_seed()

    def begin(self, epoch):
        """Seed an epoch."""
        if self.base is not None:
            import torch

            found = hashlib.sha256(f"{self.base} {epoch}".encode()).digest()
            torch.manual_seed(int.from_bytes(found[:7]))

    def state(self):
        """Give what is drawn next, as a list of hexadecimal strings."""
        return [bytes(get().numpy()).hex() for get, _ in self._generators()]

    def go_on(self, state):
        """Draw what would have been drawn after `state`."""
        if self.base is None:
            return
        import torch

        for (_, put), text in zip(self._generators(), state, strict=False):
            put(torch.frombuffer(bytearray.fromhex(text), dtype=torch.uint8))

    def _generators(self):
        if self.base is None:
            return []
        import torch

        pairs = [(torch.get_rng_state, torch.set_rng_state)]
        if torch.cuda.is_available():
            pairs.append((torch.cuda.get_rng_state, torch.cuda.set_rng_state))
        return pairs
