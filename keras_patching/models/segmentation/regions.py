"""Connected regions of a map of classes that comes in bands of rows.

Pixels of one class are connected where they share a side, as those that
`scipy.ndimage.label` connects; pixels of two classes never are. A band becomes
runs of equal pixels of a row. Runs that touch, and the regions that reach down
to the row above the band, are the nodes of a graph: its components are the
regions so far. Of each a row of numbers is kept, so memory grows with the
regions, and not with the map.
"""

import dataclasses

import numpy as np

# Columns of what is the least of that of the parts of a region: last rows and
# columns are negative, and all parts are of one class.
_CLASS, _NAME, _Y1, _X1, _Y2, _X2 = range(6)
# Columns of what is added up.
_AREA, _SUM_Y, _SUM_X, _RUNS, _JOINTS = range(5)
_NO_NAME = np.iinfo("int64").max


@dataclasses.dataclass(frozen=True)
class Regions:
    """The regions of a whole map, in the order of their first pixels.

    Attributes:
        classes: int64 `(n,)`.
        boxes: int64 `(n, 4)`, xyxy in pixels; pixel `i` reaches from `i` to
            `i + 1`.
        areas: int64 `(n,)`, pixels.
        centers: float64 `(n, 2)`, `(y, x)`: the mean of the centers of pixels.
        sides: int64 `(n, 2)`, how many sides of pixels lie between a region
            and what is not of it, those of holes and at the border of the map
            included: upright ones, as long as a pixel is high, and level ones,
            as long as it is wide.
    """

    classes: np.ndarray
    boxes: np.ndarray
    areas: np.ndarray
    centers: np.ndarray
    sides: np.ndarray


class RegionFinder:
    """Finds the regions of a map, band by band.

    They are the same whatever the heights of the bands.

    Args:
        width: Width of the map in pixels.
        background: Classes that have no regions.
    """

    def __init__(self, width, background=(0,)):
        self._background = list(background)
        self._height = 0
        # The last row, and of each run in it which open region it is of.
        self._last, self._last_nodes = np.empty((0, width), "uint8"), []
        # Open are those that reach the last row, in the order of their names.
        self._open = np.empty((0, 6), "int64"), np.empty((0, 5), "int64")
        self._closed = []
        # Names that were given, and which of them stand for which others.
        self._num_names, self._joined = 0, []

    def add(self, band):
        """Take the next rows.

        Args:
            band: Integers `(rows, width)`, the class of each pixel.

        Returns:
            Lengths of the runs of equal pixels, row by row, and the name that
            the region of each has so far, from 1 on; 0 is the background.
        """
        runs = _Runs(np.concatenate([self._last, band]))
        is_new = runs.y >= len(self._last)
        is_object = ~np.isin(runs.classes, self._background)
        new = np.flatnonzero(is_new & is_object)
        nodes = np.full(len(is_new), -1)
        nodes[~is_new] = self._last_nodes
        nodes[new] = np.arange(len(new)) + len(self._open[0])

        first_row = self._height - len(self._last)
        lows, sums = (
            np.concatenate([old, found])
            for old, found in zip(
                self._open, runs.measured(new, first_row), strict=True
            )
        )
        upper, lower, shared = runs.touching(is_object)
        parts = _components(nodes[upper], nodes[lower], len(lows))
        lows, sums = _merged(parts, lows, sums)
        np.add.at(sums[:, _JOINTS], parts[nodes[upper]], shared)

        self._give_names(lows, parts)
        # What is of no node, and so of no region, has the name 0.
        names = np.append(lows[:, _NAME] + 1, 0)[np.append(parts, -1)[nodes]]
        self._height += len(band)
        self._last = band[-1:].copy()
        self._keep_open(lows, sums, parts, nodes[runs.y == runs.y[-1]])
        return runs.lengths[is_new], names[is_new]

    def _give_names(self, lows, parts):
        """Name new regions, and note which names stand for others now."""
        is_new = lows[:, _NAME] == _NO_NAME
        count = int(is_new.sum())
        lows[is_new, _NAME] = np.arange(count) + self._num_names
        self._num_names += count
        before = self._open[0][:, _NAME]
        now = lows[parts[: len(before)], _NAME]
        is_other = before != now
        self._joined.append((before[is_other], now[is_other]))

    def _keep_open(self, lows, sums, parts, last_nodes):
        """Put regions away that do not reach the last row."""
        is_open = np.zeros(len(lows), bool)
        is_open[parts[last_nodes[last_nodes >= 0]]] = True
        self._closed.append((lows[~is_open], sums[~is_open]))
        self._open = lows[is_open], sums[is_open]
        places = np.append(np.cumsum(is_open) - 1, -1)
        self._last_nodes = places[np.append(parts, -1)[last_nodes]]

    def finish(self):
        """Give the `Regions`; no more rows can be added."""
        lows, sums = map(
            np.concatenate, zip(*self._closed, self._open, strict=True)
        )
        self._closed = self._open = None
        order = np.argsort(lows[:, _NAME])
        lows, sums = lows[order], sums[order]
        self._names = lows[:, _NAME]
        area = sums[:, _AREA]
        places = sums[:, [_SUM_Y, _SUM_X]] / area[:, None]
        level = 2 * (area - sums[:, _JOINTS])
        return Regions(
            classes=lows[:, _CLASS],
            boxes=lows[:, [_X1, _Y1, _X2, _Y2]] * (1, 1, -1, -1),
            areas=area,
            centers=places + 0.5,
            sides=np.stack([2 * sums[:, _RUNS], level], axis=-1),
        )

    def numbers(self):
        """Give the number of the region that each name stands for, at last.

        Returns:
            uint32 array: at 0 that of the background, 0, and at each name from
            1 on a number from 1 on, the place of the region in the `Regions`.
        """
        stands_for = np.arange(self._num_names)
        for names, others in self._joined:
            stands_for[names] = others
        while not np.array_equal(then := stands_for[stands_for], stands_for):
            stands_for = then
        numbers = np.searchsorted(self._names, stands_for) + 1
        return np.append(0, numbers).astype("uint32")


