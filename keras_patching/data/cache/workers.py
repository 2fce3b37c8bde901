"""Runs jobs in a few threads, or in whatever workers a user brings."""

import concurrent.futures
import importlib.util
import os
import sys

from keras_patching._interrupts import interrupt_behind
from keras_patching._printing import Progress


class WorkersEndedError(ValueError):
    """Workers, or their scheduler, ended before their jobs did.

    Attributes:
        reason: What has ended, and most likely why; a clause.
        left: Indices of the jobs that are not done.
    """

    def __init__(self, error, left):
        self.reason = (
            "the scheduler of the workers ended, or did not answer in time"
            if isinstance(error, concurrent.futures.CancelledError)
            else f"the workers ended ({type(error).__name__}), most likely for "
            "lack of memory"
        )
        super().__init__(self.reason)
        self.left = left


class WorkerError(ValueError):
    """A worker is not as its caller: it lacks the package, or a folder."""


def check_executor(executor):
    """Refuse what is no executor, such as a client of dask, before any work.

    Raises:
        ValueError: If it is none.
    """
    if executor is None or isinstance(executor, concurrent.futures.Executor):
        return
    raise ValueError(
        "`executor` must be a `concurrent.futures.Executor`, such as "
        "ThreadPoolExecutor(4). Of a client of dask pass "
        f"`client.get_executor()`. Received: executor={executor!r}"
    )


def run_jobs(
    function,
    jobs,
    unit,
    show_progress,
    executor=None,
    take=None,
    counts=None,
    before=0,
):
    """Call a function with each job; the first error ends it.

    Args:
        function: Function of one job.
        jobs: List of what it is called with.
        unit: What a job is, for the progress: "image".
        show_progress: Whether to show it.
        executor: `concurrent.futures.Executor`; `None` is a pool of at most 4
            threads.
        take: Function that is called with each result, as they come.
        counts: How many units each job has; `None` is one.
        before: How many units were done before.

    Returns:
        List of what it returned, in the order of the jobs.

    Raises:
        WorkersEndedError: If workers or their scheduler ended, or lack memory.
        WorkerError: If they lack a package.
        KeyboardInterrupt: As it came, with a note of how much is done.
    """
    if not jobs:
        return []
    counts = [1] * len(jobs) if counts is None else counts
    is_ours = executor is None
    if is_ours:
        workers = min(4, os.cpu_count() or 1)
        executor = concurrent.futures.ThreadPoolExecutor(workers)
    futures = []
    progress = Progress(sum(counts), unit, show_progress)
    try:
        for job in jobs:
            futures.append(executor.submit(function, job))
        units = dict(zip(futures, counts, strict=True))
        for future in concurrent.futures.as_completed(futures):
            result = future.result()
            if take is not None:
                take(result)
            progress.add(units[future])
    except BaseException as error:
        _end(futures, executor if is_ours else None)
        left = _left(jobs, futures)
        if (interrupt := interrupt_behind(error)) is not None:
            total = before + sum(counts)
            done = total - sum(counts[index] for index in left)
            interrupt.add_note(
                "Run the same command again to go on: "
                f"{done} of {total} {unit}s are done."
            )
            raise interrupt from None
        if isinstance(error, _ended_errors()):
            raise WorkersEndedError(error, left) from error
        if (name := _name_of_lacking(error)) is not None:
            raise WorkerError(
                f"The workers have no module '{name}'. Install the same "
                "version of keras-patching, with what it needs, where workers "
                "and scheduler run."
            ) from error
        raise
    finally:
        _end(futures, executor if is_ours else None)
    return [future.result() for future in futures]


def _end(futures, pool):
    """Begin no more jobs; in a pool of ours, wait for what is begun."""
    for future in futures:
        future.cancel()
    if pool is not None:
        pool.shutdown()


def _ended_errors():
    """List the errors that stand for workers that have ended."""
    found = [
        concurrent.futures.BrokenExecutor,
        # Of a scheduler that has ended, with the workers or without.
        concurrent.futures.CancelledError,
        MemoryError,
    ]
    if (distributed := sys.modules.get("distributed")) is not None:
        found.append(distributed.KilledWorker)
    return tuple(found)


def _name_of_lacking(error):
    """Give the name of a module that is here, and not where workers run."""
    # A scheduler of dask opens what is sent, and tells so of what fails.
    for each in error, error.__cause__:
        if isinstance(each, ModuleNotFoundError) and each.name:
            package = each.name.split(".")[0]
            if importlib.util.find_spec(package) is not None:
                return each.name
    return None


def _left(jobs, futures):
    done = {i for i, future in enumerate(futures) if _is_done(future)}
    return [i for i in range(len(jobs)) if i not in done]


def _is_done(future):
    return future.done() and not future.cancelled() and not future.exception()
