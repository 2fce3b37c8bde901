"""Blocks of an image, each of one part of a data set.

Windows are integers `(n, 4)` of y1, x1, y2, x2 in pixels of the image, the ends
exclusive. All is counted by cuts between blocks, never by pixels.
"""

import dataclasses
import functools
import hashlib
import itertools
import math

import numpy as np

TRAINING, VALIDATION, TEST, LEFT_OUT = 0, 1, 2, -1

# Share of the patches beside validation that guards take, at the most, where
# the size of blocks is chosen; and how far a part is from what was wanted.
_LOST = _APART = 0.25
# Between one size that is tried and the next.
_STEP = 2**0.5
# Blocks of an image that are tried, unless there are to be more.
_MOST_BLOCKS = 64**2
# Origins along an axis by which patches that lie anywhere are stood for.
_ORIGINS_PER_PATCH = 4


@dataclasses.dataclass(frozen=True)
class Blocks:
    """Which block of an image is of which part.

    Attributes:
        ys, xs: Integers `(rows + 1,)` and `(cols + 1,)`, where blocks begin,
            and the height or width of the image.
        parts: Integers `(rows, cols)`: `TRAINING`, `VALIDATION` or `TEST`.
        guard: `(height, width)` in pixels.
    """

    ys: np.ndarray
    xs: np.ndarray
    parts: np.ndarray
    guard: tuple[int, int]

    def parts_of(self, windows):
        """Tell which part each window is of.

        A window is of validation, or test, where it lies in blocks of these;
        of test only where it is as far as the guard from blocks of validation;
        and of training where it is as far from both. So no pixel of a window
        of one part has one of another within `guard` pixels along both axes.

        Args:
            windows: Integers `(n, 4)` inside of the image.

        Returns:
            Integers `(n,)`: parts, or `LEFT_OUT`.
        """
        height, width = self.guard
        grown = windows + np.array([-height, -width, height, width])
        size = np.array([self.ys[-1], self.xs[-1]] * 2)
        grown = np.clip(grown, 0, size)
        first, last = self._blocks_of(windows)
        all_blocks = (last - first).prod(axis=1)
        near_validation = self._count(grown, VALIDATION) > 0
        near_test = self._count(grown, TEST) > 0
        is_validation = self._count(windows, VALIDATION) == all_blocks
        is_test = self._count(windows, TEST) == all_blocks
        return np.select(
            [is_validation, is_test & ~near_validation, near_validation],
            [VALIDATION, TEST, LEFT_OUT],
            np.where(near_test, LEFT_OUT, TRAINING),
        )

    def turns(self, axis, length):
        """Give where windows may begin to be of another part.

        Args:
            axis: 0 for y, 1 for x.
            length: Length of the windows along it, in pixels.

        Returns:
            Sorted integers: windows of that length are of the same part
            wherever they begin from one of them to before the next.
        """
        cuts, guard = (self.ys, self.xs)[axis], self.guard[axis]
        ends = cuts - length + 1
        return np.unique([cuts, cuts + guard, ends, ends - guard])

    def _blocks_of(self, windows):
        """Give the first block of each window, and the end of its blocks."""
        first, last = (
            np.stack(
                [
                    np.searchsorted(cuts, windows[:, axis] + add, "right")
                    for axis, cuts in ((i, self.ys), (i + 1, self.xs))
                ],
                axis=1,
            )
            for i, add in ((0, 0), (2, -1))
        )
        return first - 1, last

    def _count(self, windows, part):
        """Count the blocks of a part that windows share pixels with."""
        sums = np.zeros(np.add(self.parts.shape, 1), int)
        sums[1:, 1:] = (self.parts == part).cumsum(axis=0).cumsum(axis=1)
        (top, left), (bottom, right) = (
            each.T for each in self._blocks_of(windows)
        )
        return (
            sums[bottom, right]
            - sums[top, right]
            - sums[bottom, left]
            + sums[top, left]
        )


