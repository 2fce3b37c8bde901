"""Jobs are done in workers, and results are in the order of the jobs."""

import concurrent.futures
import dataclasses
import pathlib
import threading
import time

import pytest

from keras_patching.data.cache.shared_folder import shared_folder
from keras_patching.data.cache.workers import (
    WorkerError,
    WorkersEndedError,
    run_jobs,
)


def test_results_are_in_the_order_of_the_jobs():
    def work(seconds):
        time.sleep(seconds)
        return seconds, threading.current_thread() is threading.main_thread()

    jobs = [0.05, 0.0, 0.02]
    found = run_jobs(work, jobs, "image", show_progress=False)
    assert found == [(seconds, False) for seconds in jobs]
    assert run_jobs(work, [], "image", show_progress=False) == []


def test_the_first_error_is_raised_and_the_rest_is_not_begun():
    begun = []

    def work(job):
        begun.append(job)
        if job == 1:
            raise ZeroDivisionError
        time.sleep(0.01)

    with (
        concurrent.futures.ThreadPoolExecutor(1) as executor,
        pytest.raises(ZeroDivisionError),
    ):
        run_jobs(work, range(100), "image", False, executor)
    assert len(begun) < 100


def test_jobs_that_lack_memory_are_told_apart_from_those_that_are_done():
    def work(job):
        if job == 2:
            raise MemoryError

    with (
        concurrent.futures.ThreadPoolExecutor(1) as executor,
        pytest.raises(WorkersEndedError, match="lack of memory") as error,
    ):
        run_jobs(work, range(3), "image", False, executor)
    assert error.value.left == [2]


def interrupt_at_a_lock(*_):
    """Raise what Ctrl-C ends in while Python takes a lock again."""
    lock = threading.Lock()
    with lock:
        lock.release()
        raise KeyboardInterrupt


def test_an_interrupt_at_a_lock_is_one():
    with pytest.raises(KeyboardInterrupt) as caught:
        run_jobs(abs, [1, 2], "image", False, take=interrupt_at_a_lock)
    (note,) = caught.value.__notes__
    assert note.startswith("Run the same command again to go on: ")


def test_an_error_of_a_job_is_none():
    def work(_):
        raise RuntimeError("no interrupt")

    with pytest.raises(RuntimeError, match="no interrupt"):
        run_jobs(work, [1], "image", False)


def test_a_scheduler_that_ended_is_told_apart_from_a_lack_of_memory():
    def work(job):
        if job == 2:
            raise concurrent.futures.CancelledError

    with (
        concurrent.futures.ThreadPoolExecutor(1) as executor,
        pytest.raises(WorkersEndedError, match="the scheduler") as error,
    ):
        run_jobs(work, range(3), "image", False, executor)
    assert error.value.left == [2]
    assert "memory" not in str(error.value)


def test_a_module_that_only_the_workers_lack_is_told_so():
    def work(name):
        raise ModuleNotFoundError(f"No module named '{name}'", name=name)

    with pytest.raises(WorkerError, match="The workers have no module 'numpy'"):
        run_jobs(work, ["numpy"], "image", False)
    with pytest.raises(ModuleNotFoundError):
        run_jobs(work, ["neither_here_nor_there"], "image", False)


def test_a_worker_that_does_not_see_what_its_caller_sees_says_so(tmp_path):
    (tmp_path / "images").mkdir()
    with shared_folder(tmp_path / "out", [tmp_path / "images"]) as shared:
        shared.check()
        for change, told in (
            ({"mark": tmp_path / "out" / "mark"}, "is another folder"),
            ({"mark": tmp_path / "none" / "mark"}, "none: is not there"),
            ({"needed": (pathlib.Path("/masks"),)}, "/masks: is not there"),
            ({"version": "0.0"}, "its caller 0.0"),
        ):
            with pytest.raises(WorkerError, match=told):
                dataclasses.replace(shared, **change).check()
    assert not list((tmp_path / "out").iterdir())
