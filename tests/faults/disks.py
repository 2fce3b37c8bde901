"""Disks that are full, too small or read-only."""

import functools
import time

import mounts
from data_sets import STORES
from moments import strike
from processes import run
from trials import Trial


def fill_during_a_build(name, rng, was_built):
    """Let a disk be full from a moment of a build on."""
    with mounts.disk_in_memory() as disk, Trial(name, rng, disk) as trial:
        states = _begin(trial, was_built)
        before = trial.shards()
        ended = strike(trial, lambda _: mounts.fill(disk), kind="in memory")
        if ended is None or ended.error is None:
            return None
        trial.expect_told(ended, "the builder")
        trial.look(states, was_built)  # While it is still full.
        (disk / "filler").unlink()
        kept = trial.shards() | before
        return trial.prove(states, trial.after, was_built, kept)


def build_where_there_is_no_room(name, rng):
    """Build on a disk that has not the room for it."""
    with mounts.disk_in_memory() as disk, Trial(name, rng, disk) as trial:
        trial.data.write(trial.after)
        mounts.resize(disk, int(rng.integers(4096, 30000)))
        if trial.expect_told(run(trial.data.load), "the builder"):
            trial.lose("it was built without room")
        for left in disk.rglob("*.*"):
            trial.lose(f"{left.name} was written")
        mounts.resize(disk, 2**23)
        return trial.prove([], trial.after)


def turn_read_only_during_a_build(name, rng, was_built):
    """Let a disk be read-only from a moment of a build on."""
    with mounts.disk_in_memory() as disk, Trial(name, rng, disk) as trial:
        states = _begin(trial, was_built)
        before = trial.shards()

        def turn(_):
            for _ in range(10**5):
                try:
                    return mounts.set_read_only(disk, True)
                except OSError:  # A file is being written.
                    time.sleep(0)

        ended = strike(trial, turn, kind="in memory")
        if ended is not None and ended.error is not None:
            trial.expect_told(ended, "the builder")
            trial.look(states, was_built)
        mounts.set_read_only(disk, False)
        if ended is None or ended.error is None:
            return None
        kept = trial.shards() | before
        return trial.prove(states, trial.after, was_built, kept)


def use_what_is_read_only(name, rng):
    """Open, find and fail to change a cache that is read-only."""
    with mounts.disk_in_memory() as disk, Trial(name, rng, disk) as trial:
        trial.build(trial.before)
        kept = trial.shards()
        mounts.set_read_only(disk, True)
        trial.look([trial.before], True)
        trial.find(trial.before)
        trial.data.write(trial.after)
        if trial.expect_told(run(trial.data.load), "the builder"):
            trial.lose("it was built where nothing can be written")
        trial.look([trial.before], True)
        mounts.set_read_only(disk, False)
        return trial.prove([trial.before], trial.after, True, kept)


def _begin(trial, was_built):
    """Prepare a build; give the photos that the cache may be of meanwhile."""
    if was_built:
        trial.build(trial.before)
    trial.data.write(trial.after)
    return [trial.before] if was_built else []


FAULTS = {
    "disk without the room": (build_where_there_is_no_room, STORES),
    "disk full during a first build": (
        functools.partial(fill_during_a_build, was_built=False),
        STORES,
    ),
    "disk full during a build of changes": (
        functools.partial(fill_during_a_build, was_built=True),
        STORES,
    ),
    "read-only cache": (use_what_is_read_only, STORES),
    "read-only from a moment of a build on": (
        functools.partial(turn_read_only_during_a_build, was_built=True),
        STORES,
    ),
}


def missing():
    """Say why these faults cannot be tried here, if they cannot."""
    return "" if mounts.can_mount() else "nothing can be mounted here"
