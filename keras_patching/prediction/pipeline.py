"""Reading, computing and writing, each in a thread of its own."""

import collections
import concurrent.futures
from collections.abc import Iterator

# Batches that are read before, and written after, the one that is computed.
_AHEAD = 2
_END = object()


def run_jobs(engine, jobs):
    """Predict images, while others are read and written.

    Args:
        engine: Has `batches(jobs)`, a generator that reads; `run(batch)`,
            which computes; and `write(batch, outputs)`, which yields the jobs
            that it ends.
        jobs: Iterable of `ImageJob`.

    Yields:
        Jobs, as they end, and `None` now and then and at the end.
    """
    with concurrent.futures.ThreadPoolExecutor(
        1, thread_name_prefix="write"
    ) as writer:
        written = collections.deque()
        try:
            for batch in read_ahead(engine.batches(jobs), _AHEAD):
                outputs = engine.run(batch)
                written.append(writer.submit(_list, engine, batch, outputs))
                while written and (len(written) > _AHEAD or written[0].done()):
                    yield from written.popleft().result()
                yield None
            while written:
                yield from written.popleft().result()
            yield None
        finally:
            writer.shutdown(cancel_futures=True)


def _list(engine, batch, outputs):
    return list(engine.write(batch, outputs))


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
