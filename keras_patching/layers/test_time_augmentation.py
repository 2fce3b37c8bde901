"""The mean of what a patch model gives for mirrored and turned images."""

from typing import Any, Self

import keras

from keras_patching._types import Tensor
from keras_patching.layers.mean_of_passes import MeanOfPasses
from keras_patching.layers.symmetries import SYMMETRIES, Symmetry, Turn
from keras_patching.ops.data_formats import shape_to_channels_last


@keras.saving.register_keras_serializable(package="keras_patching")
class TestTimeAugmentation(MeanOfPasses):
    """Predicts an image mirrored and turned, and averages the predictions.

    Each is turned back before. It is a patch model like any other: with
    `overlap="auto"` the result is the mean over whole images that are mirrored
    and turned, without seams. (The whole image is that padded to multiples of
    the stride.) In training it is the patch model itself.

    Passes are made one after the other: the time is that of all of them, 8
    times for `"all"`, and the memory little more than that of one.
    `"left_right"` is streamed row by row; the others are run on tiles.

    The idea is that of Krizhevsky et al. 2012, "ImageNet classification with
    deep convolutional neural networks", for pixels as in nnU-Net (Isensee et
    al. 2021, https://doi.org/10.1038/s41592-020-01008-z); the spread as a map
    of doubt is that of Wang et al. 2019
    (https://doi.org/10.1016/j.neucom.2019.01.103).

    Args:
        patch_model: Layer or model from `(batch, height, width, channels)` to
            images of floats.
        symmetries: `"all"`, the 8 mirrors and quarter-turns of a square;
            `"turns"`, the 4 quarter-turns; `"mirrors"`, left-right, top-down
            and both, 4 with the image as it is; or `"left_right"`, 2.
        spread: Whether to give a dict of `"mean"` and `"spread"`: the standard
            deviation over the passes, of each channel.
        from_logits: Whether the patch model gives logits. Their probabilities
            are averaged then, as softmax or, of one channel, sigmoid makes
            them; given are logits of the mean, and the spread of the
            probabilities. What else is averaged is what the patch model gives.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to
            `keras.config`'s.
        **kwargs: Arguments of `keras.layers.Layer`.

    Input shape:
        `(batch, height, width, channels)`.

    Output shape:
        That of the patch model; with `spread` a dict of two like it.

    Raises:
        ValueError: If there are no such symmetries, the patch model gives
            other than images of floats, or quarter-turns are asked of one that
            takes images of one size which is not square.

    Example:

    >>> augmented = keras_patching.layers.TestTimeAugmentation(patch_model)
    >>> tuple(augmented(np.zeros((1, 64, 96, 3), "float32")).shape)
    (1, 64, 96, 2)
    """

    __test__ = False  # It is no test, whatever pytest thinks of its name.

    def __init__(
        self,
        patch_model: keras.layers.Layer,
        symmetries: str = "all",
        *,
        spread: bool = False,
        from_logits: bool = False,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            [patch_model], spread, from_logits, data_format, **kwargs
        )
        self.symmetries = check_symmetries(symmetries)
        self.layer = patch_model
        self._check_size()
        self._build_if_known()

    def _nets(self):
        return [self.layer]

    def _in_training(self, inputs: Tensor) -> Any:
        return self.layer(inputs)

    def _passes(self, inputs):
        for symmetry in SYMMETRIES[self.symmetries]:
            turned = self._turn(symmetry, inputs)
            for outputs in self._passes_of_layer(turned):
                yield keras.tree.map_structure(
                    lambda each, back=symmetry.inverse: self._turn(back, each),
                    outputs,
                )

    def _passes_of_layer(self, images):
        """Return all passes, so that the spread is over those of members."""
        layer = self.layer
        is_several = isinstance(layer, MeanOfPasses) and not layer.spread
        if is_several and layer.from_logits in (False, self.from_logits):
            return layer._passes(images)
        return [self._run(layer, images)]

    def _turn(self, symmetry, images):
        if symmetry == Symmetry():
            return images
        return Turn(symmetry, self.data_format)(images)

    def _check_size(self):
        """Refuse to turn images of one size that is not square."""
        shape = getattr(self.layer, "input_shape", None)
        if not isinstance(shape, tuple) or len(shape) != 4:
            return
        _, height, width, _ = shape_to_channels_last(shape, self.data_format)
        swaps = any(each.swap for each in SYMMETRIES[self.symmetries])
        if swaps and height != width:
            raise ValueError(
                f"'{self.layer.name}' takes images of {(height, width)} only, "
                'which cannot be turned by 90 degrees: use "mirrors", or build '
                "it with `keras.Input((None, None, channels))`. Received: "
                f"symmetries={self.symmetries!r}"
            )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "layer": keras.saving.serialize_keras_object(self.layer),
            "symmetries": self.symmetries,
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Any = None
    ) -> Self:
        config = dict(config)
        layer = keras.saving.deserialize_keras_object(
            config.pop("layer"), custom_objects=custom_objects
        )
        return cls(layer, **config)


def check_symmetries(symmetries):
    """Return the name of symmetries, or refuse what is none.

    Raises:
        ValueError: With those that there are.
    """
    if not isinstance(symmetries, str) or symmetries not in SYMMETRIES:
        names = ", ".join(map(repr, SYMMETRIES))
        raise ValueError(
            f"Symmetries are one of {names}. Received: {symmetries!r}"
        )
    return symmetries