class _Runs:
    """Runs of equal pixels in the rows of an array.

    Attributes:
        y, x: Of their first pixels.
        lengths: Pixels of each.
        classes: Of their pixels.
    """

    def __init__(self, rows):
        self._rows = rows
        self._begins = np.ones(rows.shape, bool)
        self._begins[:, 1:] = rows[:, 1:] != rows[:, :-1]
        flat = np.flatnonzero(self._begins)
        self.y, self.x = np.divmod(flat, rows.shape[1])
        self.lengths = np.diff(flat, append=rows.size)
        self.classes = rows.ravel()[flat]

    def touching(self, is_object):
        """Give the upper and the lower of two runs, and what they share.

        Args:
            is_object: Of each run whether it is one of an object.
        """
        rows, begins = self._rows, self._begins
        # Where two touch first, one of them begins.
        first = (rows[1:] == rows[:-1]) & (begins[1:] | begins[:-1])
        run_of = np.cumsum(begins).reshape(rows.shape) - 1
        upper, lower = run_of[:-1][first], run_of[1:][first]
        wanted = is_object[upper]
        upper, lower = upper[wanted], lower[wanted]
        ends = self.x + self.lengths
        shared = np.minimum(ends[upper], ends[lower]) - np.maximum(
            self.x[upper], self.x[lower]
        )
        return upper, lower, shared

    def measured(self, chosen, first_row):
        """Give the columns of some runs, the first row being `first_row`."""
        y, x = self.y[chosen] + first_row, self.x[chosen]
        lengths, ones = self.lengths[chosen], np.ones_like(chosen)
        lows = [
            self.classes[chosen].astype("int64"),
            ones * _NO_NAME,
            y,
            x,
            -(y + 1),
            -(x + lengths),
        ]
        sum_x = x * lengths + lengths * (lengths - 1) // 2
        sums = [lengths, y * lengths, sum_x, ones, ones * 0]
        return np.stack(lows, axis=-1), np.stack(sums, axis=-1)


def _components(one, other, count):
    """Number the components of a graph in the order of their first nodes."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not count:
        return np.empty(0, "int64")
    joints = coo_array((np.ones(len(one), bool), (one, other)), (count, count))
    _, labels = connected_components(joints, directed=False)
    _, first, labels = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[labels]


def _merged(parts, lows, sums):
    """Merge the rows of nodes that are parts of one component."""
    if not len(parts):
        return lows, sums
    order = np.argsort(parts, kind="stable")
    begins = np.flatnonzero(np.diff(parts[order], prepend=-1))
    return (
        np.minimum.reduceat(lows[order], begins),
        np.add.reduceat(sums[order], begins),
    )
