"""How the models of this package train on a `CachedSequence`."""

import contextlib
import math

import keras

from keras_patching.data.feeding.cached_sequence import CachedSequence
from keras_patching.models.processes import shared


class Feed(keras.utils.PyDataset):
    """What Keras sees of a `CachedSequence`, until it is closed.

    Tensorflow never lets go of a data set, and so of its open files.

    Args:
        sequence: The `CachedSequence`.
    """

    def __init__(self, sequence):
        super().__init__()
        self._sequence = sequence

    def __len__(self):
        return len(self._sequence)

    def __getitem__(self, index):
        return self._sequence[index]

    def on_epoch_begin(self):
        self._sequence.on_epoch_begin()

    def on_epoch_end(self):
        self._sequence.on_epoch_end()

    def close(self):
        self._sequence = ()


@contextlib.contextmanager
def feeding(*data):
    """Give what Keras is to see of data: a `Feed` of a `CachedSequence`.

    Args:
        *data: Data of `fit`, `evaluate` or `predict`.
    """
    with shared(*data), contextlib.ExitStack() as stack:
        yield [_feed(x, stack) for x in data]


def _feed(x, stack):
    if not isinstance(x, CachedSequence):
        return x
    stack.enter_context(x.led())
    return stack.enter_context(contextlib.closing(Feed(x)))


@contextlib.contextmanager
def feeding_training(arguments):
    """Give what Keras is to see of the arguments of `fit`.

    Args:
        arguments: Dict of the arguments of `keras.Model.fit`.
    """
    x, validation_data = arguments["x"], arguments.get("validation_data")
    if isinstance(x, CachedSequence):
        callbacks = arguments.get("callbacks")
        arguments = {
            **arguments,
            "callbacks": with_callback(FollowEpochs(x), callbacks),
            # The sequence shuffles itself: Keras would mix its batches again.
            "shuffle": False,
        }
    with feeding(x, validation_data) as (x, validation_data):
        yield {**arguments, "x": x, "validation_data": validation_data}


def with_callback(callback, callbacks):
    """Return a list of a callback and of those that `fit` is given.

    Those of a `CallbackList` are taken out of it. Keras would add none that
    `fit` needs to such a list, and, to one inside of a list, all of them twice.
    """
    if isinstance(callbacks, keras.callbacks.CallbackList):
        callbacks = callbacks.callbacks
    return [callback, *keras.tree.flatten(callbacks or [])]


class FollowEpochs(keras.callbacks.Callback):
    """Sets the epoch of a sequence to that of `fit`.

    A `fit` that starts at epoch 0 goes on where the sequence is; one that goes
    on with an earlier training (`initial_epoch`, `BackupAndRestore`) starts at
    its own first epoch. Where `steps_per_epoch` spreads one pass over many
    epochs, the sequence counts passes.
    """

    def __init__(self, sequence):
        super().__init__()
        self.sequence = sequence
        self._first = None

    def on_train_begin(self, logs=None):
        self._first = None

    def on_epoch_begin(self, epoch, logs=None):
        if self._first is None:
            self._first = epoch
            self._start = epoch or self.sequence.epoch
        self.sequence.epoch = self._passes_before(epoch)

    def on_epoch_end(self, epoch, logs=None):
        self.sequence.epoch = self._passes_before(epoch + 1)

    def _passes_before(self, epoch):
        num_batches = max(len(self.sequence), 1)
        steps = (self.params or {}).get("steps") or num_batches
        epochs_per_pass = math.ceil(num_batches / steps)
        return self._start + (epoch - self._first) // epochs_per_pass