@functools.lru_cache(maxsize=1024)
def draw_blocks(
    image_size, patch_size, shares, guard, key, block_size=None, is_tiled=True
):
    """Divide an image into blocks, and draw which are of which part.

    It is found once for all sequences of the parts: do not write to it.

    Without a `block_size` blocks are as small as they can be while guards
    take at most a quarter of the patches beside validation, and validation is
    nearly as large as wanted; where there are none such, so that both are
    missed by least.

    Args:
        image_size: `(height, width)` in pixels.
        patch_size: `(height, width)` in pixels.
        shares: Fraction of the image that is for validation, and the same of
            test where there is one.
        guard: `(height, width)` in pixels.
        key: Text that everything is drawn from.
        block_size: Wanted `(height, width)` in pixels.
        is_tiled: Whether patches tile the image, so that blocks are of whole
            ones; else they lie anywhere.

    Returns:
        `Blocks`; `None` where the image is too small for blocks of all parts
        with patches of validation and of training.
    """
    windows = _usual_windows(image_size, patch_size, is_tiled)
    best = None
    for ys, xs in _divisions(image_size, patch_size, block_size, is_tiled):
        parts = _draw_parts(ys, xs, shares, key)
        # Validation does not depend on whether there is a test.
        found = Blocks(ys, xs, np.where(parts == TEST, 0, parts), guard)
        counts = np.bincount(found.parts_of(windows) + 1, minlength=3)
        lost, training, validation = counts.tolist()
        if not training or not validation:
            continue
        share = _areas(ys, xs)[parts == VALIDATION].sum() / math.prod(
            image_size
        )
        misses = lost / (lost + training), abs(share / shares[0] - 1)
        blocks = Blocks(ys, xs, parts, guard)
        if misses[0] <= _LOST and misses[1] <= _APART:
            return blocks
        if best is None or sum(misses) < best[0]:
            best = sum(misses), blocks
    return best and best[1]


def _usual_windows(image_size, patch_size, is_tiled):
    """Give windows that stand for those of the patches of an image."""
    axes = []
    for length, patch in zip(image_size, patch_size, strict=True):
        if is_tiled:
            origins = np.arange(0, length, patch)
        else:
            step = max(patch // _ORIGINS_PER_PATCH, 1)
            origins = np.arange(0, max(length - patch, 0) + 1, step)
        axes.append((origins, np.minimum(origins + patch, length)))
    (y1, y2), (x1, x2) = axes
    sides = np.meshgrid(y1, x1, indexing="ij")
    sides += np.meshgrid(y2, x2, indexing="ij")
    return np.stack([side.ravel() for side in sides], axis=1)


def _divisions(image_size, patch_size, block_size, is_tiled):
    """Yield cuts along y and x, those of small blocks first.

    There are at least three blocks: one for each part.
    """
    if block_size is not None:
        wanted, most = [block_size], math.inf
    else:
        longest = max(np.divide(image_size, patch_size))
        count = math.ceil(math.log(max(longest, 1), _STEP)) + 1
        wanted = [np.multiply(patch_size, _STEP**i) for i in range(count)]
        most = _MOST_BLOCKS
    before = None
    for size in wanted:
        cuts = [
            _cuts(*axis, is_tiled)
            for axis in zip(image_size, patch_size, size, strict=True)
        ]
        shape = tuple(len(each) - 1 for each in cuts)
        if 3 <= math.prod(shape) <= most and shape != before:
            yield cuts
        before = shape


def _cuts(length, patch, block, is_tiled):
    unit = patch if is_tiled else 1
    units = (length + unit - 1) // unit
    count = min(max(round(units * unit / block), 1), units)
    cuts = np.array([i * units // count for i in range(count + 1)]) * unit
    return np.minimum(cuts, length)


def _areas(ys, xs):
    return np.multiply.outer(np.diff(ys), np.diff(xs))


def _draw_parts(ys, xs, shares, key):
    """Draw blocks until each part is as large as it can nearly be."""
    areas = _areas(ys, xs)
    parts = np.zeros(areas.shape, int)
    left = sorted(
        itertools.product(*map(range, areas.shape)),
        key=lambda place: hashlib.sha256(f"{key}\0{place}".encode()).digest(),
    )
    for number, share in enumerate(shares):
        # One is left for each part after it, also where there is no test.
        sums = np.cumsum([areas[place] for place in left[: number - 2]])
        apart = np.abs(sums - share * areas.sum())
        count = int(np.argmin(apart)) + 1
        for place in left[:count]:
            parts[place] = number + 1
        left = left[count:]
    return parts
