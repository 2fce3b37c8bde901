"""Reads the batches that are asked for next, while the present one is used."""

import concurrent.futures
import itertools
import threading


class ReadAhead:
    """Threads that read batches ahead of one who asks for them in turn.

    Who asks for one batch after the other, in steps of any length, finds the
    next ones read. Who asks in another order is given what he asks for, read
    there and then. Threads live from `start` to `stop`, or as long as this.
    """

    def __init__(self):
        self._lock = threading.Lock()
        self._threads = None
        self._rewind()

    def _rewind(self):
        self._futures = {}
        self._last, self._step = (None, -1), 1

    def start(self, workers):
        """Begin a pass; nothing is read before the first batch is taken.

        Args:
            workers: Number of threads; with 0 nothing is read ahead.
        """
        self.stop()
        with self._lock:
            if workers:
                self._threads = concurrent.futures.ThreadPoolExecutor(
                    workers, thread_name_prefix="PatchingSequence"
                )

    def stop(self):
        """End a pass: threads are gone and what was read ahead is dropped."""
        with self._lock:
            threads, self._threads = self._threads, None
            self._rewind()
        if threads is not None:
            threads.shutdown(cancel_futures=True)

    def take(self, read, sequence, index):
        """Give the batch `read(index)`, and have the next ones read ahead.

        Args:
            read: Function from an index to a batch of the current epoch.
            sequence: The `PatchingSequence` that they are of.
            index: Index of the batch.
        """
        with self._lock:
            future = self._turn_to(read, sequence, index)
        # One that no thread has come to is read here rather than waited for.
        here = future is None or future.cancel()
        return read(index) if here else future.result()

    def _turn_to(self, read, sequence, index):
        epoch, last = self._last
        step = index - last
        in_turn = step == self._step > 0 and epoch in (None, sequence.epoch)
        self._last, self._step = (sequence.epoch, index), step
        if self._threads is None:
            return None
        if not in_turn:
            for future in self._futures.values():
                future.cancel()
            self._futures = {}
            return None
        coming = range(index + step, len(sequence), step)
        for i in itertools.islice(coming, sequence.max_queue_size):
            if i not in self._futures:
                self._futures[i] = self._threads.submit(read, i)
        return self._futures.pop(index, None)
