"""Epochs of a training, and of the sequence that it is fed."""

import contextlib
import math
import warnings

import keras


class FollowEpochs(keras.callbacks.Callback):
    """Sets the epoch of a sequence to that of `fit`, and notes where it is.

    A `fit` that starts at epoch 0 goes on where the sequence is; one that goes
    on with an earlier training (`initial_epoch`, `BackupAndRestore`) starts at
    its own first epoch. Where `steps_per_epoch` spreads one pass over many
    epochs, the sequence counts passes.

    Args:
        sequence: `CachedSequence`.
        feed: `Feed` of it, of which an epoch that was interrupted sees the
            rest.
        place: `TrainingPlace` to note it in.
    """

    def __init__(self, sequence, feed, place):
        super().__init__()
        self.sequence, self._feed, self._place = sequence, feed, place
        self._first = self._start = None
        self._quiet = contextlib.ExitStack()

    def go_on(self, passes, batch):
        """Begin in the middle of a training.

        Args:
            passes: Epoch of the sequence.
            batch: Index of the batch to begin with.
        """
        self._start, self._feed.first = passes, batch

    def close(self):
        """Leave nothing changed, wherever the training ended."""
        self._quiet.close()

    def on_train_begin(self, logs=None):
        self._first = self._start = None
        self._place.found = None

    def on_epoch_begin(self, epoch, logs=None):
        if self._first is None:
            self._first = epoch
            if self._start is None:
                self._start = epoch or self.sequence.epoch
        self._reach(epoch)

    def on_train_batch_begin(self, batch, logs=None):
        # So Keras's own data sets tell it that an epoch is at its end.
        if self._feed.first and batch >= len(self._feed):
            raise StopIteration

    def on_train_batch_end(self, batch, logs=None):
        done = min(batch + 1, len(self._feed))
        self._note(self._epoch, self._feed.first + done)
        if self._feed.first and done == len(self._feed):
            self._expect_end()

    def on_epoch_end(self, epoch, logs=None):
        self._quiet.close()
        self._feed.first = 0
        self._reach(epoch + 1)

    def _expect_end(self):
        """Have Keras not warn that an epoch is shorter than others."""
        self._quiet.enter_context(warnings.catch_warnings())
        warnings.filterwarnings("ignore", "Your input ran out of data")

    def _reach(self, epoch):
        passes = self._start + (epoch - self._first) // self._epochs_per_pass
        self.sequence.epoch = passes
        self._epoch = epoch
        self._note(epoch, self._feed.first)

    def _note(self, epoch, batch):
        """Note which batch of an epoch is the next one."""
        before = (epoch - self._first) % self._epochs_per_pass * self._steps
        place, passes, batch = self._place, self.sequence.epoch, before + batch
        if batch >= len(self.sequence):
            epoch, passes, batch = epoch + 1, passes + 1, 0
        place.epoch, place.passes, place.batch = epoch, passes, batch

    @property
    def _steps(self):
        batches = max(len(self.sequence), 1)
        return (self.params or {}).get("steps") or batches

    @property
    def _epochs_per_pass(self):
        return math.ceil(max(len(self.sequence), 1) / self._steps)
