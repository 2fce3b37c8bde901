"""Threads that use one model take turns."""

import threading
import warnings

import keras


class Turns:
    """A lock that one thread may take again, and may let others have first.

    On jax, `fit`, `evaluate` and `predict` take the weights out of a model and
    put them back at their end: meanwhile other threads would find none.

    Args:
        patience: Seconds that a thread waits before it warns.
    """

    def __init__(self, patience=60):
        self._patience = patience
        self._changed = threading.Condition()
        self._waiting = []  # Threads, the next one first.
        self._owner = None
        self._depth = 0

    def __enter__(self):
        """Wait for the turn.

        Returns:
            Whether it has begun now, and was not this thread's already.
        """
        is_new = not self._is_own()
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
        if not self._is_own():
            return
        depth = self._depth
        self._release()
        try:
            self._take()
        except BaseException:
            # Whoever has the turn puts weights back when it fails.
            self._insist()
            raise
        finally:
            self._depth = depth

    def _is_own(self):
        return self._owner is threading.current_thread()

    def _insist(self):
        """Wait for the turn, whatever interrupts that."""
        while not self._is_own():
            try:
                self._take()
            except BaseException:  # noqa: S112 - the first is told
                continue

    def _take(self):
        thread = threading.current_thread()
        with self._changed:
            self._waiting.append(thread)
            try:
                if not self._changed.wait_for(self._is_next, self._patience):
                    self._warn()
                    self._changed.wait_for(self._is_next)
                self._owner, self._depth = thread, 0
            finally:
                self._waiting.remove(thread)
                self._changed.notify_all()

    def _is_next(self):
        is_free = self._owner is None
        return is_free and self._waiting[0] is threading.current_thread()

    def _warn(self):
        owner = self._owner or self._waiting[0]
        warnings.warn(
            f"Thread '{threading.current_thread().name}' has waited for "
            f"{self._patience} seconds to use a model that thread "
            f"'{owner.name}' uses. If that one waits for this one, both wait "
            "for ever: a callback or a data set that predicts with the model "
            "which is trained must predict in its own thread, and not start "
            "or use others for it.",
            stacklevel=2,
        )

    def _release(self):
        with self._changed:
            self._owner = None
            self._changed.notify_all()


class GiveWay(keras.callbacks.Callback):
    """Lets other threads predict between the batches of a training."""

    def __init__(self, turns):
        super().__init__()
        self._turns = turns

    def on_train_batch_begin(self, batch, logs=None):
        self._turns.give_way()

    def on_test_batch_begin(self, batch, logs=None):
        self._turns.give_way()
