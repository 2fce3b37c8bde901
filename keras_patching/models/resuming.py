"""A training that was interrupted goes on at the batch where it was saved.

`keras.callbacks.BackupAndRestore` saves in the middle of an epoch too, but
then begins the epoch anew, with weights that have seen a part of it. So the
place of a training is written into the file of its weights: it cannot be that
of others, whenever the process is killed.
"""

import json
import warnings

import keras
import numpy as np

from keras_patching._keras_internals import set_first_epoch
from keras_patching.data.feeding.sequence_identity import identify
from keras_patching.models.random_states import (
    TorchDraws,
    drawn_states,
    restore_states,
)

_KEY = "training_place"


class TrainingPlace:
    """Where a training on a sequence is.

    Args:
        model: Keras model that is trained.
        sequence: `CachedSequence` that `fit` trains on.

    Attributes:
        epoch: Epoch of `fit` that the next batch is of.
        passes: Epoch of the sequence that it is of.
        batch: Index of that batch.
        draws: `TorchDraws` of this training.
        found: Dict of these, and of what identifies the sequence, as it was
            saved with the weights that were loaded last; or `None`.
    """

    def __init__(self, model, sequence):
        self._model, self._sequence = model, sequence
        self.epoch = self.passes = self.batch = 0
        self.found = None
        self.draws = TorchDraws()

    def save(self, store):
        """Write it beside variables, to what Keras saves them in."""
        place = {
            "epoch": self.epoch,
            "passes": self.passes,
            "batch": self.batch,
            "drawn": drawn_states(self._model),
            "torch_base": self.draws.base,
            "torch_state": self.draws.state(),
            **identify(self._sequence),
            "whole_seed": self._sequence.seed,
        }
        store[_KEY] = np.frombuffer(json.dumps(place).encode(), "uint8")


def split_place(store):
    """Separate variables from the place of the training that they are of.

    Args:
        store: What Keras has read of a file of weights.

    Returns:
        Dict of variables, and dict of the place, or `None`.
    """
    variables = {name: store[name] for name in list(store.keys())}
    place = variables.pop(_KEY, None)
    if place is not None:
        place = json.loads(np.asarray(place, "uint8").tobytes())
    return variables, place


class GoOn(keras.callbacks.Callback):
    """Goes on where a training was; it comes after what restores a backup.

    Args:
        place: `TrainingPlace` of this training.
        follow: `FollowEpochs` of it.
        sequence: The `CachedSequence`.
        batches: Number of batches in each epoch of `fit`, or `None` for those
            of the sequence.
    """

    def __init__(self, place, follow, sequence, batches):
        super().__init__()
        self._place, self._follow = place, follow
        self._sequence, self._batches = sequence, batches
        self._state, self._is_new = None, True

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch, self._is_new = epoch, True

    def on_train_batch_begin(self, batch, logs=None):
        if not self._is_new:
            return
        self._is_new = False
        if self._state is None:
            self._place.draws.begin(self._epoch)
        else:
            self._place.draws.go_on(self._state)
            self._state = None

    def on_train_begin(self, logs=None):
        found = self._place.found
        if found is None:
            return
        self._sequence.take_seed(found["whole_seed"])
        batch = found["batch"]
        if batch and self._batches not in (None, len(self._sequence)):
            warnings.warn(
                "The training goes on at its epoch, but begins a pass over "
                "the data anew, of which it has seen a part: only without "
                "`steps_per_epoch` it goes on with the same batches. "
                f"Received: steps_per_epoch={self._batches}",
                stacklevel=2,
            )
            batch = 0
        if batch:
            self._check(found)
        self._follow.go_on(found["passes"], batch)
        set_first_epoch(self.model, found["epoch"])
        restore_states(self.model, found["drawn"])
        if self._place.draws.base is not None:
            self._place.draws.base = found["torch_base"]
        self._state = found["torch_state"] if batch else None

    def _check(self, found):
        """Refuse to go on in the middle of other batches."""
        now = identify(self._sequence)
        if any(found[name] != value for name, value in now.items()):
            was = {name: found[name] for name in now}
            raise ValueError(
                f"The training was interrupted at batch {found['batch']} of "
                f"epoch {found['epoch']}, and the sequence has other batches "
                "than then: some samples would be seen twice and others never. "
                "Make it as it was, or remove the folder of the backup to "
                f"begin anew. Received: {now}, was: {was}"
            )
