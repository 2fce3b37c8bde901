"""Hostile files of every kind are read, or refused by name.

`run.py` beside this tries 100,000 of each, with limits of time and memory.
"""

import argparse

import keras
import pytest
import run
from entry_points import ENTRIES
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mutations import mutated
from trial import Tally, Trials

# Nothing here depends on it.
pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="once is enough"
)


@pytest.mark.parametrize("name", ENTRIES)
def test_hostile_files_are_read_or_refused_by_name(name, tmp_path, monkeypatch):
    for variable, limit in run.LIMITS.items():
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
        run.check_seeds(target)
        attempt()
        for number in range(5):
            assert trials(run.input_of(entry, target, number)) is None
    assert tally.inputs == tally.read + tally.refused


def test_a_process_that_is_killed_before_its_first_input_is_told(
    tmp_path, monkeypatch, capsys
):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nkill -9 $$\n")
    python.chmod(0o700)
    monkeypatch.setattr("sys.executable", str(python))
    options = argparse.Namespace(first=0, inputs=5, input=None, keep=tmp_path)
    entry = next(iter(ENTRIES.values()))
    assert not run._try(entry, options)
    said = capsys.readouterr().out
    assert f"{entry.name} | 0 | 0 | 0 | 1 |" in said
    assert "1 x process ended with -9 before its first input" in said
