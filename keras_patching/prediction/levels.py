"""The levels of a result: an image that is halved again and again."""

import contextlib
import math

import numpy as np

from keras_patching.prediction.row_file import RowFile

_BLOCK_BYTES = 2**25


class Levels:
    """The levels of a result, of which windows are read.

    Each is made of the one before, in a file beside the result that is removed
    in the end.

    Args:
        rows: What windows of the largest are read from.
        path: `pathlib.Path` that files are made beside.
        smallest: Length of both sides that the last level fits into.

    Attributes:
        shapes: Shape of each level, rows first, the largest first.
        dtype: Dtype of all.
    """

    def __init__(self, rows, path, smallest):
        self.dtype = rows.dtype
        self.shapes = [tuple(rows.shape)]
        while max(self.shapes[-1][:2]) > smallest:
            height, width, *rest = self.shapes[-1]
            self.shapes.append((-(-height // 2), -(-width // 2), *rest))
        self._path = path
        self._made = [rows]

    def __len__(self):
        return len(self.shapes)

    def __enter__(self):
        return self

    def __exit__(self, *details):
        for level in self._made[1:]:
            level.close()
            with contextlib.suppress(OSError):
                level.remove()

    def blocks(self, number, tile):
        """Yield `(y, x, block)` of a level, whole tiles but at its edges.

        Blocks are a tile high, and as wide as memory allows.
        """
        level = self._level(number)
        height, width, *rest = self.shapes[number]
        column = math.prod(rest) * self.dtype.itemsize * tile
        step = max(1, _BLOCK_BYTES // (column * tile)) * tile
        for y in range(0, height, tile):
            for x in range(0, width, step):
                count = min(tile, height - y), min(step, width - x)
                yield y, x, level.read(y, count[0], x, count[1])

    def tiles(self, number, tile):
        """Yield the tiles of a level, those of one channel after the other."""
        channels = self.shapes[number][2:]
        for channel in range(*channels) if channels else (None,):
            for _, _, block in self.blocks(number, tile):
                plane = block if channel is None else block[..., channel]
                for x in range(0, plane.shape[1], tile):
                    part = plane[:, x : x + tile]
                    missing = [(0, tile - length) for length in part.shape]
                    yield np.pad(part, missing)

    def _level(self, number):
        while len(self._made) <= number:
            self._made.append(self._halved(self._made[-1]))
        return self._made[number]

    def _halved(self, level):
        number = len(self._made)
        shape, whole = self.shapes[number], self.shapes[number - 1]
        name = f"{self._path.name}.level{number}"
        made = RowFile(self._path.with_name(name), ".npy", shape, self.dtype)
        made.begin()
        row_bytes = math.prod(whole[1:]) * self.dtype.itemsize
        step = 2 * max(1, _BLOCK_BYTES // (2 * row_bytes))
        for y in range(0, whole[0], step):
            count = min(step, whole[0] - y)
            made.write(halved(level.read(y, count)))
        return made


def halved(rows):
    """Halve an image: every second pixel of integers, means of floats.

    Args:
        rows: Array `(height, width, ...)`; of an odd length the last pixel
            stands for two.

    Returns:
        Array `(ceil(height / 2), ceil(width / 2), ...)` of the same dtype.
    """
    if rows.dtype.kind != "f":
        return np.ascontiguousarray(rows[::2, ::2])
    odd = [(0, length % 2) for length in rows.shape[:2]]
    rows = np.pad(rows, odd + [(0, 0)] * (rows.ndim - 2), mode="edge")
    mean = rows[::2].astype("float32" if rows.itemsize < 8 else "float64")
    mean = (mean + rows[1::2]) / 2
    mean = (mean[:, ::2] + mean[:, 1::2]) / 2
    return mean.astype(rows.dtype)
