"""Hostile files of every kind are read, or refused by name.

`run.py` beside this tries 100,000 of each, with limits of time and memory.
"""

import keras
import pytest
from entry_points import ENTRIES
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mutations import mutated
from run import LIMITS, check_seeds, input_of
from trial import Tally, Trials

# Nothing here depends on it.
pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="once is enough"
)


@pytest.mark.parametrize("name", ENTRIES)
def test_hostile_files_are_read_or_refused_by_name(name, tmp_path, monkeypatch):
    for variable, limit in LIMITS.items():
        monkeypatch.setenv(variable, limit)
    entry = ENTRIES[name]
    target = entry.prepare(tmp_path)
    tally = Tally()
    trials = Trials(target, tally, limited=False)

    @settings(
        max_examples=5 if entry.inputs <= 1000 else 25,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.randoms(use_true_random=False))
    def attempt(rng):
        assert trials(mutated(rng, target.seeds, entry.change)) is None

    with trials.watched():
        check_seeds(target)
        attempt()
        for number in range(5):
            assert trials(input_of(entry, target, number)) is None
    assert tally.inputs == tally.read + tally.refused
