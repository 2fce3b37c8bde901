"""Chooses a Keras backend that is installed, before Keras is imported.

Keras defaults to tensorflow, and fails to import where only jax is
installed. A backend that the user chose and that works is never overridden;
one that was asked for by `KERAS_BACKEND` and is missing is an error.
"""

import importlib.util
import json
import os
import pathlib
import sys

# In order of preference.
_BACKENDS = ("jax", "tensorflow", "torch")
# What Keras can be set to besides: they predict, and do not train.
_KNOWN = (*_BACKENDS, "numpy", "openvino")
_ADVICE = (
    "`export KERAS_BACKEND=jax` chooses jax; without the variable one that is "
    "installed is used."
)


def choose_backend(verbose=True):
    """Set `KERAS_BACKEND` when Keras would otherwise fail to import.

    Args:
        verbose: Whether to print, to stderr, that it was set.

    Raises:
        ImportError: If the backend that `KERAS_BACKEND` names, or any, is not
            installed.
    """
    if "keras" in sys.modules:
        return
    wanted = os.environ.get("KERAS_BACKEND")
    if wanted:
        _check_installed(wanted)
        return
    if _is_installed(_configured_backend()):
        return
    for backend in _BACKENDS:
        if _is_installed(backend):
            os.environ["KERAS_BACKEND"] = backend
            if verbose:
                print(
                    f"keras_patching: using the {backend} backend. (`export "
                    f"KERAS_BACKEND={backend}` tells Keras, also where it is "
                    "imported first.)",
                    file=sys.stderr,
                )
            return
    raise ImportError(
        "No backend of Keras is installed, of which keras_patching needs one: "
        "pip install jax"
    )


def is_command_line():
    """Tell whether this process is the command `keras-patching`.

    It imports Keras when a command runs, since `--version`, `--help` and
    wrong usage need no backend.
    """
    program = sys.argv[0] if sys.argv else ""
    if program == "-m":  # While Python looks for the module to run.
        return bool(
            {"keras_patching", "-mkeras_patching"}.intersection(sys.orig_argv)
        )
    name = pathlib.PurePath(program).name.lower()
    return name.removesuffix(".exe") == "keras-patching"


def _check_installed(backend):
    if backend not in _KNOWN:
        raise ImportError(
            f"KERAS_BACKEND is {backend!r}, which is no backend of Keras. "
            f"Expected one of: {', '.join(_KNOWN)}. {_ADVICE}"
        )
    if not _is_installed(backend):
        raise ImportError(
            f"KERAS_BACKEND is {backend!r}, which is not installed here. "
            f"Install it (`pip install {backend}`), or choose another: "
            f"{_ADVICE}"
        )


def _configured_backend():
    """Backend that Keras would take: that of `keras.json`, or its default."""
    try:
        text = (_keras_home() / "keras.json").read_text("utf-8")
        return json.loads(text).get("backend", "tensorflow")
    except (OSError, ValueError, AttributeError, RecursionError):
        return "tensorflow"


def _keras_home():
    """Folder of `keras.json`, found as Keras does."""
    if "KERAS_HOME" in os.environ:
        return pathlib.Path(os.path.expanduser(os.environ["KERAS_HOME"]))
    home = os.path.expanduser("~")
    if not os.access(home, os.W_OK):
        home = "/tmp"  # noqa: S108 - only read, from where Keras reads
    return pathlib.Path(home) / ".keras"


def _is_installed(backend):
    return backend in _KNOWN and importlib.util.find_spec(backend) is not None
