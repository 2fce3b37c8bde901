"""Power that fails: what was not on the disk is gone."""

import functools
import pathlib

import mounts
from data_sets import STORES
from moments import strike
from processes import Child, run
from recorded_calls import Recorder, content_of, leave
from trials import Trial

# Share of the failures that come after the build has ended.
_AFTER = 0.2


def forget_what_was_not_flushed(name, rng, was_built):
    """Build, and leave what a forgetful file system has of it at a moment."""
    with Trial(name, rng) as trial:
        states = _begin(trial, was_built)
        directory = trial.data.images.with_name("images_patches")
        before = content_of(directory)
        calls = run(_record, trial.data).value
        is_after = rng.uniform() < _AFTER
        count = len(calls) if is_after else int(rng.integers(len(calls)))
        leave(directory, before, calls[:count], rng)
        if is_after:
            states = [trial.after]
        return trial.prove(states, trial.after, was_built or is_after)


def cut_the_power(name, rng, was_built):
    """Kill a build, and go on from what its ext4 has put on the disk."""
    with mounts.disk_in_file() as disk, Trial(name, rng, disk.folder) as trial:
        states = _begin(trial, was_built)
        if was_built:
            disk.flush()
        is_after = rng.uniform() < _AFTER
        if is_after:
            trial.count(trial.start().end(), "the builder")
            states = [trial.after]
        elif strike(trial, Child.kill, kind="ext4") is None:
            return None
        disk.lose_power()
        return trial.prove(states, trial.after, was_built or is_after)


def _begin(trial, was_built):
    """Prepare a build; give the photos that the cache may be of meanwhile."""
    if was_built:
        trial.build(trial.before)
    trial.data.write(trial.after)
    return [*[trial.before] * was_built, trial.after]


def _record(data):
    recorder = Recorder()
    data.load()
    return recorder.calls


def missing():
    """Say why these faults cannot be tried here, if they cannot."""
    return "" if pathlib.Path("/proc/self/fd").exists() else "this is not Linux"


FAULTS = {
    "power lost in a first build, names forgotten": (
        functools.partial(forget_what_was_not_flushed, was_built=False),
        STORES,
    ),
    "power lost in a build of changes, names forgotten": (
        functools.partial(forget_what_was_not_flushed, was_built=True),
        STORES,
    ),
}
if mounts.can_mount() and mounts.can_make_ext4():
    FAULTS |= {
        "power lost in a first build, ext4": (
            functools.partial(cut_the_power, was_built=False),
            STORES,
        ),
        "power lost in a build of changes, ext4": (
            functools.partial(cut_the_power, was_built=True),
            STORES,
        ),
    }
