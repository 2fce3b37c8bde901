"""Outlines of numbered regions, along the sides of pixels.

They are found in a map that comes in bands of rows, exactly as in the whole.
Level sides that lie in one line are collected, until a region has ended; they
alone tell where its upright ones are. Memory grows with the outlines of regions
that have begun and not ended.
"""

import numpy as np


class OutlineTracer:
    """Traces the outlines of regions, band by band.

    Args:
        width: Width of the map in pixels.
        ends: Of the regions 1, 2 and so on, the rows after their last.
    """

    def __init__(self, width, ends):
        self._ends = np.concatenate([[0], ends])
        self._last = np.zeros((1, width), "uint32")
        self._height = 0
        # Columns number, y, x1, x2, and whether it is a lower side.
        self._sides = np.empty((0, 5), "int64")

    def add(self, band):
        """Take the next rows.

        Args:
            band: Integers `(rows, width)`, the numbers of connected regions, 0
                for the background.

        Returns:
            List of `(number, rings)` of the regions that have ended, in the
            order of their numbers. Rings are int64 `(points, 2)` of `(y, x)`,
            corners of pixels, each once: first the outer one, in which x grows
            at the top, then those of holes, in the other direction. No ring
            comes to a point twice; two of them may have one in common.
        """
        rows = np.concatenate([self._last, band])
        self._last = rows[-1:].copy()
        sides = [self._sides, *_level_sides(rows, self._height)]
        self._height += len(band)
        sides = np.concatenate(sides)
        has_ended = self._ends[sides[:, 0]] < self._height
        self._sides = sides[~has_ended]
        return _traced(sides[has_ended])

    def finish(self):
        """Give those that reach the last row; as `add`."""
        return self.add(np.zeros_like(self._last))


def _level_sides(rows, y):
    """Give upper and lower sides below the first row, which is that above y."""
    above, below = rows[:-1], rows[1:]
    differs = above != below
    for is_lower, numbers in enumerate((below, above)):
        numbers = np.where(differs, numbers, 0)
        changes = np.ones((len(numbers), numbers.shape[1] + 1), bool)
        changes[:, 1:-1] = numbers[:, 1:] != numbers[:, :-1]
        is_side = numbers != 0
        line, first = np.nonzero(changes[:, :-1] & is_side)
        _, last = np.nonzero(changes[:, 1:] & is_side)
        found = numbers[line, first].astype("int64")
        lower = np.full_like(line, is_lower)
        yield np.stack([found, line + y, first, last + 1, lower], axis=-1)


def _traced(sides):
    """Link the level sides of whole regions to rings; as `add`."""
    if not len(sides):
        return []
    # The first side of each is at the top, and so of the outer ring.
    sides = sides[np.lexsort((sides[:, 2], sides[:, 1], sides[:, 0]))]
    number, y, x1, x2, is_lower = sides.T
    # A region is to the right of where a ring goes.
    begins, ends = np.where(is_lower, (x2, x1), (x1, x2))
    follows = _following(number, y, begins, ends, is_lower)
    points = np.stack([y, begins, y, ends], axis=-1).reshape(-1, 2, 2)
    found = []
    for ring in _cycles(follows.tolist()):
        owner, corners = number[ring[0]], points[ring].reshape(-1, 2)
        if not found or found[-1][0] != owner:
            found.append((int(owner), []))
        found[-1][1].append(corners)
    return found


def _following(number, y, begins, ends, is_lower):
    """Tell which level side each leads to, by an upright one.

    In a column of a region, two corners after each other are those of an
    upright side. Where two pixels of it meet at a corner only, rings turn so
    as to join them: no ring comes there twice, as the pixels are connected
    elsewhere. The upper one of the upright sides is then of the corner of an
    upper side, the other of that of a lower side.
    """
    count = len(y)
    x = np.concatenate([begins, ends])
    number, y, is_lower = (np.tile(each, 2) for each in (number, y, is_lower))
    order = np.lexsort((is_lower, y, x, number))
    partner = np.empty(2 * count, "int64")
    partner[order[::2]], partner[order[1::2]] = order[1::2], order[::2]
    return partner[count:]


def _cycles(follows):
    """Yield the cycles of a permutation, each from its least place on."""
    is_seen = bytearray(len(follows))
    for place in range(len(follows)):
        cycle = []
        while not is_seen[place]:
            is_seen[place] = 1
            cycle.append(place)
            place = follows[place]
        if cycle:
            yield cycle
