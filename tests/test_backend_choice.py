"""Importing just works, and never overrides a backend that works."""

import os
import subprocess
import sys
from importlib.util import find_spec

import keras
import pytest

from keras_patching._backend import choose_backend

BACKEND = keras.backend.backend()


def run(code, home, check=True, **environment):
    return run_python("-c", code, home=home, check=check, **environment)


def run_python(*arguments, home, check=True, **environment):
    env = {
        name: value
        for name, value in os.environ.items()
        if name not in ("KERAS_BACKEND", "KERAS_HOME")
    }
    return subprocess.run(
        [sys.executable, *arguments],
        env={**env, "HOME": str(home), **environment},
        capture_output=True,
        text=True,
        check=check,
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


@pytest.mark.parametrize("backend", ["null", "5", '"os"', '"a.b"'])
def test_a_configuration_that_names_none_is_replaced(
    backend, tmp_path, monkeypatch
):
    (tmp_path / "keras.json").write_text(f'{{"backend": {backend}}}')
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("KERAS_BACKEND", "")
    monkeypatch.delitem(sys.modules, "keras")
    choose_backend(verbose=False)
    assert os.environ["KERAS_BACKEND"] == "jax"


def test_a_configuration_without_end_is_as_none(tmp_path, monkeypatch):
    (tmp_path / "keras.json").write_text('{"backend": ' + "[" * 100_000)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("KERAS_BACKEND", "")
    monkeypatch.delitem(sys.modules, "keras")
    choose_backend(verbose=False)
    expected = "jax" if find_spec("tensorflow") is None else ""
    assert os.environ["KERAS_BACKEND"] == expected


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


MISSING = next(
    name
    for name in ("tensorflow", "torch", "openvino")
    if find_spec(name) is None
)


@pytest.mark.parametrize("backend", [MISSING, "jaxx"])
def test_a_backend_that_is_set_and_missing_is_told_in_a_sentence(
    backend, tmp_path
):
    done = run(PRINT_BACKEND, tmp_path, check=False, KERAS_BACKEND=backend)
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"ImportError: KERAS_BACKEND is {backend!r}, which")
    assert "export KERAS_BACKEND=jax" in last


def run_command(*arguments, home, backend):
    return run_python(
        *("-m", "keras_patching", *arguments),
        home=home,
        check=False,
        KERAS_BACKEND=backend,
    )


def test_a_command_tells_of_the_missing_backend_without_a_traceback(tmp_path):
    done = run_command("inspect", "none", home=tmp_path, backend=MISSING)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(
        f"keras-patching: error: KERAS_BACKEND is '{MISSING}"
    )


@pytest.mark.parametrize(
    ("arguments", "status", "word"),
    [
        (["--version"], 0, "keras-patching"),
        (["predict", "--help"], 0, "usage: "),
        (["predict", "model.keras"], 2, "usage: "),
    ],
)
def test_what_needs_no_backend_loads_none(arguments, status, word, tmp_path):
    done = run_command(*arguments, home=tmp_path, backend=MISSING)
    assert done.returncode == status
    assert word in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_the_command_imports_keras_when_it_runs_one(tmp_path):
    done = run_python(
        *("-X", "importtime", "-m", "keras_patching", "--version"),
        home=tmp_path,
    )
    imported = {
        line.split("|")[-1].strip() for line in done.stderr.splitlines()
    }
    assert "keras_patching.cli" in imported
    assert not {"keras", "numpy", "jax"} & imported


def test_a_module_of_the_user_finds_everything_in_a_command(tmp_path):
    """As one does that holds a layer of a model that is predicted."""
    done = run(
        "import sys; sys.argv[0] = 'keras-patching'; import keras_patching; "
        "assert 'keras' not in sys.modules; "
        "print(keras_patching.PatchedModel.__name__)",
        tmp_path,
    )
    assert done.stdout.strip() == "PatchedModel"
