"""What types in signatures are called."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Figure
    from numpy.typing import ArrayLike as ArrayLike
    from numpy.typing import NDArray as NDArray
else:
    # As `help()` is to show them: numpy's are unions of many lines.
    NDArray = np.ndarray

    class ArrayLike:
        """An array, or numbers in sequences that numpy makes an array of."""

    class Figure:
        """A figure of matplotlib."""


# An array, a tensor of any backend, or a symbolic one; or a structure of these.
Tensor: TypeAlias = Any

# Red, green and blue, from 0 to 255.
Color: TypeAlias = tuple[int, int, int]


class Tiling(TypedDict, total=False):
    """How images are cut and stitched, as described in `PatchedPredictor`."""

    overlap: int | Sequence[int] | Literal["auto"]
    multiple_of: int | Sequence[int]
    blend: str
    predict_patch_size: int | Sequence[int | None] | None
    shrink: bool
    test_time_augmentation: str | None


class ImagesOptions(TypedDict, total=False):
    """How images are predicted, as described in `PatchedModel`."""

    out: Any
    batch_size: int | None
    device_memory: int | None
    keep: Any
    fill: float
    shard: tuple[int, int] | None
    split: Literal["rows"] | None
    resume: bool
    overwrite: bool
    verbose: bool


class PatchedModelOptions(Tiling, total=False):
    """What the models of tasks hand on to `PatchedModel`, described there."""

    patch_size: int | Sequence[int] | None
    stitch: bool
    pad_value: float
    pad_mode: str
    patch_batch_size: int | Literal["auto"]
    data_format: str | None
    name: str | None
    dtype: Any
    trainable: bool
