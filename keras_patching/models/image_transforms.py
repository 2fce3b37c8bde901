"""What is made of the outputs of a patch model, pixel by pixel."""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras

from keras_patching.layers.output_specs import Trace


@dataclasses.dataclass(frozen=True)
class ImageTransform:
    """What is made of the outputs of a patch model for each image.

    Attributes:
        in_graph: Function of the outputs of the patch model, pixel by pixel;
            hashable, the same for the same results.
        collect: Function from the `ImageSource` of an image to its result,
            which takes bands; `None` where pixels themselves are the result.
        collect_written: Function from the source, and what opens files for it
            (`ImageOutputs.open`), to a result that also writes pixels; `None`
            where there are none. Where there are, all is of pixels of the
            file, also of an image that is resized.
        check: Function of each band that is written, which refuses what is no
            result.
        name: What it is called; `None` for a function of the user's.
        method: How pixels of an image that was resized come back to those of
            its file, see `resampling.METHODS`.
        is_doubt: Whether it takes what `PatchedPredictor.with_doubt` gives.
        values: The integers that results may hold; `None` for any, and for
            floats.
    """

    in_graph: Callable
    collect: Callable | None = None
    collect_written: Callable | None = None
    check: Callable | None = None
    name: str | None = None
    method: str = "nearest"
    values: range | None = None
    is_doubt: bool = False


@dataclasses.dataclass(frozen=True)
class Both:
    """Two functions, one after the other."""

    first: Callable
    second: Callable

    def __call__(self, outputs: Any) -> Any:
        return self.second(self.first(outputs))


@dataclasses.dataclass(frozen=True)
class Doubt:
    """The doubt of each pixel, in the units of what the model predicts.

    Attributes:
        finish: Makes what the model gives of what its patch model does.
    """

    finish: Callable

    def __call__(self, outputs: Any) -> Any:
        return self.finish(outputs)[..., 0]


def spec_of(transform, predictor):
    """Tell what a transform makes of the outputs of a model, or refuse it.

    Args:
        transform: Function of what the patch model returns.
        predictor: `PatchedPredictor`.
    """
    known = predictor._outputs
    spec = Trace(transform).compute_output_spec(known.spec)
    before, after = map(keras.tree.flatten, (known.spec, spec))
    same = len(before) == len(after) and all(
        scale is None or one.shape[1:3] == other.shape[1:3]
        for scale, one, other in zip(known.scales, before, after, strict=True)
    )
    if not same:
        raise ValueError(
            "`transform` must return as many outputs as it takes, as high and "
            "wide as these: it may change channels only. Received: "
            f"{[each.shape for each in after]} for "
            f"{[each.shape for each in before]}"
        )
    return spec
