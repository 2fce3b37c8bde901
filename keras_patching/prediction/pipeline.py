"""Reading, computing and writing, each in a thread of its own."""

import collections
import concurrent.futures
import contextlib
import warnings
from collections.abc import Iterator

from keras_patching.prediction.out_of_memory import is_out_of_memory

# Batches that are read before, and written after, the one that is computed.
_AHEAD = 2
_END = object()


def run_jobs(engine, jobs):
    """Predict images, while others are read and written.

    Where a device has no memory left, images that are not done yet are begun
    again after the rows that are, with less at once.

    Args:
        engine: Has `batches(jobs)`, a generator that reads, and yields `None`
            where the jobs do; `run(batch)`, which computes; `write(batch,
            outputs)`, which yields the jobs that it ends; and `halve()`, which
            lets it compute half as much at once and says so, or returns
            `None`.
        jobs: Iterable of `ImageJob`, and of `None` where there is none now.

    Yields:
        Jobs, as they end, and `None` now and then and at the end.
    """
    jobs = _Begun(jobs)
    while True:
        try:
            yield from _run(engine, jobs)
        except Exception as error:
            message = engine.halve() if is_out_of_memory(error) else None
            if message is None:
                raise
        else:
            return
        warnings.warn(message, stacklevel=2)
        jobs.begin_again()


def _run(engine, jobs):
    with (
        concurrent.futures.ThreadPoolExecutor(
            1, thread_name_prefix="write"
        ) as thread,
        contextlib.closing(read_ahead(engine.batches(jobs), _AHEAD)) as batches,
    ):
        writer = _Writer(thread, engine, jobs)
        try:
            for batch in batches:
                if batch is None:  # What is being written may bring others.
                    yield from writer.end(0)
                    yield None
                    continue
                try:
                    outputs = engine.run(batch)
                except Exception:
                    # What was computed before is there.
                    yield from writer.end(0)
                    raise
                writer.begin(batch, outputs)
                yield from writer.end(_AHEAD)
                yield None
            yield from writer.end(0)
            yield None
        finally:
            thread.shutdown(cancel_futures=True)


class _Writer:
    """Writes in a thread of its own, in order, up to the first failure."""

    def __init__(self, thread, engine, jobs):
        self._thread, self._engine, self._jobs = thread, engine, jobs
        self._written = collections.deque()
        self._has_failed = False

    def begin(self, batch, outputs):
        future = self._thread.submit(self._write, batch, outputs)
        self._written.append(future)

    def _write(self, batch, outputs):
        if self._has_failed:
            return []  # It would leave a gap.
        try:
            return list(self._engine.write(batch, outputs))
        except BaseException:
            self._has_failed = True
            raise

    def end(self, most):
        """Yield the jobs of what is written, and wait while more are not."""
        written = self._written
        while written and (len(written) > most or written[0].done()):
            for job in written.popleft().result():
                self._jobs.end(job)
                yield job


class _Begun:
    """Jobs, which are noted until they end, so that they may begin again."""

    def __init__(self, jobs):
        self._jobs = iter(jobs)
        self._begun, self._again = {}, collections.deque()

    def __iter__(self):
        return self

    def __next__(self):
        job = self._again.popleft() if self._again else next(self._jobs)
        if job is not None:
            self._begun[job.number] = job
        return job

    def end(self, job):
        del self._begun[job.number]

    def begin_again(self):
        """Give those again that have not ended, then the others."""
        self._again.extendleft(reversed(self._begun.values()))
        self._begun.clear()


def read_ahead(items: Iterator, count: int) -> Iterator:
    """Take what an iterator gives, which runs ahead in a thread of its own.

    Args:
        items: Iterator.
        count: How many items are taken ahead.

    Yields:
        The items.
    """
    with concurrent.futures.ThreadPoolExecutor(
        1, thread_name_prefix="read"
    ) as reader:
        coming = collections.deque(
            reader.submit(next, items, _END) for _ in range(count)
        )
        try:
            while (item := coming.popleft().result()) is not _END:
                coming.append(reader.submit(next, items, _END))
                yield item
        finally:
            reader.shutdown(cancel_futures=True)
