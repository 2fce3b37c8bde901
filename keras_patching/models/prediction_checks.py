"""Checks of what is passed as the prediction of a model."""

import numpy as np
from keras import ops

# How far float16 and bfloat16 may round a probability beyond 0 and 1.
PROBABILITY_ROUNDING = 0.01


def check_predictions(predictions, shape, made_by):
    """Return predictions as an array, or refuse what a model does not give.

    Args:
        predictions: Array or tensor.
        shape: Tuple of the names of its axes; an integer is a length that an
            axis must have.
        made_by: What gives such an array, for the error.

    Returns:
        Numpy array.

    Raises:
        ValueError: If the rank or a length is another, or values are no
            finite numbers.
    """
    array = as_numpy(predictions)
    expected = "(" + ", ".join(map(str, shape)) + ")"
    lengths = zip(array.shape, shape, strict=False)
    if len(array.shape) != len(shape) or any(
        isinstance(length, int) and found != length for found, length in lengths
    ):
        hint = _describe_missing_batch(array.shape, shape)
        raise ValueError(
            f"Predictions must be of shape {expected}, what {made_by} gives."
            f"{hint} Received: shape {array.shape}"
        )
    check_finite(array, made_by)
    return array


def check_finite(array, made_by):
    """Refuse values that are not numbers: nothing can be told from them.

    Raises:
        ValueError: If there are any, or the dtype is not one of numbers.
    """
    if array.dtype.kind in "biu":
        return
    if array.dtype.kind == "f" or "float" in str(array.dtype):
        # One pass without a copy: a sum is NaN if any value is.
        with np.errstate(over="ignore", invalid="ignore"):
            total = array.sum(dtype="float64")
        if np.isfinite(total):
            return
        count = int(np.count_nonzero(~np.isfinite(array.astype("float32"))))
        if count == 0:
            return
        raise ValueError(
            f"Predictions must be finite numbers, what {made_by} gives after "
            "a training that went well; a loss that is not a number, or the "
            "learning rate, may tell why they are not. "
            f"Received: {count} of {array.size} values are NaN or infinite"
        )
    raise ValueError(
        f"Predictions must be numbers, what {made_by} gives. "
        f"Received: dtype={array.dtype}"
    )


def as_numpy(predictions):
    """Return an array or a tensor as a numpy array.

    Raises:
        ValueError: If it is neither.
    """
    if isinstance(predictions, np.ndarray):
        return predictions
    if isinstance(predictions, (str, dict)) or predictions is None:
        raise ValueError(
            "Predictions must be an array, what `predict` gives. "
            f"Received: a {type(predictions).__name__}"
        )
    try:
        return np.asarray(ops.convert_to_numpy(predictions))
    except (TypeError, ValueError) as error:
        raise ValueError(
            "Predictions must be one array, what `predict` gives for images of "
            f"one size. Received: a {type(predictions).__name__}"
        ) from error


def _describe_missing_batch(found, shape):
    if len(found) == len(shape) - 1:
        return " Pass that of one image as `predictions[None]`."
    return ""
