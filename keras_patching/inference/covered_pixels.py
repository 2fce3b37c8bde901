"""How many pixels of some boxes lie in others, exactly and in bounded memory.

Boxes are integers `(n, 4)` of x1, y1, x2, y2, the ends exclusive. Their sides
cut the plane into cells, of which each lies in a box with all of its pixels or
with none. Cells are looked at some rows at a time.
"""

import numpy as np

# Cells that are looked at together: some 100 MB.
_MOST_CELLS = 2**22


def count_pixels(boxes, others=()):
    """Count the pixels that lie in any of some boxes, and of these in others.

    Args:
        boxes: Integers `(n, 4)`.
        others: Sequence of integers `(m, 4)`, several sets of boxes.

    Returns:
        List of integers: the number of pixels in `boxes`; and of these, for
        each of `others`, the number in any of its boxes.
    """
    sets = [np.asarray(each, int).reshape(-1, 4) for each in (boxes, *others)]
    ends = np.concatenate(sets)
    xs, ys = np.unique(ends[:, 0::2]), np.unique(ends[:, 1::2])
    counts = np.zeros(len(sets), int)
    if len(xs) < 2 or len(ys) < 2:
        return counts.tolist()
    # Numbers of the cells that a box begins and ends with.
    places = [
        np.stack(
            [
                np.searchsorted(cuts, each[:, side])
                for side, cuts in enumerate((xs, ys, xs, ys))
            ],
            axis=1,
        )
        for each in sets
    ]
    rows = max(_MOST_CELLS // len(xs), 1)
    for first in range(0, len(ys) - 1, rows):
        last = min(first + rows, len(ys) - 1)
        heights, widths = np.diff(ys[first : last + 1]), np.diff(xs)
        covered = [_cells(each, first, last, len(xs)) for each in places]
        counts += [
            int(heights @ (covered[0] & each) @ widths) for each in covered
        ]
    return counts.tolist()


def _cells(places, first, last, columns):
    """Tell which cells of some rows lie in boxes, `(rows, columns - 1)`."""
    left, top, right, bottom = places.T
    top, bottom = (np.clip(each, first, last) - first for each in (top, bottom))
    changes = np.zeros((last - first + 1, columns), "int32")
    np.add.at(changes, (top, left), 1)
    np.add.at(changes, (bottom, right), 1)
    np.add.at(changes, (top, right), -1)
    np.add.at(changes, (bottom, left), -1)
    sums = changes.cumsum(axis=0).cumsum(axis=1)
    return sums[:-1, :-1] > 0
