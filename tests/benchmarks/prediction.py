"""What does tiled prediction cost, in time and memory?

    python tests/benchmarks/prediction.py [--size 2048] [--rounds 5]

Three tables, each of ratios within one run, on the default U-Net:

1. time of whole images through `SemanticSegmentationModel.predict` and through
   a functional model around `PatchedPredictor`, against the best of the bare
   patch model on pre-cut patches (batches of 1, 4, 16) and on the whole image;
2. peak memory of each in a process of its own, above the imported libraries;
3. time against size, which should be a straight line in pixels.
"""

import argparse
import functools
import itertools
import pathlib
import re
import statistics
import subprocess
import sys
import time

import numpy as np

import keras_patching as kp

import keras  # isort: skip

PATCH = 256


def image_of(size):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (1, size, size, 3), "uint8")


def patches_of(image):
    count = image.shape[1] // PATCH
    patches = image.reshape(count, PATCH, count, PATCH, 3).swapaxes(1, 2)
    return np.ascontiguousarray(patches).reshape(-1, PATCH, PATCH, 3)


def variants(image):
    """Return functions that each predict the same pixels."""
    model = kp.SemanticSegmentationModel(patch_size=PATCH)
    patch_model = model.patch_model
    functional = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            kp.PatchedPredictor(patch_model, patch_size=PATCH),
        ]
    )
    patches = functools.cache(lambda: patches_of(image))

    def bare(batch_size):
        return lambda: patch_model.predict(
            patches(), batch_size=batch_size, verbose=0
        )

    return {
        "SemanticSegmentationModel": lambda: model.predict(image, verbose=0),
        "PatchedPredictor": lambda: functional.predict(image, verbose=0),
        "bare patches, batch 1": bare(1),
        "bare patches, batch 4": bare(4),
        "bare patches, batch 16": bare(16),
        "whole image at once": lambda: patch_model.predict(image, verbose=0),
    }


def seconds(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def time_variants(size, rounds):
    """Time the variants in turn, so that noise falls on all of them."""
    functions = variants(image_of(size))
    for function in functions.values():
        function()
    times = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            times[name].append(seconds(function))
    return {name: statistics.median(values) for name, values in times.items()}


def peak_megabytes():
    # Not `ru_maxrss`, which a child inherits from the process that started it.
    status = pathlib.Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024


def measure_memory(size, name):
    """Run in a process of its own: print the peak above the libraries."""
    warm = keras.ops.zeros((8, 8)) + 1  # The backend's own buffers.
    del warm
    base = peak_megabytes()
    variants(image_of(size))[name]()
    print(peak_megabytes() - base)


def memory_of(size, name):
    command = [sys.executable, __file__, "--size", str(size), "--memory", name]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def time_sizes(sizes, rounds):
    model = kp.SemanticSegmentationModel(patch_size=PATCH)
    images = {size: image_of(size) for size in sizes}
    for image in images.values():
        model.predict(image, verbose=0)
    times = {size: [] for size in sizes}
    for _ in range(rounds):
        for size, image in images.items():
            times[size].append(
                seconds(lambda image=image: model.predict(image, verbose=0))
            )
    return {size: statistics.median(values) for size, values in times.items()}


def print_times(size, rounds):
    times = time_variants(size, rounds)
    best = min(list(times.values())[2:])
    print(f"\nTime at {size}x{size}, median of {rounds} rounds in turn")
    print(f"{'':28}{'seconds':>10}{'of best bare':>14}")
    for name, value in times.items():
        print(f"{name:28}{value:10.2f}{value / best:14.2f}")


def print_memory(size):
    memory = {name: memory_of(size, name) for name in variants(image_of(PATCH))}
    whole = memory["whole image at once"]
    print(f"\nPeak memory at {size}x{size} above the imported libraries")
    print(f"{'':28}{'MB':>10}{'of whole image':>16}")
    for name, value in memory.items():
        print(f"{name:28}{value:10.0f}{value / whole:16.2f}")


def print_line(sizes, rounds):
    times = time_sizes(sizes, rounds)
    print(f"\nTime against size, median of {rounds} rounds in turn")
    print(f"{'size':>6}{'seconds':>10}{'ns a pixel':>12}")
    for size, value in times.items():
        print(f"{size:6}{value:10.2f}{value / size**2 * 1e9:12.0f}")
    slopes = {
        (small, large): (times[large] - times[small]) / (large**2 - small**2)
        for small, large in itertools.combinations(sizes, 2)
    }
    print("slope in ns a pixel between two sizes:")
    for (small, large), slope in slopes.items():
        print(f"{small:6} to {large:5}{slope * 1e9:10.0f}")
    spread = max(slopes.values()) / min(slopes.values())
    print(f"steepest slope of flattest: {spread:.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=[1024, 2048, 4096, 8192]
    )
    parser.add_argument("--memory", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.memory:
        measure_memory(arguments.size, arguments.memory)
        return
    print(f"backend: {keras.backend.backend()}, patches of {PATCH}")
    print_times(arguments.size, arguments.rounds)
    print_memory(arguments.size)
    print_line(arguments.sizes, max(2, arguments.rounds // 2))


if __name__ == "__main__":
    main()
