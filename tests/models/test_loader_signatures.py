"""Loaders show their options, and refuse others before they read a file."""

import inspect
import pydoc
import typing

import keras
import pytest

import keras_patching as kp
from keras_patching.data.loader_options import (
    DEFAULTS,
    LoaderOptions,
    ModelLoaderOptions,
)
from keras_patching.data.sequence_options import SequenceOptions

NET = keras.Sequential([keras.Input((None, None, 3)), keras.layers.ReLU()])
FUNCTIONS = [
    getattr(kp, name) for name in kp.__all__ if name.startswith("load_")
]
METHODS = [
    getattr(cls, name)
    for cls in (
        kp.HeatmapObjectCountingModel,
        kp.ObjectDetectionModel,
        kp.SemanticSegmentationModel,
    )
    for name in dir(cls)
    if name.startswith("load_") and "dataset" in name
]
LOADERS = pytest.mark.parametrize(
    "load", FUNCTIONS + METHODS, ids=lambda load: load.__qualname__
)


def test_all_loaders_are_looked_at():
    assert len(FUNCTIONS) == 5
    assert len(METHODS) == 5


@LOADERS
def test_every_option_is_shown_with_its_type_and_default(load):
    signature = inspect.signature(load)
    hints = typing.get_type_hints(load)
    is_method = "self" in signature.parameters
    options = ModelLoaderOptions if is_method else LoaderOptions
    expected = typing.get_type_hints(options)
    for name, annotation in expected.items():
        assert signature.parameters[name].default == DEFAULTS[name]
        assert signature.parameters[name].annotation == annotation
        assert hints[name] == annotation
        assert f"{name}: " in pydoc.render_doc(load)
    kinds = {each.kind for each in signature.parameters.values()}
    assert inspect.Parameter.VAR_KEYWORD not in kinds


def test_options_have_the_types_of_what_takes_them():
    fields = typing.get_type_hints(SequenceOptions)
    options = typing.get_type_hints(LoaderOptions)
    for name in fields.keys() & options.keys():
        assert fields[name] == options[name]


@LOADERS
def test_a_mistyped_option_is_named_before_a_file_is_read(load):
    required = [
        "missing"
        for name, each in inspect.signature(load).parameters.items()
        if each.default is each.empty
    ]
    name = load.__qualname__.replace(".", r"\.")
    with pytest.raises(
        TypeError,
        match=rf"`{name}`.*`batchsize`.*mean `batch_size`.*batchsize=3",
    ):
        load(*required, batchsize=3)
    with pytest.raises(TypeError, match=rf"`{name}`: missing .*argument: '"):
        load()


@LOADERS
def test_names_of_other_loaders_are_answered_with_the_way_here(load):
    with pytest.raises(TypeError, match=r"called `resize`.*image_size=8"):
        load(NET, "missing", "missing", image_size=8)
    with pytest.raises(TypeError, match='channels="grayscale"'):
        load(NET, "missing", "missing", color_mode="grayscale")
    with pytest.raises(TypeError, match=r"`ImageSequence` .*multiple_of=16"):
        load(NET, "missing", "missing", multiple_of=16)


@pytest.mark.parametrize("load", METHODS, ids=lambda load: load.__qualname__)
def test_what_the_model_gives_is_told_apart(load):
    with pytest.raises(
        TypeError, match=r"`value_range`\. Give it to the model"
    ):
        load(NET, "missing", "missing", value_range=(0, 1))
