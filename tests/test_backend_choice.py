"""Importing just works, and never overrides a backend that works."""

import os
import subprocess
import sys
from importlib.util import find_spec

import keras

BACKEND = keras.backend.backend()


def run(code, home, **environment):
    env = {
        name: value
        for name, value in os.environ.items()
        if name not in ("KERAS_BACKEND", "KERAS_HOME")
    }
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**env, "HOME": str(home), **environment},
        capture_output=True,
        text=True,
        check=True,
    )


PRINT_BACKEND = "import keras_patching, keras; print(keras.backend.backend())"


def test_a_fresh_machine_gets_an_installed_backend_and_is_told(tmp_path):
    first, second = (run(PRINT_BACKEND, tmp_path) for _ in range(2))
    # What Keras would take by itself, where that works; else jax.
    expected = "jax" if find_spec("tensorflow") is None else "tensorflow"
    assert first.stdout.split()[-1] == expected
    assert second.stdout.split()[-1] == expected
    is_told = "keras_patching: using the jax backend" in first.stderr
    assert is_told == (expected == "jax")


def test_a_configured_backend_that_is_not_installed_is_replaced(tmp_path):
    (tmp_path / "keras.json").write_text('{"backend": "not_installed"}')
    done = run(PRINT_BACKEND, tmp_path, KERAS_HOME=str(tmp_path))
    assert done.stdout.split()[-1] == "jax"


def test_a_configured_backend_that_works_stays(tmp_path):
    (tmp_path / "keras.json").write_text(f'{{"backend": "{BACKEND}"}}')
    done = run(PRINT_BACKEND, tmp_path, KERAS_HOME=str(tmp_path))
    assert done.stdout.split()[-1] == BACKEND
    assert "keras_patching: using" not in done.stderr


def test_the_environment_variable_stays(tmp_path):
    done = run(PRINT_BACKEND, tmp_path, KERAS_BACKEND=BACKEND)
    assert done.stdout.split()[-1] == BACKEND
    assert "keras_patching: using" not in done.stderr


def test_keras_imported_before_stays(tmp_path):
    code = "import keras; " + PRINT_BACKEND
    done = run(code, tmp_path, KERAS_BACKEND=BACKEND)
    assert done.stdout.split()[-1] == BACKEND
