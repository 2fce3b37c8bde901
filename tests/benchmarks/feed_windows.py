"""How fast does `PatchingSequence` feed shuffled patches with their labels?

Labels are uint8 masks or float32 heatmaps. Compared with fancy indexing of one
packed `.npy` memory map of the same patches and one of the labels, as plain
arrays; all warm, in one thread. The bar
is a ratio of 0.75. The two take turns, and the best turn of each counts, since
other work on the machine only ever slows one down.

Then how fast are windows of large images, of `store="images"`? Compared with
slices of memory maps of the same images.

    python tests/benchmarks/feed.py [--shards 120] [--repeats 40]
"""

import argparse
import itertools
import pathlib
import tempfile
import time

import numpy as np

from keras_patching.data.cache.shards import write_shard
from keras_patching.data.cache.strips import as_strips
from keras_patching.data.feeding.patching_sequence import PatchingSequence
from keras_patching.data.feeding.shard_pool import ShardPool
from keras_patching.data.images.image_io import write_image
from keras_patching.models.counting.loaders import (
    load_heatmap_dataset_with_heatmap_files_from_directory,
)
from keras_patching.models.segmentation.loaders import (
    load_dataset_from_directory_with_segmentation_masks,
)

BATCH = 32
IMAGES = (1000, 1500), (3000, 4000), (6000, 8000)
BAR = 0.75
# Dtype and loader per kind of labels.
LABELS = {
    "masks": ("uint8", load_dataset_from_directory_with_segmentation_masks),
    "heatmaps": (
        "float32",
        load_heatmap_dataset_with_heatmap_files_from_directory,
    ),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shards", type=int, default=120)
    parser.add_argument("--repeats", type=int, default=40)
    arguments = parser.parse_args()
    print(
        f"{arguments.shards} images, uint8, batches of {BATCH}, shuffled\n"
        f"{'labels':<9}{'patch':>6} {'patches':>8} {'packed/s':>10} "
        f"{'sequence/s':>10} "
        f"{'ratio':>6}   bar {BAR}"
    )
    for labels, patch in itertools.product(LABELS, (128, 256)):
        with tempfile.TemporaryDirectory() as folder:
            measure(pathlib.Path(folder), labels, patch, arguments)
    print(f"\n{'image':<12}{'window':>6} {'mapped, us':>11} {'read, us':>9}")
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


def measure(folder, labels, patch, arguments):
    sequence = make_sequence(folder, labels, patch, arguments.shards)
    packed = pack(folder, sequence)
    rng = np.random.default_rng(0)
    speeds = {"packed": [], "sequence": []}
    for epoch in range(arguments.repeats + 1):
        order = rng.permutation(sequence.num_samples)
        times = {
            "packed": timed(lambda o=order: read_packed(packed, o)),
            "sequence": timed(lambda: read_sequence(sequence)),
        }
        if epoch:  # the first warms up
            for name, seconds in times.items():
                speeds[name].append(sequence.num_samples / seconds)
        sequence.on_epoch_begin()
        sequence.on_epoch_end()
    best = {name: max(values) for name, values in speeds.items()}
    ratio = best["sequence"] / best["packed"]
    print(
        f"{labels:<9}{patch:>6} {sequence.num_samples:>8} "
        f"{best['packed']:>10.0f} {best['sequence']:>10.0f} {ratio:>6.2f}   "
        f"{'holds' if ratio >= BAR else 'MISSED'}",
        flush=True,
    )


def make_sequence(folder, labels, patch, shards):
    """Make a cache of images of noise, 1.5 MB of pixels each."""
    rng = np.random.default_rng(0)
    dtype, load = LABELS[labels]
    shapes = {"images": (512, 1024, 3), labels: (512, 1024)}
    for name, shape in shapes.items():
        (folder / name).mkdir()
        for index in range(shards):
            pixels = rng.integers(0, 256 if name == "images" else 2, shape)
            pixels = pixels.astype("uint8" if name == "images" else dtype)
            write_image(folder / name / f"{index}.npy", pixels)
    return load(
        folder / "images", folder / labels, patch, seed=0, verbose=False
    )


def pack(folder, sequence):
    """Write all patches into one file, and all labels into one."""
    ordered = PatchingSequence(sequence.manifest_path, BATCH, shuffle=False)
    arrays = []
    for kind, name in enumerate(("images.npy", "labels.npy")):
        path = folder / name
        np.save(path, np.concatenate([batch[kind] for batch in ordered]))
        arrays.append(np.asarray(np.load(path, mmap_mode="r")))
    return arrays


def read_packed(arrays, order):
    for start in range(0, len(order), BATCH):
        samples = order[start : start + BATCH]
        _batch = tuple(array[samples] for array in arrays)


def read_sequence(sequence):
    for index in range(len(sequence)):
        _batch = sequence[index]


def timed(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
