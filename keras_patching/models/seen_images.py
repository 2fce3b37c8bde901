"""Images as a model of a task sees them: read, and checked."""

import os

import keras
import numpy as np

from keras_patching.data.images.channels import as_channels
from keras_patching.data.images.normalization import check_normalization
from keras_patching.data.images.opened_image import OpenedImage
from keras_patching.data.images.preparation import read_prepared
from keras_patching.data.images.prepared_arrays import (
    PreparedCheck,
    check_prepared_dtype,
)
from keras_patching.data.images.resizing import ReadScale, resize_image


def check_images(patch_model, channels, value_range, normalize=None):
    """Check the arguments on images, before a patch model is made for them.

    Returns:
        `channels`, and the `value_range` of what is normalized.

    Raises:
        ValueError: If one cannot be used, or a default patch model is to be
            made for any number of channels.
    """
    channels = as_channels(channels)
    value_range = tuple(check_normalization(normalize, value_range))
    if patch_model is None and channels is None:
        raise ValueError(
            "The default patch model needs a number of `channels`: pass it, "
            "or a `patch_model` of your own. Received: channels=None"
        )
    return channels, value_range


def read_scaled(image, preparation, resize):
    """Read an image, and tell where its pixels are.

    Args:
        image: Path of a file, or `OpenedImage`, which is prepared and resized;
            or an array, which is taken as it is.
        preparation: `Preparation`.
        resize: As of `as_resize`.

    Returns:
        Array `(height, width, channels)`, and its `ReadScale`.
    """
    if not isinstance(image, (str, os.PathLike, OpenedImage)):
        image = np.asarray(image)
        return image, ReadScale(image.shape[:2], image.shape[:2])
    found = read_prepared(image, preparation)
    read = resize_image(found, resize)
    return read, ReadScale(found.shape[:2], read.shape[:2])


def check_prepared(x, preparation, name):
    """Refuse images that are not normalized, where that can be told.

    Args:
        x: Array or tensor of images.
        preparation: `Preparation` of a model that normalizes.
        name: What takes them, for messages.
    """
    if not isinstance(x, np.ndarray):
        x = keras.ops.convert_to_numpy(x)
    check_prepared_dtype(x.dtype, name, preparation)
    PreparedCheck(preparation.value_range, name).add(x)
