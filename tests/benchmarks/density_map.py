"""How fast is the density map of many points drawn, and in what memory?

Compared with one `scipy.ndimage.gaussian_filter` of an array of the same size
that holds the points as pixels, which also loses mass at the edges. The bar is
half of its time, and memory of the output plus a band of rows. The two take
turns, and the best turn of each counts.

    python tests/benchmarks/density_map.py [--points 10000] [--size 8192]
"""

import argparse
import time
import tracemalloc

import numpy as np
from scipy.ndimage import gaussian_filter

from keras_patching.data.labels.density_maps import density_map

BAR = 0.5
REPEATS = 3


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=10_000)
    parser.add_argument("--size", type=int, default=8192)
    arguments = parser.parse_args()
    size = (arguments.size, arguments.size)
    print(
        f"{arguments.points} points on {size[0]} x {size[1]}\n"
        f"{'sigma':>6} {'drawn':>8} {'filter':>8} {'ratio':>6}   bar {BAR}"
    )
    rng = np.random.default_rng(0)
    points = rng.uniform(0, np.array(size) - 1, (arguments.points, 2))
    for sigma in (4, 15):
        compare(points, size, sigma)
    tracemalloc.start()
    output = density_map(points, size, 4)
    _, peak = tracemalloc.get_traced_memory()
    rows = (peak - output.nbytes) / output[0].nbytes
    print(
        f"memory {peak / 1e6:.0f} MB: the output of {output.nbytes / 1e6:.0f} "
        f"MB, and as much as {rows:.0f} of its {size[0]} rows"
    )


def compare(points, size, sigma):
    pixels = np.zeros(size, "float32")
    np.add.at(pixels, tuple(points.round().astype(int).T), 1)
    filtered = np.empty_like(pixels)
    times = {"drawn": [], "filter": []}
    for _ in range(REPEATS):
        times["drawn"].append(timed(lambda: density_map(points, size, sigma)))
        times["filter"].append(
            timed(lambda: gaussian_filter(pixels, sigma, output=filtered))
        )
    drawn, other = min(times["drawn"]), min(times["filter"])
    ratio = drawn / other
    print(
        f"{sigma:>6} {drawn:>7.2f}s {other:>7.2f}s {ratio:>6.2f}   "
        f"{'holds' if ratio <= BAR else 'MISSED'}",
        flush=True,
    )


def timed(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
