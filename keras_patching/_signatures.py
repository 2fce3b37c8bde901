"""Signatures that list options which many functions share."""

import contextlib
import inspect
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from keras_patching._spelling import did_you_mean
from keras_patching._types import Tiling

_Function = TypeVar("_Function", bound=Callable)


class Shown:
    """What a signature shows as a default that is no value.

    Args:
        text: What is shown.
    """

    def __init__(self, text):
        self.text = text

    def __repr__(self):
        return self.text


def spelled_out(
    defaults: Mapping[str, Any],
) -> Callable[[_Function], _Function]:
    """Decorate a function so that its signature lists each of its options.

    Type checkers see `**options: Unpack[SomeTypedDict]` themselves; this is for
    `help()`, `inspect.signature` and completion in a running session.

    Args:
        defaults: Dict from the name of each option to its default.
    """

    def decorate(function):
        signature = inspect.signature(function)
        *parameters, last = signature.parameters.values()
        if last.kind is not last.VAR_KEYWORD:
            return function  # It lists them itself.
        (options,) = typing.get_args(last.annotation)
        parameters += [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=defaults[name],
                annotation=annotation,
            )
            for name, annotation in typing.get_type_hints(options).items()
        ]
        function.__signature__ = signature.replace(parameters=parameters)
        function.__annotations__ = {
            each.name: each.annotation
            for each in parameters
            if each.annotation is not each.empty
        } | {"return": signature.return_annotation}
        return function

    return decorate


@contextlib.contextmanager
def suggesting(function: Callable, given: Iterable[str]) -> Iterator[None]:
    """Let an error about an argument ask for the one that may be meant.

    Args:
        function: Function or class whose arguments are known.
        given: Names of arguments, which may be of none.
    """
    known = inspect.signature(function).parameters
    questions = [
        did_you_mean(each, known) for each in given if each not in known
    ]
    try:
        yield
    except (TypeError, ValueError) as error:
        if not any(questions):
            raise
        said = str(error).rstrip(".")
        text = " ".join(filter(None, [f"{said}.", *questions]))
        raise type(error)(text) from None


# Of methods that predict images.
IMAGES_DEFAULTS = {
    **dict.fromkeys(("out", "batch_size", "device_memory", "keep")),
    "fill": 0,
    **dict.fromkeys(("shard", "split")),
    "resume": True,
    "overwrite": False,
    "verbose": True,
}

# Of methods that change a tiling: what is left out stays.
TILING_DEFAULTS = dict.fromkeys(Tiling.__annotations__, Shown("<unchanged>"))
