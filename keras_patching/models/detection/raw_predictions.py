"""What a detector predicts for the patches of images, not decoded yet.

Raw predictions are an array `(batch, rows, cols, *patch output)`, or a list or
a dict of them.
"""

import math

import keras

from keras_patching._checks import is_integer
from keras_patching.geometry import as_pair
from keras_patching.models.prediction_checks import (
    as_numpy,
    check_finite,
    check_predictions,
)

_MADE_BY = "`predict` of this model"


def check_raw(raw, patch_shape):
    """Return raw predictions as numpy, or refuse what a model does not give.

    Args:
        raw: Array or tensor, list or dict of them.
        patch_shape: Tuple, the shape of the output for one patch; `None` where
            it is not known.

    Returns:
        Numpy arrays in the same structure.

    Raises:
        ValueError: If shapes are others, or values are no finite numbers.
    """
    # Keras tells no shape of a dict of one output from that of an array.
    if patch_shape is not None and not isinstance(raw, dict):
        shape = "batch", "rows", "cols", *patch_shape
        return check_predictions(raw, shape, _MADE_BY)
    raw = keras.tree.map_structure(as_numpy, raw)
    outputs = keras.tree.flatten(raw)
    leading = {output.shape[:3] for output in outputs}
    if len(leading) != 1 or len(*leading) != 3:
        raise ValueError(
            "Predictions must be of shape (batch, rows, cols, *output of "
            f"the patch model), what {_MADE_BY} gives. Received: shapes "
            f"{[output.shape for output in outputs]}"
        )
    for output in outputs:
        check_finite(output, _MADE_BY)
    return raw


def grid_of(raw, image_size, predictor):
    """Return the `PatchGrid` of the images that raw predictions are of.

    Args:
        raw: As of `check_raw`.
        image_size: `(height, width)` in pixels. `None` will do where patches
            share nothing: their places do not depend on it.
        predictor: The `PatchedPredictor` that cut the images.

    Raises:
        ValueError: If images of this size have other patches.
    """
    _, rows, cols = keras.tree.flatten(raw)[0].shape[:3]
    image_size = _as_image_size(image_size, rows, cols, predictor)
    grid = predictor.patch_grid(image_size)
    if (grid.rows, grid.cols) == (rows, cols):
        return grid
    turned = predictor.patch_grid(image_size[::-1])
    hint = (
        " It is (height, width), and (width, height) would fit."
        if (turned.rows, turned.cols) == (rows, cols)
        else ""
    )
    raise ValueError(
        f"Images of {image_size} have {grid.rows} x {grid.cols} patches, and "
        f"the predictions are of {rows} x {cols}. Pass the size of the images "
        f"that were predicted, and the model as it was.{hint} Received: "
        f"image_size={image_size}, patch_size={predictor.patch_size}, "
        f"overlap={predictor.overlap}"
    )


def fold(raw):
    """Fold rows and columns of raw predictions, as numpy, into the batch."""
    return keras.tree.map_structure(
        lambda output: output.reshape(
            math.prod(output.shape[:3]), *output.shape[3:]
        ),
        raw,
    )


def _as_image_size(image_size, rows, cols, predictor):
    if image_size is None:
        if any(predictor.overlap) and rows * cols > 1:
            raise ValueError(
                "With an overlap, the places of patches depend on the size of "
                "the image: pass `image_size=(height, width)`. Received: "
                f"image_size=None, overlap={predictor.overlap}"
            )
        height, width = predictor.patch_size
        return rows * height, cols * width
    if not is_integer(image_size):
        image_size = tuple(image_size)
    image_size = as_pair(image_size, "image_size")
    if min(image_size) < 1:
        raise ValueError(
            "`image_size` must be (height, width) of at least one pixel each. "
            f"Received: image_size={image_size}"
        )
    return image_size
