"""Finds the boxes that may share pixels, without comparing all pairs.

Boxes are `x1, y1, x2, y2` in pixels.
"""

import itertools

import numpy as np

# Pairs of boxes that are looked at together: some 150 MB.
_MOST_PAIRS = 1_000_000


class Neighbours:
    """Pairs of a box and another of its class that may share pixels.

    The plane is cut into strips along x, about as high as a box. A box lies in
    all strips that it touches; its neighbours are the others in these strips
    whose left side is between its own two sides. Where two boxes share pixels,
    one of them is so a neighbour of the other. A pair that shares two strips
    comes twice.

    Each class has strips of its own, and strips hold their boxes from left to
    right: all strips are one sorted array, and neighbours are a range of it.

    Args:
        boxes: float64 `(n, 4)`, at least one here or in `others`.
        classes: Integer array `(n,)`, from 0.
        others: float64 `(m, 4)`; the same as `boxes` for pairs among them.
        other_classes: Integer array `(m,)`.
    """

    def __init__(self, boxes, classes, others, other_classes):
        strips = _Strips(np.concatenate([boxes, others]))
        self.box, strip = strips.of(boxes, classes)
        self.other, other_strip = strips.of(others, other_classes)
        lefts = np.sort(others[:, 0])
        # Whole numbers, since sums of floats would round positions.
        scale = len(lefts) + 1
        rank = np.searchsorted(lefts, others[:, 0])
        position = other_strip * scale + rank[self.other]
        order = np.argsort(position)
        self.other, position = self.other[order], position[order]
        first, last = np.searchsorted(lefts, boxes[:, 0::2].T)
        self.start, end = (
            np.searchsorted(position, strip * scale + rank[self.box])
            for rank in (first, last)
        )
        self.count = np.maximum(end - self.start, 0)

    @property
    def is_one_chunk(self):
        """Whether the pairs are few enough to be looked at together."""
        return int(self.count.sum()) <= _MOST_PAIRS

    def pairs(self, part):
        """Return two index arrays: a box, and the other, of each pair.

        Args:
            part: Slice of `self.box`.
        """
        count = self.count[part]
        first_pair = np.cumsum(count) - count
        offset = np.arange(count.sum()) - np.repeat(first_pair, count)
        others = self.other[np.repeat(self.start[part], count) + offset]
        return np.repeat(self.box[part], count), others

    def chunks(self):
        """Yield all pairs, about `_MOST_PAIRS` at a time."""
        chunk = np.cumsum(self.count) // _MOST_PAIRS
        borders = np.flatnonzero(np.diff(chunk, prepend=-1, append=-1))
        for start, end in itertools.pairwise(borders.tolist()):
            yield self.pairs(slice(start, end))


class _Strips:
    """Strips along x of equal height, numbered from the top, per class.

    They are as high as the mean box, so that a box touches three at the most,
    on average; and higher where they would outnumber the boxes.
    """

    def __init__(self, boxes):
        self.top, bottom = boxes[:, 1].min(), boxes[:, 3].max()
        mean = (boxes[:, 3] - boxes[:, 1]).mean()
        self.height = max(mean, (bottom - self.top) / len(boxes)) or 1.0
        self.count = int(self._number(bottom)) + 1

    def _number(self, y):
        return np.floor((y - self.top) / self.height).astype(int)

    def of(self, boxes, classes):
        """Return two arrays: the index of a box, and a strip it touches."""
        first, last = self._number(boxes[:, 1]), self._number(boxes[:, 3])
        touched = np.maximum(last - first, 0) + 1
        first_entry = np.cumsum(touched) - touched
        index = np.repeat(np.arange(len(boxes)), touched)
        strip = classes * self.count + first - first_entry
        return index, strip[index] + np.arange(len(index))
