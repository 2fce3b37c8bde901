"""Arrays that are made while they are written, and never whole in memory.

What is cut, summed and written a piece at a time stays in the caches of the
processor, which is quicker than large arrays are.
"""

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator

import numpy as np

# What a core holds near to it, and writes at once.
_PIECE_BYTES = 2**20


@dataclasses.dataclass(frozen=True)
class Pieces:
    """An array of which there is a piece at a time.

    Attributes:
        shape: Shape of all of it.
        dtype: Its dtype.
        make: Function that begins anew, and gives its pieces: contiguous
            arrays whose bytes, one after the other, are those of the array. A
            piece may lie where the one before it was.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    make: Callable[[], Iterable[np.ndarray]]

    def __iter__(self) -> Iterator[np.ndarray]:
        return iter(self.make())


def rows_of_piece(shape, dtype, most):
    """Tell how many rows make a piece.

    Args:
        shape: Shape of a row.
        dtype: Its dtype.
        most: How many rows there are.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    return max(min(_PIECE_BYTES // max(size, 1), most), 1)


def pieces_of(array):
    """Give an array as one piece; what is in pieces stays as it is."""
    if isinstance(array, Pieces):
        return array
    array = np.ascontiguousarray(array)
    return Pieces(array.shape, array.dtype, lambda: [array])


def whole(array):
    """Put the pieces of an array together; an array stays as it is."""
    if not isinstance(array, Pieces):
        return array
    joined = np.empty(math.prod(array.shape), array.dtype)
    filled = 0
    for piece in array:
        joined[filled : filled + piece.size] = piece.reshape(-1)
        filled += piece.size
    return joined[:filled].reshape(array.shape)
