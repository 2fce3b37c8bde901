"""Several processes at one cache at once: builders, `clean`, readers."""

import functools
import sys
import time

from data_sets import STORES, count_wrong, read_all
from moments import strike
from processes import Child, run
from trials import Trial

import keras_patching as kp


def build_at_once(name, rng, count):
    """Begin several builds within the time that one takes."""
    with Trial(name, rng) as trial:
        if rng.integers(2):
            trial.build(trial.before)
        trial.data.write(trial.after)
        builders = []
        for _ in range(count):
            time.sleep(rng.uniform(0, 0.02))
            builders.append(trial.start())
        for builder in builders:
            trial.count(builder.end(), "a builder")
        for left in trial.directory.rglob("*.tmp*"):
            trial.lose(f"{left.name} is left")
        return trial.prove([trial.after], trial.after, is_whole=True)


def clean_during_a_build(name, rng, min_age):
    """Clean the folder of a cache while it is built."""
    with Trial(name, rng) as trial:
        trial.build(trial.before)
        trial.data.write(trial.after)
        cleaners = []

        def clean(_):
            cleaners.append(Child(_clean, trial.directory, min_age))

        ended = strike(trial, clean)
        if ended is None:
            return None
        trial.count(ended, "the builder")
        trial.count(cleaners[0].end(), "`clean`")
        return trial.prove([trial.after], trial.after, is_whole=True)


def end_a_build_during_clean(name, rng):
    """Let a build end, and name shards, when `clean` begins to remove them."""
    with Trial(name, rng) as trial:
        for photos in (trial.before, trial.after):
            trial.build(photos)
        trial.data.write(trial.before)
        trial.count(run(_clean_late, trial.data, trial.directory), "`clean`")
        return trial.prove([trial.before], trial.before, is_whole=True)


def read_during_a_build(name, rng, overwrite):
    """Open and read a cache again and again while it is built."""
    with Trial(name, rng) as trial:
        trial.build(trial.before)
        trial.data.write(trial.after)
        states = [trial.before, trial.after]
        done = trial.folder / "done"
        expected = [trial.data.expected(each) for each in states]
        reader = Child(_read_until, done, trial.directory, expected)
        time.sleep(rng.uniform(0, 0.1))
        trial.count(trial.start(overwrite=overwrite).end(), "the builder")
        done.touch()
        trial.count(reader.end(), "the reader")
        return trial.prove([trial.after], trial.after, is_whole=True)


FAULTS = {
    "2 builders at once": (functools.partial(build_at_once, count=2), STORES),
    "8 builders at once": (functools.partial(build_at_once, count=8), STORES),
    "`clean` during a build": (
        functools.partial(clean_during_a_build, min_age=3600),
        STORES,
    ),
    "`clean` of all ages during a build": (
        functools.partial(clean_during_a_build, min_age=0),
        STORES,
    ),
    "a build that ends during `clean`": (end_a_build_during_clean, STORES),
    "a reader during a build of changes": (
        functools.partial(read_during_a_build, overwrite=False),
        STORES,
    ),
    "a reader during a build of all again": (
        functools.partial(read_during_a_build, overwrite=True),
        STORES,
    ),
}


def _clean(directory, min_age):
    kp.data.clean(directory, min_age=min_age)


def _clean_late(data, directory):
    """Clean, and build what it has just found that nothing names."""
    begun = []

    def build(event, _):
        if event in ("os.remove", "os.rename") and not begun:
            begun.append(event)
            data.load()

    sys.addaudithook(build)  # There is no way back: this process ends soon.
    kp.data.clean(directory, min_age=0)


def _read_until(done, directory, expected):
    """Read what there is until a file is; give the number of wrong patches."""
    first = kp.PatchingSequence(directory, shuffle=False)
    wrong = 0
    while not done.exists():
        sequence = kp.PatchingSequence(directory, shuffle=False)
        found = read_all(sequence)
        wrong += min(count_wrong(found, each) for each in expected)
    # It is open since before the build, whatever the folder holds now.
    return wrong + count_wrong(read_all(first), expected[0])
