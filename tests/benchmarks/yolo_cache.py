"""How fast are YOLO patches cached, and how fast fed from each store?

Images of 1344x1008 with 20 boxes, patches of 448x448, a grid of 7x7. Building
saves every patch; it is compared with only decoding the same images once and
writing as many bytes, in as many threads. The bar is 1.5 times that. Feeding
is in one thread, of batches of 32; the bar is 1,000 patches a second cut out of
whole images and augmented. The best turn of each counts. Then it tells what
building is made of, in seconds of one core, which other programs and a slow
disk do not change.

    python tests/benchmarks/yolo_cache.py [--images 8] [--repeats 3]
"""

import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import tempfile
import time

import numpy as np

from keras_patching.data.images.image_io import decode_image, write_image
from keras_patching.data.patches.planned_patches import cut_planned
from keras_patching.models.detection.loaders import (
    load_yolo_dataset_from_directory,
)

SIZE, PATCH, BATCH = (1008, 1344), 448, 32
BUILD_BAR, FEED_BAR = 1.5, 1000
THREADS = min(4, os.cpu_count() or 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        make_data(folder, arguments.images)
        compare_building(folder, arguments.repeats)
        print_parts(folder)
        for store in ("patches", "images"):
            print_feeding(folder, store, arguments.repeats)


def make_data(folder, count):
    """Make JPEG images as detailed as photographs, and boxes."""
    rng = np.random.default_rng(0)
    (folder / "images").mkdir()
    entries = {}
    for index in range(count):
        coarse = rng.integers(0, 200, (SIZE[0] // 48, SIZE[1] // 48, 3))
        image = coarse.repeat(48, 0).repeat(48, 1)
        image += rng.integers(0, 40, (*SIZE, 3))
        name = f"{index}.jpg"
        write_image(folder / "images" / name, image.astype("uint8"))
        low = rng.integers(0, np.array(SIZE[::-1]) - 200, (20, 2))
        high = low + rng.integers(60, 200, (20, 2))
        entries[name] = {
            "objects": [
                {"all_points_x": [x1, x2], "all_points_y": [y1, y2]}
                for (x1, y1), (x2, y2) in zip(
                    low.tolist(), high.tolist(), strict=True
                )
            ]
        }
    (folder / "labels.json").write_text(json.dumps(entries))


def load(folder, store, overwrite=False):
    return load_yolo_dataset_from_directory(
        folder / "labels.json",
        folder / "images",
        PATCH,
        seed=0,
        batch_size=BATCH,
        store=store,
        overwrite=overwrite,
        verbose=False,
    )


def compare_building(folder, repeats):
    shards = load(folder, "patches").directory / "shards"
    sizes = [path.stat().st_size for path in shards.glob("*.images.npy")]
    times = {"build": [], "decode and write": []}
    for _ in range(repeats):
        times["build"].append(
            timed(lambda: load(folder, "patches", overwrite=True))
        )
        times["decode and write"].append(
            timed(lambda: decode_and_write(folder, sizes))
        )
    build, other = (min(each) for each in times.values())
    print(
        f"build {sum(sizes) / 1e6:.0f} MB of patches: {build:.2f} s; decode "
        f"and write as much: {other:.2f} s; {build / other:.2f}   bar "
        f"{BUILD_BAR}   {'holds' if build / other <= BUILD_BAR else 'MISSED'}"
    )


def decode_and_write(folder, sizes):
    paths = sorted((folder / "images").iterdir())
    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(decode_and_write_one, paths, sizes))
    for path in folder.glob("*.bytes"):
        path.unlink()


def decode_and_write_one(path, size):
    image = decode_image(path.read_bytes(), path)
    copies = size // image.nbytes + 1
    with open(path.parents[1] / f"{path.stem}.bytes", "wb") as stream:
        for _ in range(copies):
            stream.write(image)


def print_parts(folder):
    """Do one after the other what building does to the pixels."""
    sequence = load(folder, "patches")
    spent = dict.fromkeys(("decode", "cut", "hash", "write"), 0.0)

    def spend(part, function, *args):
        start = time.thread_time()
        result = function(*args)
        spent[part] += time.thread_time() - start
        return result

    for source in sequence._sources:
        path = folder / "images" / source.name
        image = spend("decode", decode_image, path.read_bytes(), path)
        plan = source.origins, source.augmentations
        size, value_range = (PATCH, PATCH), (0, 255)
        patches = spend("cut", cut_planned, image, *plan, size, value_range)
        pixels = patches.reshape(-1)
        spend("hash", hashlib.sha256, pixels)
        spend("write", (folder / "pixels").write_bytes, pixels)
    reference = spent["decode"] + spent["write"]
    print(
        ", ".join(f"{part} {each:.2f} s" for part, each in spent.items())
        + f"; all to decode and write: {sum(spent.values()) / reference:.2f}, "
        f"without hashing {1 + spent['cut'] / reference:.2f}"
    )


def print_feeding(folder, store, repeats):
    sequence = load(folder, store)
    seconds = min(
        timed(lambda: [sequence[i] for i in range(len(sequence))])
        for _ in range(repeats + 1)
    )
    speed = sequence.num_samples / seconds
    print(
        f'store="{store}": {speed:.0f} patches a second   bar {FEED_BAR}   '
        f"{'holds' if speed >= FEED_BAR else 'MISSED'}"
    )


def timed(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
