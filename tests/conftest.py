"""Keras is imported after the package, which chooses a backend that works."""

import pytest

import keras_patching  # noqa: F401

import keras  # isort: skip


@pytest.fixture(autouse=True)
def _same_draws():
    keras.utils.set_random_seed(0)
