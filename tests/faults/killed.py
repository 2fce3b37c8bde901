"""SIGKILL at any moment of a build.

Faults are functions of the name of a data set and a random generator. They
give an `Outcome`, or `None` where the harm came too late to be one.
"""

from data_sets import STORES
from moments import strike
from processes import Child
from trials import Trial


def kill_a_first_build(name, rng):
    """Kill a build that finds nothing."""
    with Trial(name, rng) as trial:
        trial.data.write(trial.before)
        if strike(trial, Child.kill) is not None:
            return trial.prove([trial.before], trial.before)


def kill_a_build_of_changes(name, rng):
    """Kill a build that finds the cache of images that have changed."""
    with Trial(name, rng) as trial:
        trial.build(trial.before)
        trial.data.write(trial.after)
        if strike(trial, Child.kill) is not None:
            both = [trial.before, trial.after]
            return trial.prove(both, trial.after, is_whole=True)


def kill_a_build_of_all(name, rng):
    """Kill a build that makes again what is there."""
    with Trial(name, rng) as trial:
        trial.build(trial.before)
        if strike(trial, Child.kill, overwrite=True) is not None:
            return trial.prove([trial.before], trial.before, is_whole=True)


FAULTS = {
    "SIGKILL of a first build": (kill_a_first_build, STORES),
    "SIGKILL of a build of changes": (kill_a_build_of_changes, STORES),
    "SIGKILL of a build of all again": (kill_a_build_of_all, STORES),
}
