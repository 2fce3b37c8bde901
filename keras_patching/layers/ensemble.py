"""The mean of what several patch models give."""

from collections.abc import Sequence
from typing import Any, Self

import keras

from keras_patching.layers.mean_of_passes import MeanOfPasses


@keras.saving.register_keras_serializable(package="keras_patching")
class Ensemble(MeanOfPasses):
    """Averages what several patch models give for the same image.

    It is a patch model like any other, and streams rows if all of its members
    do: time and memory are those of all of them. A training trains all, on the
    mean of what they give. After Lakshminarayanan et al. 2017, "Simple and
    scalable predictive uncertainty estimation using deep ensembles"
    (https://arxiv.org/abs/1612.01474). `keras_patching.inference.load_ensemble`
    makes one of saved models.

    Args:
        patch_models: Two or more layers or models that take the same images,
            and give images of floats of one shape.
        spread, from_logits, data_format, **kwargs: As for
            `TestTimeAugmentation`; the spread is over the members.

    Input shape:
        `(batch, height, width, channels)`.

    Output shape:
        That of each patch model; with `spread` a dict of two like it.

    Raises:
        ValueError: If there are fewer than two, or the same one twice, or what
            they take or give differs.

    Example:

    >>> other = keras.models.clone_model(patch_model)
    >>> ensemble = keras_patching.layers.Ensemble([patch_model, other])
    >>> tuple(ensemble(np.zeros((1, 64, 96, 3), "float32")).shape)
    (1, 64, 96, 2)
    """

    def __init__(
        self,
        patch_models: Sequence[keras.layers.Layer],
        *,
        spread: bool = False,
        from_logits: bool = False,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        patch_models = list(patch_models)
        _check_members(patch_models)
        super().__init__(
            patch_models, spread, from_logits, data_format, **kwargs
        )
        self.patch_models = patch_models
        self._build_if_known()

    def _nets(self):
        return list(self.patch_models)

    def _in_training(self, inputs):
        outputs = [net(inputs) for net in self.patch_models]
        return keras.tree.map_structure(
            lambda *each: sum(each[1:], each[0]) / len(each), *outputs
        )

    def _passes(self, inputs):
        return (self._run(net, inputs) for net in self.patch_models)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "patch_models": [
                keras.saving.serialize_keras_object(net)
                for net in self.patch_models
            ],
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Any = None
    ) -> Self:
        config = dict(config)
        patch_models = [
            keras.saving.deserialize_keras_object(
                each, custom_objects=custom_objects
            )
            for each in config.pop("patch_models")
        ]
        return cls(patch_models, **config)


def _check_members(patch_models):
    """Refuse what no mean can be made of, before anything runs."""
    if len(patch_models) < 2 or len(set(map(id, patch_models))) < len(
        patch_models
    ):
        raise ValueError(
            "An ensemble is of two or more patch models, each of which is "
            "there once. Received: patch_models="
            f"{[getattr(each, 'name', each) for each in patch_models]}"
        )
    for each in patch_models:
        if not isinstance(each, keras.layers.Layer):
            raise ValueError(
                f"An ensemble is of Keras layers or models. Received: {each!r}"
            )
        if hasattr(each, "patch_model"):
            raise ValueError(
                f"'{each.name}' cuts images itself: pass its `patch_model`, or "
                "make an ensemble of saved models with "
                "`keras_patching.inference.load_ensemble`. Received: "
                f"patch_models[{patch_models.index(each)}]="
                f"{type(each).__name__}"
            )
    shapes = {str(getattr(each, "input_shape", None)) for each in patch_models}
    if len(shapes) > 1:
        raise ValueError(
            "The patch models of an ensemble take images of one shape. "
            f"Received: {', '.join(sorted(shapes))}"
        )
