"""How fast are windows of large images, of `store="images"`?

Compared with slices of memory maps of the same images, all warm, in turns.

    python tests/benchmarks/feed_windows.py [--repeats 40]
"""

import argparse
import itertools
import pathlib
import tempfile
import time

import numpy as np

from keras_patching.data.cache.shards import write_shard
from keras_patching.data.cache.strips import as_strips
from keras_patching.data.feeding.shard_pool import ShardPool

IMAGES = (1000, 1500), (3000, 4000), (6000, 8000)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=40)
    arguments = parser.parse_args()
    print(f"{'image':<12}{'window':>6} {'mapped, us':>11} {'read, us':>9}")
    for size, window in itertools.product(IMAGES, (128, 448)):
        with tempfile.TemporaryDirectory() as folder:
            measure_windows(pathlib.Path(folder), size, window, arguments)


def measure_windows(folder, size, window, arguments):
    height, width = size
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (height, width, 3), "uint8")
    np.save(folder / "image.npy", image)
    mapped = np.asarray(np.load(folder / "image.npy", mmap_mode="r"))
    record = write_shard(folder / "shard.npy", as_strips(image)[None])
    pool = ShardPool(folder, [record])
    target = np.empty((window, window, 3), "uint8")
    corners = rng.integers(0, np.subtract(size, window), (64, 2)).tolist()

    def slice_all():
        for y, x in corners:
            target[...] = mapped[y : y + window, x : x + window]

    def read_all():
        for corner in corners:
            pool.read_window(0, corner, target)

    times = {slice_all: [], read_all: []}
    for _ in range(arguments.repeats):
        for read, seconds in times.items():
            seconds.append(timed(read))
    best = [min(seconds) / len(corners) * 1e6 for seconds in times.values()]
    print(
        f"{f'{height} x {width}':<12}{window:>6} {best[0]:>11.0f} "
        f"{best[1]:>9.0f}",
        flush=True,
    )


def timed(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
