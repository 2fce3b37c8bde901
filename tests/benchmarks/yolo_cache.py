"""How fast are YOLO patches fed from each store?

Images of 1344x1008 with 20 boxes, patches of 448x448, a grid of 7x7. Feeding
is in one thread, of batches of 32; the bar is 1,000 patches a second cut out of
whole images and augmented. The best turn of each counts. How fast they are
built is measured by `build_cache.py`.

    python tests/benchmarks/yolo_cache.py [--images 8] [--repeats 3]
"""

import argparse
import json
import pathlib
import tempfile
import time

import numpy as np

from keras_patching.data.images.image_io import write_image
from keras_patching.models.detection.loaders import (
    load_yolo_dataset_from_directory,
)

SIZE, PATCH, BATCH = (1008, 1344), 448, 32
FEED_BAR = 1000


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        make_data(folder, arguments.images)
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


def load(folder, store):
    return load_yolo_dataset_from_directory(
        folder / "labels.json",
        folder / "images",
        PATCH,
        seed=0,
        batch_size=BATCH,
        store=store,
        verbose=False,
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
