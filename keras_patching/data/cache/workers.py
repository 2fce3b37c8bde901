"""Runs jobs in a few threads, or in whatever workers a user brings."""

import concurrent.futures
import os

from keras_patching._printing import Progress


class WorkersEndedError(ValueError):
    """Workers ended before their jobs did, most likely for lack of memory.

    Attributes:
        reason: Name of the error that they ended with.
        left: Indices of the jobs that are not done.
    """

    def __init__(self, reason, left):
        super().__init__(
            f"The workers ended ({reason}), most likely for lack of memory."
        )
        self.reason, self.left = reason, left


def run_jobs(function, jobs, unit, show_progress, executor=None):
    """Call a function with each job; the first error ends it.

    Args:
        function: Function of one job.
        jobs: List of what it is called with.
        unit: What a job is, for the progress: "image".
        show_progress: Whether to show it.
        executor: `concurrent.futures.Executor`; `None` is a pool of at most 4
            threads.

    Returns:
        List of what it returned, in the order of the jobs.

    Raises:
        WorkersEndedError: If workers were ended, or lack memory.
    """
    if not jobs:
        return []
    if executor is None:
        workers = min(4, os.cpu_count() or 1)
        with concurrent.futures.ThreadPoolExecutor(workers) as pool:
            return run_jobs(function, jobs, unit, show_progress, pool)
    futures = []
    progress = Progress(len(jobs), unit, show_progress)
    try:
        for job in jobs:
            futures.append(executor.submit(function, job))
        for future in concurrent.futures.as_completed(futures):
            future.result()
            progress.add(1)
    except (concurrent.futures.BrokenExecutor, MemoryError) as error:
        done = {i for i, future in enumerate(futures) if _is_done(future)}
        left = [i for i in range(len(jobs)) if i not in done]
        raise WorkersEndedError(type(error).__name__, left) from error
    finally:
        for future in futures:
            future.cancel()
    return [future.result() for future in futures]


def _is_done(future):
    return future.done() and not future.cancelled() and not future.exception()
