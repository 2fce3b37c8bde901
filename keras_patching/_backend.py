"""Chooses a Keras backend that is installed, before Keras is imported.

Keras defaults to tensorflow, and fails to import where only jax is
installed. A backend that the user chose and that works is never overridden.
"""

import importlib.util
import json
import os
import pathlib
import sys

# In order of preference.
_BACKENDS = ("jax", "tensorflow", "torch")


def choose_backend():
    """Set `KERAS_BACKEND` when Keras would otherwise fail to import."""
    if "keras" in sys.modules or os.environ.get("KERAS_BACKEND"):
        return
    configured = _configured_backend()
    if configured and _is_installed(configured):
        return
    for backend in _BACKENDS:
        if _is_installed(backend):
            os.environ["KERAS_BACKEND"] = backend
            print(
                f"keras_patching: using the {backend} backend "
                "(set KERAS_BACKEND to choose another).",
                file=sys.stderr,
            )
            return


def _configured_backend():
    """Backend that Keras would take: that of `keras.json`, or its default."""
    home = os.environ.get("KERAS_HOME") or pathlib.Path.home() / ".keras"
    try:
        text = (pathlib.Path(home) / "keras.json").read_text("utf-8")
        return json.loads(text).get("backend")
    except (OSError, ValueError, AttributeError):
        return "tensorflow"


def _is_installed(backend):
    # A backend that is not an importable module (such as "openvino" without
    # its package, or a misspelt one) is for Keras to judge only if it exists.
    return importlib.util.find_spec(backend) is not None
