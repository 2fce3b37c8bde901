"""How long does `YoloPatchSampler` take to plan the patches of an image?

An image of 4000x3000 pixels with random boxes of 20 to 200 pixels, patches of
448x448, a grid of 7x7, on one core. The bar is 10 ms a plan at 200 boxes. The
best of many runs counts, since other work on the machine only ever slows one
down; the median is printed too.

    python tests/benchmarks/yolo_sampling.py [--repeats 50]
"""

import argparse
import time

import numpy as np

from keras_patching.data.patches.yolo_patch_sampler import (
    YoloPatchSampler,
    boxes_in_patch,
)

IMAGE_SIZE = (3000, 4000)
PATCH_SIZE = (448, 448)
BAR_MS, BAR_BOXES = 10, 200


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=50)
    repeats = parser.parse_args().repeats
    print(
        f"ms per image of {IMAGE_SIZE[0]}x{IMAGE_SIZE[1]} (best, median)\n"
        f"{'boxes':>6} {'patches':>8} {'plan':>7} {'median':>7} "
        f"{'coverage':>9} {'boxes in all patches':>21}   "
        f"bar {BAR_MS} at {BAR_BOXES} boxes"
    )
    for num_boxes in (0, 1, 200, 2000, 5000):
        measure(num_boxes, repeats)


def measure(num_boxes, repeats):
    boxes = random_boxes(num_boxes)
    sampler = YoloPatchSampler(PATCH_SIZE, grid_size=(7, 7), empty_patches=8)
    plan = sampler.plan(IMAGE_SIZE, boxes)
    planning = times(lambda: sampler.plan(IMAGE_SIZE, boxes), repeats)
    covering = times(lambda: sampler.coverage(IMAGE_SIZE, boxes), repeats)
    cutting = times(lambda: cut_boxes(boxes, plan), repeats)
    verdict = ""
    if num_boxes == BAR_BOXES:
        verdict = "holds" if planning.min() < BAR_MS else "MISSED"
    print(
        f"{num_boxes:>6} {len(plan):>8} {planning.min():>7.2f} "
        f"{np.median(planning):>7.2f} {covering.min():>9.2f} "
        f"{cutting.min():>21.2f}   {verdict}",
        flush=True,
    )


def random_boxes(count):
    rng = np.random.default_rng(0)
    sizes = rng.uniform(20, 200, (count, 2))
    corners = rng.uniform(0, np.array(IMAGE_SIZE[::-1]) - sizes)
    return np.concatenate([corners, corners + sizes], axis=1)


def cut_boxes(boxes, plan):
    for patch in plan:
        boxes_in_patch(boxes, patch.origin, PATCH_SIZE)


def times(function, repeats):
    """Return the milliseconds of each of so many runs, after a first."""
    function()
    elapsed = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        elapsed.append(1000 * (time.perf_counter() - start))
    return np.array(elapsed)


if __name__ == "__main__":
    main()
