"""Keras is imported after the package, which chooses a backend that works."""

import hypothesis
import pytest

import keras_patching  # noqa: F401

import keras  # isort: skip

# A change lands or not by what it does, not by which examples were drawn:
# `pytest --hypothesis-profile=default` draws new ones, as `.ci/full` does.
# No deadline: the first call of a shape compiles.
hypothesis.settings.register_profile(
    "repeatable", derandomize=True, deadline=None
)
hypothesis.settings.load_profile("repeatable")


@pytest.fixture(autouse=True)
def _same_draws():
    keras.utils.set_random_seed(0)
