"""Tells models apart by what they compute."""

import hashlib
import json
import re
import secrets

import keras

from keras_patching._keras_internals import inner_layers

# What a model computes does not depend on these.
_IGNORED = {"compile_config", "build_config"}
# Attributes of layers that their configuration has, or that it need not.
_OF_KERAS = {"name", "built", "supports_masking", "autocast"}


def model_digest(model):
    """Hash the configuration and the weights of a model.

    Args:
        model: A built Keras model.

    Returns:
        String: the same for the same model in another process, and for one
        whose layers were numbered otherwise. A model that cannot be written
        as a configuration is like no other, and not like itself either.
    """
    try:
        config = model.get_config()
        # A process counts the names of layers up: `conv2d_7`.
        names = {}
        _number_names(config, names)
        text = json.dumps(_renamed(config, names), default=str)
    except (NotImplementedError, TypeError, ValueError, RecursionError):
        # Keras raises `NotImplementedError` for a layer of the user's that has
        # arguments and no `get_config`. It cannot be asked before.
        return secrets.token_hex(32)
    found = hashlib.sha256(f"{type(model).__name__} {text}".encode())
    for layer in inner_layers(model):
        found.update(_own_parts(layer))
    for variable in model.weights:
        array = keras.ops.convert_to_numpy(variable.value)
        found.update(f"{array.shape} {array.dtype}".encode())
        found.update(array.tobytes())
    return found.hexdigest()


def _own_parts(layer):
    """Give what decides what a layer of the user's computes, besides weights.

    Its configuration need not tell: a constant of its class, what its `call`
    does.
    """
    kind = type(layer)
    if kind.__module__.split(".")[0] in ("keras", "keras_patching"):
        return b""
    constants = {
        name: value
        for each in (kind, layer)
        for name, value in vars(each).items()
        if isinstance(value, (bool, int, float, str))
        and not name.startswith("_")
        and name not in _OF_KERAS
    }
    code = getattr(kind.call, "__code__", None)
    known = [] if code is None else [code.co_code.hex(), str(code.co_names)]
    return json.dumps([sorted(constants.items()), known]).encode()


def _number_names(config, numbered):
    """Number names such as `conv2d_7` in the order in which they come."""
    if isinstance(config, dict):
        name = config.get("name")
        if isinstance(name, str):
            base = re.sub(r"_\d+$", "", name)
            numbered.setdefault(name, f"{base} {len(numbered)}")
        config = list(config.values())
    if isinstance(config, (list, tuple)):
        for value in config:
            _number_names(value, numbered)


def _renamed(config, names):
    if isinstance(config, dict):
        return {
            key: _renamed(value, names)
            for key, value in config.items()
            if key not in _IGNORED
        }
    if isinstance(config, (list, tuple)):
        return [_renamed(value, names) for value in config]
    return names.get(config, config) if isinstance(config, str) else config
