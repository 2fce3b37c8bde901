"""Makes one model of several saved ones, which averages what they predict."""

import os
from collections.abc import Sequence

import keras

from keras_patching.inference.file_prediction import load_model
from keras_patching.layers.ensemble import Ensemble
from keras_patching.models.patched_model import PATCHED_MODEL_DEFAULTS

# What members may differ in: the first decides how images are cut.
_OF_THE_FIRST = {*PATCHED_MODEL_DEFAULTS, "patch_model"}


def load_ensemble(
    models: Sequence[str | os.PathLike | keras.Model],
) -> keras.Model:
    """Make a task model that averages what several predict.

    Probabilities are averaged, of logits those that they stand for, and the
    heatmaps of counting models. It is cut, saved and trained like any other;
    `transform="doubt"` tells where its members differ.

    Args:
        models: Two or more segmentation or counting models, or paths of saved
            ones. They see images alike (channels, range of values and what
            else images are prepared by) and have the same classes. Patch size
            and tiling are those of the first.

    Returns:
        A model of their task, not compiled, whose `patch_model` is an
        `Ensemble` of theirs. It shares the weights of models that are given.

    Raises:
        FileNotFoundError, ValueError: As `load_model` does; or if they do not
            agree, which names the models and what differs.

    Example:

    >>> model = keras_patching.inference.load_model("field.keras")
    >>> both = keras_patching.inference.load_ensemble(["field.keras", model])
    >>> len(both.patch_model.patch_models)
    2
    """
    models = _loaded(models)
    first, config = models[0], _settings(models[0])
    for other in models[1:]:
        _check_like(first, other)
    patch_models = [model.patch_model for model in models]
    from_logits = getattr(first, "activation", None) == "linear"
    patch_model = Ensemble(
        patch_models,
        from_logits=from_logits,
        data_format=first.predictor.data_format,
        name="ensemble",
    )
    tiling = {
        name: value
        for name, value in first.get_config().items()
        if name in _OF_THE_FIRST - {"patch_model", "name", "dtype"}
    }
    return type(first)(patch_model=patch_model, **config, **tiling)


def _loaded(models):
    """Load what is given as a path, and refuse what is no list of models."""
    if isinstance(models, (str, os.PathLike, keras.Model)):
        raise ValueError(
            "`load_ensemble` takes a list of models, or of paths of saved "
            f"ones. Received: models={models!r}"
        )
    return [
        load_model(each) if isinstance(each, (str, os.PathLike)) else each
        for each in models
    ]


def _settings(model):
    """Return the arguments that members must agree in, by name."""
    return {
        name: value
        for name, value in model.get_config().items()
        if name not in _OF_THE_FIRST
    }


def _check_like(first, other):
    """Refuse a model that sees images otherwise, or finds something else."""
    if type(first) is not type(other):
        raise ValueError(
            "Models of an ensemble are of one task. Received: "
            f"'{first.name}' is a {type(first).__name__}, '{other.name}' a "
            f"{type(other).__name__}"
        )
    ours, theirs = _settings(first), _settings(other)
    different = [
        f"{name}={ours[name]!r} and {theirs[name]!r}"
        for name in ours
        if ours[name] != theirs[name]
    ]
    if different:
        raise ValueError(
            "Models of an ensemble see images alike and find the same: train "
            f"them with the same arguments. Received: '{first.name}' and "
            f"'{other.name}' with {', '.join(different)}"
        )
