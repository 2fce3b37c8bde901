"""The options that the loaders of all tasks share, in their signatures."""

import concurrent.futures
import dataclasses
import functools
import inspect
import os
import typing
from collections.abc import Callable, Sequence
from typing import Literal, TypedDict, TypeVar

import numpy as np

from keras_patching._signatures import spelled_out
from keras_patching._spelling import did_you_mean
from keras_patching.data.sequence_options import SequenceOptions


class ModelLoaderOptions(TypedDict, total=False):
    """Options of the loaders of models, which tell the kind of the images.

    They are described where they stand in full, in
    `load_dataset_from_directory_with_segmentation_masks`.
    """

    batch_size: int | None
    crop_size: Literal["image"] | int | Sequence[int] | None
    shuffle: bool
    seed: int | None
    validation_split: float | None
    test_split: float | None
    subset: Literal["training", "validation", "both", "test", "all"] | None
    groups: Callable[[str], object] | None
    split_by: Literal["images", "blocks"]
    block_size: int | Sequence[int] | None
    guard: int | Sequence[int] | None
    store: Literal["patches", "images"]
    cache_dir: str | os.PathLike | None
    overwrite: bool
    executor: concurrent.futures.Executor | None
    foreground_fraction: float | None
    keep_empty: float
    dtype: str | type | np.dtype | None
    drop_remainder: bool
    verbose: bool


class LoaderOptions(ModelLoaderOptions, total=False):
    """Options of all loaders that are functions."""

    channels: int | Literal["grayscale"] | None
    value_range: Sequence[float]
    normalize: Literal["percentile", "zscore"] | None
    resize: float | Sequence[int] | None


DEFAULTS = {
    **{each.name: each.default for each in dataclasses.fields(SequenceOptions)},
    "store": "patches",
    "cache_dir": None,
    "overwrite": False,
    "executor": None,
    "verbose": True,
    "channels": 3,
    "value_range": (0, 255),
    "normalize": None,
    "resize": None,
}

# What loaders that are methods take from their model.
_OF_THE_MODEL = {
    "patch_size",
    "channels",
    "value_range",
    "normalize",
    "resize",
    "pad_mode",
    "num_classes",
    "ignore_value",
    "class_colors",
    "class_ids",
    "class_names",
    "grid_size",
    "density_map_sigma",
}

_RESIZED = (
    "It is called `resize`, of the model where there is one: a factor, or the "
    "(height, width) of every image, before patches are cut."
)

_AT_LEVEL_0 = (
    "Slides are trained on at their largest level, which labels are in pixels "
    "of: `resize=0.25` reads it smaller. Predictions read any level: "
    "`open_image(path, level=...)`, or `--level`."
)

_OF_WHOLE_IMAGES = (
    "`ImageSequence` takes it: open what was loaded with a `crop_size` once "
    "more, by `ImageSequence(sequence.manifest_path, ...)`."
)

# What loaders of Keras and of others call it, and what it is here.
_ELSEWHERE = {
    **dict.fromkeys(("image_size", "target_size"), _RESIZED),
    **dict.fromkeys(("level", "pixel_size"), _AT_LEVEL_0),
    **dict.fromkeys(
        ("multiple_of", "same_size", "crops_per_image"), _OF_WHOLE_IMAGES
    ),
    "color_mode": (
        'One channel is `channels="grayscale"`, three are `channels=3`, of '
        "the model where there is one."
    ),
}

_Loader = TypeVar("_Loader", bound=Callable)


def loader(function: _Loader) -> _Loader:
    """Spell out the options of a loader, and refuse others before it begins.

    Args:
        function: Function or method whose last parameter is
            `**options: Unpack[LoaderOptions]`, or `ModelLoaderOptions`. It
            always receives all of them.

    Returns:
        The same, whose signature lists each option with its type and default.
    """
    spelled_out(DEFAULTS)(function)
    signature = inspect.signature(function)

    @functools.wraps(function)
    def load(*args, **kwargs):
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError as error:
            message = _explain(function.__qualname__, signature, kwargs, error)
            raise TypeError(message) from None
        bound.apply_defaults()
        return function(*bound.args, **bound.kwargs)

    del load.__wrapped__  # Tools that look there would show its options.
    load.__signature__ = signature  # type: ignore[attr-defined]
    return typing.cast(_Loader, load)


def _explain(name, signature, kwargs, error):
    """Say which argument is wrong, and which one may be meant."""
    unknown = [each for each in kwargs if each not in signature.parameters]
    if not unknown:
        return f"`{name}`: {error}"
    wrong = unknown[0]
    known = [each for each in signature.parameters if each != "self"]
    question = did_you_mean(wrong, known)
    if wrong in _ELSEWHERE:
        advice = _ELSEWHERE[wrong]
    elif question:
        advice = question
    elif wrong in _OF_THE_MODEL and "self" in signature.parameters:
        advice = f"Give it to the model, when it is made: {wrong}=..."
    else:
        advice = f"It takes: {', '.join(known)}."
    return (
        f"`{name}` takes no argument `{wrong}`. {advice} "
        f"Received: {wrong}={kwargs[wrong]!r}"
    )
