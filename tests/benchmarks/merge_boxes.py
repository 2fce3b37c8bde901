"""How long does it take to merge the boxes of all patches of an image?

Patches of 448x448 that share 64 pixels, boxes of 20 to 60 pixels. "Spread out"
are boxes of one density over an image that grows with their number; "on
objects" are the same, a hundred for each object, as a detector says them before
suppression. `place_boxes` tells whose center the patch owns;
`non_max_suppression` is given all of them, as a harder case; and `merge` does
all of it, with the search for boxes of different patches that are one. Seconds
are those of one core, without what other programs take of it; the best of many
runs counts. The bars: 100,000 spread-out boxes take less than 1 s, and no more
than `n log n` from one number of boxes to the next (a ratio of 1; 1.5 is
allowed for memory that does not fit a cache).

    python tests/benchmarks/merge_boxes.py [--repeats 7]
"""

import argparse
import time

import numpy as np

from keras_patching.geometry import PatchGrid
from keras_patching.models.detection.merging import merge, place_boxes
from keras_patching.models.detection.non_max_suppression import (
    non_max_suppression,
)

COUNTS = (1_000, 10_000, 100_000)
PIXELS_PER_BOX = 50 * 50
BAR_SECONDS, BAR_RATIO = 1.0, 1.5


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    repeats = parser.parse_args().repeats
    print(
        f"{'boxes':>12} {'number':>8} {'place':>8} {'suppress':>9} "
        f"{'sum, s':>8} {'kept':>7} {'to n log n':>11} {'merge, s':>9}"
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
    place = best(lambda: place_boxes(boxes, rows, cols, grid), repeats)
    suppress = best(
        lambda: non_max_suppression(placed, scores, labels, 0.5), repeats
    )
    kept = len(non_max_suppression(placed, scores, labels, 0.5))
    elapsed = place + suppress
    detections = by_patch(grid, boxes, rows, cols, scores)
    merged = best(lambda: merge(detections, grid), repeats)
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
        f"{name:>12} {count:>8} {place:>8.4f} {suppress:>9.4f} {elapsed:>8.4f} "
        f"{kept:>7} {ratio:>11} {merged:>9.4f}   {verdict}",
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


def by_patch(grid, boxes, rows, cols, scores):
    """Arrange boxes as a model gives them, the same number for each patch."""
    patch = rows * grid.cols + cols
    order = np.argsort(patch, kind="stable")
    counts = np.bincount(patch, minlength=grid.num_patches)
    slot = np.arange(len(order)) - (np.cumsum(counts) - counts)[patch[order]]
    shape = grid.rows, grid.cols, counts.max()
    place = patch[order] * counts.max() + slot
    detections = {"boxes": np.zeros((np.prod(shape), 4))}
    detections["scores"] = np.full(np.prod(shape), -1.0)
    detections["boxes"][place] = boxes[order]
    detections["scores"][place] = scores[order]
    detections["labels"] = np.zeros(np.prod(shape), int)
    return {
        name: values.reshape(*shape, *values.shape[1:])
        for name, values in detections.items()
    }


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
