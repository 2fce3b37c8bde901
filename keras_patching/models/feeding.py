"""How the models of this package train on a `CachedSequence`."""

import contextlib

import keras

from keras_patching._keras_internals import set_first_epoch
from keras_patching.data.feeding.cached_sequence import CachedSequence
from keras_patching.models.following_epochs import FollowEpochs
from keras_patching.models.processes import check_backups, shared
from keras_patching.models.resuming import GoOn, TrainingPlace


class Feed(keras.utils.PyDataset):
    """What Keras sees of a `CachedSequence`, until it is closed.

    Tensorflow never lets go of a data set, and so of its open files.

    Args:
        sequence: The `CachedSequence`.

    Attributes:
        first: Index of the batch that it begins with.
    """

    def __init__(self, sequence):
        super().__init__()
        self._sequence = sequence
        self.first = 0

    def __len__(self):
        return len(self._sequence) - self.first

    def __getitem__(self, index):
        return self._sequence[self.first + index]

    def on_epoch_begin(self):
        self._sequence.on_epoch_begin()

    def on_epoch_end(self):
        self._sequence.on_epoch_end()

    def close(self):
        self._sequence, self.first = (), 0


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
def feeding_training(model, arguments):
    """Give what Keras is to see of the arguments of `fit`.

    Args:
        model: `PatchedModel` that is trained.
        arguments: Dict of the arguments of `keras.Model.fit`.
    """
    x, validation_data = arguments["x"], arguments.get("validation_data")
    with feeding(x, validation_data) as (feed, validation_data):
        arguments = {**arguments, "x": feed, "validation_data": validation_data}
        if not isinstance(x, CachedSequence):
            yield arguments
            return
        # The sequence shuffles itself: Keras would mix its batches again.
        arguments["shuffle"] = False
        with _following(model, x, feed, arguments) as callbacks:
            yield {**arguments, "callbacks": callbacks}


@contextlib.contextmanager
def _following(model, sequence, feed, arguments):
    """Give the callbacks of a training on a sequence."""
    place = TrainingPlace(model, sequence)
    with contextlib.closing(FollowEpochs(sequence, feed, place)) as follow:
        callbacks = with_callback(follow, arguments.get("callbacks"))
        backups = list(filter(_is_backup, callbacks))
        check_backups(backups)
        if not backups:
            yield callbacks
            return
        steps = arguments.get("steps_per_epoch")
        model.training_place = place
        try:
            yield [*callbacks, GoOn(place, follow, sequence, steps)]
        finally:
            model.training_place = None
            # Keras would begin later trainings there too.
            set_first_epoch(model, None)


def _is_backup(callback):
    return isinstance(callback, keras.callbacks.BackupAndRestore)


def with_callback(callback, callbacks):
    """Return a list of a callback and of those that `fit` is given.

    Those of a `CallbackList` are taken out of it. Keras would add none that
    `fit` needs to such a list, and, to one inside of a list, all of them twice.
    """
    if isinstance(callbacks, keras.callbacks.CallbackList):
        callbacks = callbacks.callbacks
    return [callback, *keras.tree.flatten(callbacks or [])]
