"""Checks of what `fit`, `evaluate` and `predict` are given as images.

They come before dispatch, where Keras would tell less, or too late.
"""

import math
import os

from keras_patching.models.devices import check_batches
from keras_patching.models.processes import is_shared_already, own_share


def check_inputs(x, predictor, name):
    """Refuse what is not one array of images, where it is in memory.

    Args:
        x: What is given. What is neither an array nor a list, such as a
            generator, is not looked at.
        predictor: `PatchedPredictor` that is to take it.
        name: Name of the model, for messages.

    Raises:
        ValueError: Tells what was found and expected.
    """
    _check_no_files(x, name)
    if isinstance(x, (list, tuple)):
        raise ValueError(
            f"'{name}' takes one array of images. Stack images of one size, "
            "and pass those of different sizes to `predict_images`. "
            f"Received: a {type(x).__name__} of {len(x)}"
        )
    if hasattr(x, "shape"):
        _check_shape(tuple(x.shape), predictor, name)
        _check_numbers(x, name)


def checked_batches(batches, check, name=None):
    """Yield the batches of a generator, as tuples, each after a check.

    Args:
        batches: Generator of images, or of tuples that begin with them.
        check: Function that refuses images.
        name: Name of a model that predicts them, so that all must be of one
            size; `None` lets sizes differ.

    Raises:
        ValueError: If they are not of one size.
    """
    first = None
    for batch in batches:
        images = batch[0] if isinstance(batch, tuple) else batch
        check(images)
        shape = tuple(getattr(images, "shape", ()))
        first = first or shape
        if name is not None and shape[1:] != first[1:]:
            raise ValueError(
                f"'{name}' predicts images of one size at a time: their "
                "results come back as one array. Call `predict` for each "
                "image, `model.predict(image[None])`. Received: a batch of "
                f"shape {shape} after one of {first}"
            )
        yield batch if isinstance(batch, tuple) else (batch,)


def check_one_size(x, name):
    """Refuse a data set whose results would not be one array.

    Args:
        x: What is to be predicted.
        name: Name of the model, for messages.

    Raises:
        ValueError: If it gives each image in its own size.
    """
    if getattr(x, "image_size", ()) is None:
        raise ValueError(
            f"'{name}' predicts images of one size at a time: their results "
            "come back as one array. Make the sequence with same_size=True, "
            "or pass the files to `predict_images`. Received: same_size=False"
        )


def check_shared(x, batch_size, validation_split=0.0):
    """Refuse batches that the devices of a distribution cannot share."""
    if hasattr(x, "num_samples") and hasattr(x, "batch_size"):
        check_batches(
            x.num_samples,
            x.batch_size,
            getattr(x, "drop_remainder", False),
            own_share().count if is_shared_already(x) else 1,
        )
    elif hasattr(x, "shape"):
        # Keras rounds so when it splits arrays.
        count = math.floor(len(x) * (1 - validation_split))
        for part in (count, len(x) - count):
            check_batches(part, batch_size or 32)


def _check_no_files(x, name):
    """Say how files are predicted and trained on."""
    first = x[0] if isinstance(x, (list, tuple)) and len(x) else x
    if isinstance(first, (str, os.PathLike)):
        raise ValueError(
            f"'{name}' takes arrays, not paths. Predict the files of a folder "
            'with `keras_patching.inference.predict_files(model, ["folder"], '
            '"results")`, or one image with `model.predict(model.read_image('
            '"image.png")[None])`. Train on the data set that a loader of the '
            f"model gives, `model.load_...(...)`. Received: {x!r}"[:800]
        )


def _check_shape(shape, predictor, name):
    if len(shape) == 3:
        raise ValueError(
            f"'{name}' takes a batch of images, of shape (batch, height, "
            "width, channels). Pass one image as `image[None]`. "
            f"Received: shape={shape}"
        )
    channels = predictor.channels
    received = predictor._channels_last_shape(shape)
    if 0 in shape or channels not in (None, received[3]):
        raise ValueError(
            f"'{name}' takes images of shape (batch, height, width, channels) "
            f"with {channels or 'any number of'} channels "
            f'(data_format="{predictor.data_format}"), none of them empty. '
            f"Received: shape={shape}"
        )


def _check_numbers(images, name):
    kind = getattr(images.dtype, "kind", "f")  # of numpy; tensors hold numbers
    # The narrow floats of jax are of another kind to numpy.
    if kind not in "biuf" and "float" not in str(images.dtype):
        raise ValueError(
            f"'{name}' takes images of numbers. Received: dtype={images.dtype}"
        )
