"""Everything public says the types of what it takes and gives."""

import inspect
import typing

import pytest

import keras_patching as kp
from keras_patching import demos

NAMED = [getattr(kp, name) for name in kp.__all__]
SPACES = [kp, demos, *filter(inspect.ismodule, NAMED)]


def public_functions():
    """Each public function, and each method of a public class."""
    found = {}
    for space in SPACES:
        for name in space.__all__:
            thing = getattr(space, name)
            if inspect.isclass(thing):
                found |= {f.__qualname__: f for f in methods(thing)}
            elif inspect.isfunction(thing):
                found[name] = thing
    return found


def methods(cls):
    for base in cls.__mro__:
        if not base.__module__.startswith("keras_patching"):
            continue
        for name, member in vars(base).items():
            if name.startswith("_") and name not in ("__init__", "__call__"):
                continue
            member = getattr(member, "fget", member)
            member = getattr(member, "__func__", member)
            if inspect.isfunction(member):
                yield member


FUNCTIONS = public_functions()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_argument_and_what_is_returned_has_a_type(name):
    function = FUNCTIONS[name]
    hints = typing.get_type_hints(function)
    parameters = inspect.signature(function).parameters
    assert parameters.keys() - {"self", "cls"} | {"return"} == hints.keys()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_only_what_goes_on_to_keras_is_not_spelled_out(name):
    for each in inspect.signature(FUNCTIONS[name]).parameters.values():
        if each.kind is each.VAR_KEYWORD:
            assert each.name == "kwargs", each
