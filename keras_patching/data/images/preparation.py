"""How images become what a model sees, in training and in prediction alike.

Windows of what is stored are wrapped: first channels are converted, then
values are normalized.
"""

import dataclasses
from collections.abc import Sequence
from typing import Literal

import numpy as np

from keras_patching.data.images.channels import as_channels
from keras_patching.data.images.converted_windows import (
    BlackenedWindows,
    ConvertedWindows,
    HeldWindows,
)
from keras_patching.data.images.image_io import decode_seen, nodata_of
from keras_patching.data.images.known import open_known
from keras_patching.data.images.normalization import check_normalization
from keras_patching.data.images.normalized_windows import NormalizedWindows
from keras_patching.data.images.opened_image import read_seen
from keras_patching.data.images.tiff_windows import known_of
from keras_patching.data.images.value_range import (
    check_array,
    check_for_model,
    check_values,
    doubt_black,
)


@dataclasses.dataclass(frozen=True)
class Preparation:
    """How images become what a model sees.

    Attributes:
        channels: Channels to convert to, or "grayscale"; `None` keeps those of
            the files.
        value_range: `(black, white)` of what a model sees; `None` for any.
        normalize: What makes values be of that range, as for
            `check_normalization`; `None` refuses those that are not.
    """

    channels: int | Literal["grayscale"] | None = None
    value_range: Sequence[float] | None = None
    normalize: str | None = None

    @classmethod
    def of(cls, channels, value_range, normalize):
        """Make it of arguments, or refuse these."""
        value_range = check_normalization(normalize, value_range)
        return cls(as_channels(channels), value_range, normalize)

    def check_batch_dtype(self, dtype):
        """Refuse batches of a dtype that normalized images do not fit.

        Raises:
            ValueError: They are to be integers.
        """
        is_whole = dtype is not None and np.dtype(dtype).kind in "biu"
        if self.normalize is not None and is_whole:
            raise ValueError(
                "Normalized images are fractions, which integers do not hold: "
                f'leave `dtype` out, or pass "float16". Received: normalize='
                f"{self.normalize!r}, dtype={dtype!r}"
            )

    def dtype(self, stored):
        """Give the dtype of an image that is stored in a dtype."""
        return stored if self.normalize is None else np.dtype("float32")

    def wrap(self, windows):
        """Wrap `ConvertedWindows` in what else is done to their pixels."""
        if self.normalize is not None:
            windows = NormalizedWindows(
                windows, self.normalize, self.value_range
            )
        elif windows.lacks_data:
            black = 0 if self.value_range is None else self.value_range[0]
            windows = BlackenedWindows(windows, black)
        return windows


def decode_prepared(data, path, preparation):
    """Decode an image for training.

    Args:
        data: Bytes of the file.
        path: File that messages name.
        preparation: `Preparation`.

    Returns:
        Array `(height, width, channels)`.

    Raises:
        ValueError: As for `decode_image`, or says what would fit; its
            argument is a `Fault`.
    """
    image = _decode(data, path, preparation)
    if preparation.normalize is None:
        check_values(
            image, path, preparation.value_range, lambda: nodata_of(data)
        )
    return image


def read_prepared(path, preparation):
    """Read the image that a model is to predict.

    Args:
        path: Path of the file, or an `OpenedImage`.
        preparation: `Preparation` of the model.

    Returns:
        Array `(height, width, channels)`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It cannot be read, or values lie outside of the range.
        Warning: Floats of at most 1, where white is far above.
    """
    image, alpha, nodata = read_seen(path)
    with open_known(path) as windows:
        size = image.shape[:2]
        known = windows and windows.known(0, size[0], 0, size[1])
    path = getattr(path, "path", path)
    declared = None if preparation.normalize is None else nodata()
    held = HeldWindows(image, alpha, declared, known)
    image = _prepared(held, path, preparation)
    if preparation.normalize is None:
        value_range = preparation.value_range
        extremes = check_for_model(image, path, value_range, nodata)
        doubt_black(*extremes, image.dtype, value_range, f"{path}: the model")
    return image


def prepare_array(image, name, preparation):
    """Prepare an image in memory as `read_prepared` does a file of it.

    Args:
        image: Array `(height, width, channels)` or `(height, width)` of
            numbers.
        name: What takes it, for messages.
        preparation: `Preparation` of the model.

    Returns:
        Array `(height, width, channels)`.

    Raises:
        ValueError: It is no image, or values lie outside of the range.
    """
    image = np.asarray(image)
    # The narrow floats of jax are of another kind to numpy.
    is_numbers = image.dtype.kind in "biuf" or "float" in image.dtype.name
    if image.ndim not in (2, 3) or not image.size or not is_numbers:
        raise ValueError(
            f"{name} takes one image (height, width, channels) or (height, "
            f"width) of numbers. Received: shape={image.shape}, "
            f"dtype={image.dtype}"
        )
    image = image.reshape(*image.shape[:2], -1)
    image = _prepared(HeldWindows(image), name, preparation)
    if preparation.normalize is None:
        check_array(image, preparation.value_range, name)
    return image


def _decode(data, path, preparation):
    image, alpha = decode_seen(data, path)
    nodata = None if preparation.normalize is None else nodata_of(data)
    windows = HeldWindows(image, alpha, nodata, known_of(data, path))
    return _prepared(windows, path, preparation)


def _prepared(windows, name, preparation):
    converted = ConvertedWindows(windows, preparation.channels, name)
    height, width, _ = converted.shape
    return preparation.wrap(converted).read(0, height, 0, width)
