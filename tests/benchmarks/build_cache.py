"""How long does building a cache take, and how much memory?

Compared with only decoding the same files once and writing as many bytes, in
one thread and in as many threads as the build uses. The bar is 1.5 times the
latter. Memory is the peak above the imported libraries; the bar is that four
times the images need no more. Each run is a fresh process.

    python tests/benchmarks/build_cache.py [--images N] [--patch P]
    python tests/benchmarks/build_cache.py IMAGES MASKS
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np

from keras_patching.data.images.image_io import decode_image, write_image
from keras_patching.data.images.label_images import decode_mask
from keras_patching.data.images.listing import list_images
from keras_patching.models.segmentation.loaders import (
    load_dataset_from_directory_with_segmentation_masks,
)

TIME_BAR, MEMORY_BAR = 1.5, 1.5
REPEATS = 2
THREADS = min(4, os.cpu_count() or 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="*", type=pathlib.Path)
    parser.add_argument("--images", type=int, default=24)
    parser.add_argument("--patch", type=int, default=256)
    parser.add_argument("--run", help="what this process is to do")
    arguments = parser.parse_args()
    if arguments.run:
        run(arguments)
    elif arguments.folders:
        compare(arguments.folders, arguments.patch)
    else:
        with (
            tempfile.TemporaryDirectory() as few,
            tempfile.TemporaryDirectory() as many,
        ):
            few = make_data(pathlib.Path(few), arguments.images)
            many = make_data(pathlib.Path(many), 4 * arguments.images)
            small = compare(few, arguments.patch)
            large = compare(many, arguments.patch)
        ratio = large / small
        print(
            f"peak memory, 4 times the images: {ratio:.2f}   bar {MEMORY_BAR}"
            f"   {'holds' if ratio <= MEMORY_BAR else 'MISSED'}"
        )


def make_data(folder, count, size=(1536, 2048)):
    """Make JPEG images as detailed as photographs, and PNG masks."""
    rng = np.random.default_rng(0)
    folders = [folder / "images", folder / "masks"]
    for each in folders:
        each.mkdir()
    for index in range(count):
        coarse = rng.integers(0, 200, (size[0] // 64, size[1] // 64, 3))
        image = coarse.repeat(64, 0).repeat(64, 1)
        image += rng.integers(0, 40, (*size, 3))
        write_image(folders[0] / f"{index}.jpg", image.astype("uint8"))
        mask = (coarse[..., 0] > 100).repeat(64, 0).repeat(64, 1)
        write_image(folders[1] / f"{index}.png", mask.astype("uint8"))
    return folders


def compare(folders, patch):
    """Print the table of one data set; give the build's peak memory."""
    names = ["decode 1 thread", f"decode {THREADS} threads", "build"]
    runs = {name: [] for name in names}
    for _ in range(REPEATS):
        for name in names:
            runs[name].append(measure(name, folders, patch))
    count = len(list_images(folders[0]))
    print(f"{count} images, patches of {patch}, best of {REPEATS}")
    print(f"{'':18} {'seconds':>8} {'images/s':>9} {'peak MB':>8}  build is")
    best = {name: min(r["seconds"] for r in runs[name]) for name in names}
    for name in names:
        peak = min(result["peak"] for result in runs[name]) / 1e6
        print(
            f"{name:18} {best[name]:8.2f} {count / best[name]:9.1f} "
            f"{peak:8.0f}  {best['build'] / best[name]:.2f}"
        )
    ratio = best["build"] / best[names[1]]
    print(
        f"time: {ratio:.2f}   bar {TIME_BAR}   "
        f"{'holds' if ratio <= TIME_BAR else 'MISSED'}\n",
        flush=True,
    )
    return min(result["peak"] for result in runs["build"])


def measure(name, folders, patch):
    command = [sys.executable, __file__, *map(str, folders)]
    command += ["--patch", str(patch), "--run", name]
    output = subprocess.run(command, check=True, capture_output=True).stdout
    return json.loads(output)


def run(arguments):
    """Do one thing in this process, and print its time and memory."""
    imported = peak_bytes()
    with tempfile.TemporaryDirectory() as target:
        start = time.perf_counter()
        if arguments.run == "build":
            load_dataset_from_directory_with_segmentation_masks(
                *arguments.folders,
                arguments.patch,
                cache_dir=target,
                verbose=False,
            )
        else:
            threads = int(arguments.run.split()[1])
            decode_all(arguments.folders, threads, arguments.patch, target)
        seconds = time.perf_counter() - start
    print(json.dumps({"seconds": seconds, "peak": peak_bytes() - imported}))


def peak_bytes():
    """Peak memory, from Linux; `getrusage` would count that of the parent."""
    status = pathlib.Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def decode_all(folders, threads, patch, target):
    pairs = zip(*(list_images(each).values() for each in folders), strict=True)
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        jobs = [
            pool.submit(decode_pair, pair, patch, pathlib.Path(target))
            for pair in pairs
        ]
        for job in jobs:
            job.result()


def decode_pair(pair, patch, target):
    image, mask = pair
    for path, decode in ((image, decode_image), (mask, decode_mask)):
        array = np.ascontiguousarray(decode(path.read_bytes(), path))
        rows, cols = (-(-length // patch) for length in array.shape[:2])
        padded = rows * cols * patch * patch * array[0, 0].nbytes
        with open(target / f"{path.stem}.{path.parent.name}", "wb") as stream:
            stream.write(array)
            stream.write(bytes(padded - array.nbytes))


if __name__ == "__main__":
    main()
