"""What all tests share: what is compiled, the examples, and the draws."""

import atexit
import os
import shutil
import tempfile
import time

import hypothesis
import pytest

# What is compiled is called once or twice, so that compiling is most of the
# work: it is done as fast as can be, and once for all workers and what they
# start. `XLA_FLAGS= pytest` compiles as users do; `.ci/full` runs it so.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false",
)
# Workers take all cores: threads of torch would wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    _compiled = tempfile.mkdtemp(prefix="keras_patching_compiled_")
    atexit.register(shutil.rmtree, _compiled, ignore_errors=True)
    os.environ["JAX_COMPILATION_CACHE_DIR"] = _compiled
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"

# A change lands or not by what it does, not by which examples were drawn:
# `pytest --hypothesis-profile=new_draws` draws new ones, as `.ci/full` does.
# No deadline: the first call of a shape compiles.
hypothesis.settings.register_profile(
    "repeatable", derandomize=True, deadline=None
)
hypothesis.settings.register_profile(
    "new_draws", derandomize=False, deadline=None
)
hypothesis.settings.load_profile("repeatable")


def pytest_collection():
    """Import the package before Keras: it chooses a backend that works.

    Only processes that collect tests come here, not the one that hands them
    out to workers.
    """
    import keras_patching  # noqa: F401


@pytest.fixture(autouse=True)
def _same_draws():
    import keras

    keras.utils.set_random_seed(0)


@pytest.fixture
def aged(monkeypatch):
    """Files are older than the clock's granularity, as they mostly are.

    Their content is trusted after one look.
    """
    now = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: now() + 10**10)
