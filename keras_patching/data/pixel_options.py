"""How the pixels of a data set become patches."""

import dataclasses
from typing import Literal

from keras_patching.data.images.preparation import (
    Preparation,
    decode_prepared,
)
from keras_patching.data.images.resizing import as_resize, resize_image
from keras_patching.data.patches.stores import check_store
from keras_patching.geometry import as_pair, check_pad_mode


@dataclasses.dataclass(frozen=True)
class PixelOptions:
    """How pixels become patches.

    Attributes:
        patch_size: `(height, width)` in pixels.
        channels: Channels to convert to, or "grayscale"; `None` keeps those of
            the files.
        value_range: `[black, white]`; padding is black.
        pad_mode: Or what it is else, one of `PAD_MODES`.
        normalize: As for `Preparation`.
        resize: How images are resized before, as of `as_resize`.
        store: What is kept of them, one of `STORES`.
    """

    patch_size: tuple[int, int]
    channels: int | Literal["grayscale"] | None
    value_range: list[float]
    pad_mode: str = "constant"
    normalize: str | None = None
    resize: float | tuple[int, int] | None = None
    store: str = "patches"

    @classmethod
    def of(
        cls,
        patch_size,
        channels,
        value_range,
        pad_mode,
        normalize,
        resize,
        store="patches",
    ):
        """Make them of arguments, or refuse these."""
        preparation = Preparation.of(channels, value_range, normalize)
        return cls(
            as_pair(patch_size, "patch_size"),
            preparation.channels,
            preparation.value_range,
            check_pad_mode(pad_mode),
            normalize,
            as_resize(resize),
            check_store(store),
        )

    @property
    def preparation(self):
        """How the pixels of a file are prepared, before it is resized."""
        return Preparation(self.channels, self.value_range, self.normalize)

    def dtype(self, stored):
        """Give the dtype of the patches of a file of a dtype."""
        return self.preparation.dtype(stored)

    @property
    def parameters(self):
        """What of these, but for the patch size, is in the key of a cache."""
        parameters = {
            "channels": self.channels,
            "value_range": self.value_range,
        }
        if self.normalize is not None:
            parameters["normalize"] = self.normalize
        if self.pad_mode != "constant":
            parameters["pad_mode"] = self.pad_mode
        if self.resize is not None:
            parameters["resize"] = self.resize
        if self.store != "patches":
            parameters["store"] = self.store
        return parameters

    def content(self, size):
        """Give what decides the pixels of an image, JSON-able, as a list.

        Args:
            size: `(height, width)` of the image as it is read.
        """
        content = [self.channels, self.value_range]
        if self.normalize is not None:
            content.append(self.normalize)
        if self.resize is not None:
            content.append({"resize": list(size)})
        return content

    def decode(self, data, path):
        """Decode an image as models see it.

        Args:
            data: Bytes of the file.
            path: File that messages name.

        Returns:
            Array `(height, width, channels)`.

        Raises:
            ValueError: As for `decode_prepared`.
        """
        image = decode_prepared(data, path, self.preparation)
        return resize_image(image, self.resize)
