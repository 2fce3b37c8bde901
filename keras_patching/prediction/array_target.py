"""Results that are written into an array of the user's."""

import numpy as np


class ArrayTarget:
    """An array that takes the rows of a result.

    What a killed run has written into it is not known: there is no record.

    Args:
        array: Object with `shape` and item assignment: array, memory map, zarr
            array, h5py data set.
        shape: Shape of the result, rows first.
        dtype: Its dtype.
        name: Name of the image, for messages.

    Attributes:
        rows_done, missing: 0 and `None`.
        is_done: Whether all is written.

    Raises:
        ValueError: If the array has another shape, cannot be written, or
            cannot hold the dtype.
        TypeError: If it is no such object.
    """

    rows_done, missing = 0, None

    def __init__(self, array, shape, dtype, name):
        if not hasattr(array, "shape") or not hasattr(array, "__setitem__"):
            raise TypeError(
                "`out` must be a path, or an array with `shape` and item "
                f"assignment, for each image. Received: {type(array)} for "
                f"{name}"
            )
        _check_holds(array, shape, dtype, name)
        self._array = array
        self.is_done = False

    def write(self, y, band):
        """Write rows `(rows, ...)`, the first of them at row `y`."""
        self._array[y : y + len(band)] = band

    def finish(self):
        """Let it write what it holds back; gives the array."""
        flush = getattr(self._array, "flush", None)
        if callable(flush):
            flush()
        self.is_done = True
        return self._array

    def abandon(self):
        """Leave the array with the rows that are written."""

    def forget(self):
        """Do nothing: there is no record."""


def _check_holds(array, shape, dtype, name):
    found = np.dtype(getattr(array, "dtype", dtype))
    # Floats may be rounded; integers would wrap.
    casting = "same_kind" if dtype.kind == "f" else "safe"
    if tuple(array.shape) != shape or not np.can_cast(dtype, found, casting):
        raise ValueError(
            f"`out` for {name} must hold the result, {shape} of {dtype}. "
            f"Received: shape={tuple(array.shape)}, dtype={found}"
        )
    if isinstance(array, np.ndarray) and not array.flags.writeable:
        raise ValueError(
            f"`out` for {name} is read-only. Pass an array that can be "
            "written (a memory map of mode 'r+')."
        )
