"""Workers that are killed, and people who press Ctrl-C."""

import atexit
import concurrent.futures
import contextlib
import functools
import importlib.util
import io
import multiprocessing
import os
import pathlib
import signal
import subprocess
import sys

import numpy as np
from data_sets import PATCH, STORES
from moments import strike
from processes import Child
from trials import Trial

from keras_patching import cli

_MASKS = [name for name in STORES if name == "segmentation, patches"]
_CLUSTER = """
import distributed, sys
if __name__ == "__main__":
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        dashboard_address="127.0.0.1:0",
        worker_dashboard_address="127.0.0.1:0",
        host="127.0.0.1",
        silence_logs=100,
    ) as cluster:
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()
"""


def kill_a_worker_of_a_pool(name, rng):
    """Kill one of two processes of a pool, as a lack of memory does."""
    with Trial(name, rng) as trial:
        trial.data.write(trial.after)

        def harm(builder):
            if workers := _children(builder.pid):
                os.kill(int(rng.choice(workers)), signal.SIGKILL)

        ended = strike(
            trial, harm, functools.partial(_start_pool, trial.data), "pool"
        )
        if ended is None:
            return None
        trial.expect_told(ended, "the builder")
        return trial.prove([trial.after], trial.after)


def interrupt_a_build(name, rng, start):
    """Press Ctrl-C, which the build and its workers get."""
    with Trial(name, rng) as trial:
        trial.data.write(trial.after)
        begin = functools.partial(start, trial.data)
        ended = strike(trial, _press, begin, start.__name__)
        if ended is None or ended.error is None:
            return None
        some = len(trial.shards())
        outcome = trial.prove([trial.after], trial.after)
        # Workers get it too. Where Python drops it, they end without a reason.
        is_told = "again" in ended.error if some else True
        if not is_told and some < len(trial.shards()):
            trial.lose(f"it ended at {some} shards: {ended.error}")
        if ended.kind not in ("interrupt", "value"):
            trial.lose(f"it ended with: {ended.kind} {ended.error}")
        return outcome


def stop_the_command(name, rng, number, address=None):
    """Stop `keras-patching patch` by a signal."""
    with Trial(name, rng) as trial:
        trial.data.write(trial.after)
        at = address and address()
        harm = _press if number == signal.SIGINT else _terminate
        begin = functools.partial(_start_command, trial.data, at)
        ended = strike(trial, harm, begin, f"command {at}")
        if ended is None:
            return None
        status, told = ended.value or (None, ended.error)
        is_begun = trial.directory.exists()
        if status == 0 or not is_begun or [*trial.directory.glob("*.json")]:
            return None  # Before it began, or after it was done.
        if status != 128 + number or "Run the same command again" not in told:
            trial.lose(f"exit status {status}: {told}")
        return trial.prove([trial.after], trial.after)


def kill_a_worker_of_dask(name, rng):
    """Kill one of two workers of a cluster, which costs nothing."""
    with Trial(name, rng) as trial:
        trial.data.write(trial.after)
        address, process_id = _cluster()

        def harm(_):
            if workers := _children(process_id, "spawn_main"):
                os.kill(int(rng.choice(workers)), signal.SIGKILL)

        begin = functools.partial(_start_command, trial.data, address)
        ended = strike(trial, harm, begin, f"command {address}")
        if ended is None:
            return None
        status, told = ended.value or (None, ended.error)
        if status != 0:
            trial.lose(f"exit status {status}: {told}")
        return trial.prove([trial.after], trial.after, is_whole=True)


def _press(child):
    child.kill(signal.SIGINT)


def _terminate(child):
    os.kill(child.pid, signal.SIGTERM)


def _start_threads(data):
    return Child(data.load, own_group=True)


def _start_pool(data):
    return Child(_load_in_pool, data, own_group=True)


def _load_in_pool(data):
    context = multiprocessing.get_context("fork")
    executor = concurrent.futures.ProcessPoolExecutor(2, context)
    try:
        data.load(executor=executor)
    finally:
        # Python waits forever for a pool of which a worker was killed while it
        # waited for work. Whoever has begun this process ends them.
        executor.shutdown(wait=False)


def _start_command(data, address):
    return Child(_command, data, address, own_group=True)


def _command(data, address):
    """Run the command line; give its status and what it told."""
    arguments = ["patch", str(data.images), str(data.masks), "--quiet"]
    arguments += ["--patch-size", str(PATCH), "--num-classes", "3"]
    if address is not None:
        arguments += ["--dask", address]
    with contextlib.redirect_stderr(io.StringIO()) as told:
        status = cli.main(arguments)
    return status, told.getvalue()


@functools.cache
def _cluster():
    """Start a cluster; give the address of its scheduler, and its process."""
    import distributed  # noqa: F401 once, and not in each process

    process = subprocess.Popen(
        [sys.executable, "-c", _CLUSTER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    atexit.register(process.communicate)
    address = process.stdout.readline().strip()
    with Trial(_MASKS[0], np.random.default_rng(0)) as trial:
        trial.data.write(trial.after)
        # Workers import the package, which takes longer than builds do.
        _start_command(trial.data, address).end()
    return address, process.pid


def _children(process_id, word=""):
    """List the processes that one has started, and whose command has a word."""
    found = []
    for task in pathlib.Path(f"/proc/{process_id}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += task.read_text().split()
    return [each for each in found if word in _command_of(each)]


def _command_of(process_id):
    try:
        return pathlib.Path(f"/proc/{process_id}/cmdline").read_text()
    except OSError:
        return ""


FAULTS = {
    "a worker of a pool is killed": (kill_a_worker_of_a_pool, STORES),
    "Ctrl-C of threads": (
        functools.partial(interrupt_a_build, start=_start_threads),
        STORES,
    ),
    "Ctrl-C of a pool of processes": (
        functools.partial(interrupt_a_build, start=_start_pool),
        STORES,
    ),
    "Ctrl-C of the command": (
        functools.partial(stop_the_command, number=signal.SIGINT),
        _MASKS,
    ),
    "SIGTERM of the command": (
        functools.partial(stop_the_command, number=signal.SIGTERM),
        _MASKS,
    ),
}
IN_FULL = {}
if importlib.util.find_spec("distributed"):
    IN_FULL = {
        "Ctrl-C of the command with --dask": (
            functools.partial(
                stop_the_command,
                number=signal.SIGINT,
                address=lambda: _cluster()[0],
            ),
            _MASKS,
        ),
        "a worker of dask is killed": (kill_a_worker_of_dask, _MASKS),
    }
