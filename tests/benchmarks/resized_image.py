"""Predicts a large TIFF that is resized as it is read: seconds and memory.

    python tests/benchmarks/resized_image.py [rows] [columns]

The memory is what the process holds at the most above what it held after a
prediction of two small images.
"""

import pathlib
import sys
import tempfile
import threading
import time

import numpy as np
import tifffile

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
from exact_models import red_model

ROWS, COLUMNS = 20_000, 6_000


def megabytes():
    pages = pathlib.Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * 4096 / 1e6


def draw(path, rows, columns):
    rng = np.random.default_rng(0)
    image = tifffile.memmap(
        path, shape=(rows, columns, 3), dtype="uint8", photometric="rgb"
    )
    for y in range(0, rows, 500):
        image[y : y + 500] = rng.integers(0, 256, image[y : y + 500].shape)


def measure(path, out, resize):
    model = red_model(resize=resize)
    model.set_patch_size(512, 512)
    options = {"transform": "classes", "verbose": False}
    small = np.zeros((1024, 1024, 3), "uint8")
    list(model.predict_images([small] * 2, **options))
    before, most, is_done = megabytes(), [0], threading.Event()

    def watch():
        while not is_done.wait(0.02):
            most.append(megabytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    started = time.perf_counter()
    model.predict_images([path], out=[out], **options)
    seconds = time.perf_counter() - started
    is_done.set()
    watcher.join()
    return seconds, max(most) - before


def main():
    rows, columns = [*map(int, sys.argv[1:]), ROWS, COLUMNS][:2]
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "large.tif"
        draw(path, rows, columns)
        print(f"{rows} x {columns} x 3, {rows * columns * 3 / 1e6:.0f} MB")
        for resize in (None, 0.5, 0.25):
            out = pathlib.Path(folder) / f"{resize}.npy"
            seconds, memory = measure(path, out, resize)
            print(f"resize={resize!s:5} {seconds:5.1f} s {memory:5.0f} MB")


if __name__ == "__main__":
    main()
