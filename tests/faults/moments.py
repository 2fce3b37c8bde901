"""Harm that is done at a random moment of a build."""

import os
import time

from processes import wait

# Seconds that undisturbed builds take, by data set and kind of build.
_seconds = {}


def strike(trial, harm, builder=None, kind="", **options):
    """Begin a build, and do harm while it is at work.

    The first build of each kind is not harmed, and tells how long they take.

    Args:
        trial: `Trial`, whose files are written.
        harm: Function that is called with the `Child` that builds.
        builder: Function that begins to build; `None` is `trial.start`.
        kind: What tells this builder from others, which take other times.
        **options: Of the builder.

    Returns:
        How the builder `Ended`; `None` where it did so before the harm.
    """
    # What is there already makes a build another one.
    kind = trial.data.name, kind, len(trial.shards()), *options
    known = kind in _seconds
    started = time.perf_counter()
    child = (builder or trial.start)(**options)
    if not known:
        child.end()
        _seconds[kind] = time.perf_counter() - started
        return None
    moment = trial.rng.uniform(0, _seconds[kind])
    wait(moment - (time.perf_counter() - started))
    is_running = _is_running(child.pid)
    if is_running:
        harm(child)
    # The machine may have been busy, or be so now: most come in time.
    _seconds[kind] *= 1.05 if is_running else 0.8
    ended = child.end()
    return ended if is_running else None


def _is_running(process_id):
    flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
    return os.waitid(os.P_PID, process_id, flags) is None
