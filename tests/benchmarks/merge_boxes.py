"""How long does it take to merge the boxes of all patches of an image?

Patches of 448x448 that share 64 pixels, boxes of 20 to 60 pixels. "Spread out"
are boxes of one density over an image that grows with their number; "on
objects" are the same, a hundred for each object, as a detector says them before
suppression. `own_boxes` keeps those whose centre the patch owns;
`suppress_in_image` is given all of them, as a harder case. Seconds are
those of one core, without what other programs take of it; the best of many
runs counts. The bars: 100,000 spread-out boxes take less than 1 s, and no more
than `n log n` from one number of boxes to the next (a ratio of 1; 1.5 is
allowed for memory that does not fit a cache).

    python tests/benchmarks/merge_boxes.py [--repeats 7]
"""

import argparse
import time

import numpy as np

from keras_patching.geometry import PatchGrid
from keras_patching.models.detection.merging import (
    own_boxes,
    suppress_in_image,
)

COUNTS = (1_000, 10_000, 100_000)
PIXELS_PER_BOX = 50 * 50
BAR_SECONDS, BAR_RATIO = 1.0, 1.5


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    repeats = parser.parse_args().repeats
    print(
        f"{'boxes':>12} {'number':>8} {'own':>8} {'suppress':>9} {'sum, s':>8} "
        f"{'kept':>7} {'to n log n':>11}"
    )
    for name, copies in (("spread out", 1), ("on objects", 100)):
        before = None
        for count in COUNTS:
            elapsed = measure(name, count, copies, before, repeats)
            before = count, elapsed


def measure(name, count, copies, before, repeats):
    grid, boxes, rows, cols, scores = draw(count, copies)
    labels = np.zeros(count, int)
    origins = np.array(grid.origins)[rows * grid.cols + cols][:, [1, 0, 1, 0]]
    placed = boxes + origins
    own = best(lambda: own_boxes(boxes, rows, cols, grid), repeats)
    suppress = best(
        lambda: suppress_in_image(placed, scores, labels, 0.5), repeats
    )
    kept = len(suppress_in_image(placed, scores, labels, 0.5))
    elapsed = own + suppress
    verdict = ratio = ""
    if before:
        growth = count * np.log(count) / (before[0] * np.log(before[0]))
        ratio = elapsed / before[1] / growth
        if copies == 1:
            verdict = "holds" if ratio <= BAR_RATIO else "MISSED"
        ratio = f"{ratio:.2f}"
    if copies == 1 and count == COUNTS[-1] and elapsed >= BAR_SECONDS:
        verdict = "MISSED"
    print(
        f"{name:>12} {count:>8} {own:>8.4f} {suppress:>9.4f} {elapsed:>8.4f} "
        f"{kept:>7} {ratio:>11}   {verdict}",
        flush=True,
    )
    return elapsed


def draw(count, copies):
    """Return a grid, and boxes with the patches that say them."""
    rng = np.random.default_rng(0)
    side = int(np.sqrt(count * PIXELS_PER_BOX))
    grid = PatchGrid((side, side), 448, overlap=64)
    rows = rng.integers(0, grid.rows, count // copies)
    cols = rng.integers(0, grid.cols, count // copies)
    sizes = rng.uniform(20, 60, (count // copies, 2))
    corners = rng.uniform(0, 448 - sizes)
    boxes = np.hstack([corners, corners + sizes])
    boxes, rows, cols = (
        np.repeat(v, copies, axis=0) for v in (boxes, rows, cols)
    )
    if copies > 1:
        boxes = boxes + rng.normal(0, 2, boxes.shape)
    return grid, boxes, rows, cols, rng.random(count)


def best(function, repeats):
    """Return the fewest seconds of so many runs."""
    elapsed = []
    for _ in range(repeats):
        start = time.process_time()
        function()
        elapsed.append(time.process_time() - start)
    return min(elapsed)


if __name__ == "__main__":
    main()
