"""Threads that use one model take turns."""

import threading

import keras


class Turns:
    """A lock that one thread may take again, and may let others have first.

    On jax, `fit`, `evaluate` and `predict` take the weights out of a model and
    put them back at their end: meanwhile other threads would find none.
    """

    def __init__(self):
        self._next = threading.Lock()
        self._lock = threading.Lock()
        self._owner = None
        self._depth = 0

    def __enter__(self):
        """Wait for the turn.

        Returns:
            Whether it has begun now, and was not this thread's already.
        """
        is_new = self._owner != threading.get_ident()
        if is_new:
            self._take()
        self._depth += 1
        return is_new

    def __exit__(self, *error):
        self._depth -= 1
        if not self._depth:
            self._release()

    def give_way(self):
        """Let the threads go first that wait, in the middle of a turn."""
        depth = self._depth
        self._release()
        self._take()
        self._depth = depth

    def _take(self):
        # Who waits for the lock holds this one, so that a thread which gives
        # way cannot have the lock again before.
        with self._next:
            self._lock.acquire()
        self._owner = threading.get_ident()
        self._depth = 0

    def _release(self):
        self._owner = None
        self._lock.release()


class GiveWay(keras.callbacks.Callback):
    """Lets other threads predict between the batches of a training."""

    def __init__(self, turns):
        super().__init__()
        self._turns = turns

    def on_train_batch_begin(self, batch, logs=None):
        self._turns.give_way()

    def on_test_batch_begin(self, batch, logs=None):
        self._turns.give_way()
