"""What do whole images save, and how fast are patches cut out of them?

Real images with masks and with points, kept as tiles and whole. The disk of
both is that of their files. Beside it stands what patches would take that are
saved with an overlap of half a patch, and random crops of ten epochs. Then they
are fed shuffled, in one thread, each in turn; the best turn of each counts.

    python tests/benchmarks/stores.py ../shared/data [--images 16]
"""

import argparse
import pathlib
import shutil
import tempfile
import time

from keras_patching.data.feeding.patching_sequence import PatchingSequence
from keras_patching.data.images.image_io import read_image
from keras_patching.geometry import PatchGrid
from keras_patching.models.counting.loaders import (
    load_heatmap_dataset_with_csv_from_directory,
)
from keras_patching.models.segmentation.loaders import (
    load_dataset_from_directory_with_segmentation_masks,
)

BATCH, EPOCHS = 32, 10
WAYS = {
    "tiles": ("patches", {}),
    "cut": ("images", {}),
    "crops": ("images", {"random_crops": True}),
    # So it is told of each crop what it holds.
    "crops, fewer empty ones": (
        "images",
        {"random_crops": True, "keep_empty": 0.9},
    ),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    for labels in ("masks", "points"):
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            copy_data(arguments.data, folder, labels, arguments.images)
            for patch in (128, 256, 512):
                paths = build(folder, labels, patch)
                print_disk(folder, labels, patch, paths)
                print_feeding(paths, arguments.repeats)
                shutil.rmtree(folder / "patches")
                shutil.rmtree(folder / "images")


def copy_data(data, folder, labels, count):
    name = {"masks": "coffee_leaf", "points": "bm_graz"}[labels]
    source = folder / "source"
    source.mkdir()
    paths = sorted((data / name / "images").glob("*.*g"))[:count]
    for path in paths:
        shutil.copy(path, source)
    if labels == "masks":
        (folder / "masks").mkdir()
        for path in paths:
            shutil.copy(
                data / name / f"masks/{path.stem}.png", folder / "masks"
            )
    else:
        shutil.copy(data / name / "images/points.csv", folder)


def build(folder, labels, patch):
    """Build both stores, each below a folder of its own; give manifests."""
    paths = {}
    for store in ("patches", "images"):
        options = {
            "store": store,
            "cache_dir": folder / store,
            "verbose": False,
        }
        if labels == "masks":
            sequence = load_dataset_from_directory_with_segmentation_masks(
                folder / "source",
                folder / "masks",
                patch,
                num_classes=3,
                **options,
            )
        else:
            sequence = load_heatmap_dataset_with_csv_from_directory(
                folder / "source",
                folder / "points.csv",
                patch,
                unlabelled="skip",
                **options,
            )
        paths[store] = sequence.manifest_path
    return paths


def print_disk(folder, labels, patch, paths):
    taken = {
        store: sum(
            file.stat().st_size for file in (folder / store).rglob("*.npy")
        )
        for store in paths
    }
    sizes = [
        read_image(path).shape[:2] for path in (folder / "source").iterdir()
    ]
    tiles, overlapping = (
        sum(PatchGrid(size, patch, overlap).num_patches for size in sizes)
        for overlap in (0, patch // 2)
    )
    each = taken["patches"] / tiles
    print(
        f"{labels}, {len(sizes)} images, {tiles} tiles of {patch}: "
        f"{taken['patches'] / 1e6:.1f} MB of tiles, "
        f"{taken['images'] / 1e6:.1f} MB of images; "
        f"{overlapping * each / 1e6:.0f} MB with an overlap of half a patch, "
        f"{EPOCHS * taken['patches'] / 1e6:.0f} MB of crops of {EPOCHS} epochs",
        flush=True,
    )


def print_feeding(paths, repeats):
    sequences = {
        way: PatchingSequence(paths[store], BATCH, seed=0, **how)
        for way, (store, how) in WAYS.items()
    }
    best = dict.fromkeys(WAYS, 0)
    for turn in range(repeats + 1):
        for way, sequence in sequences.items():
            sequence.epoch = turn
            start = time.perf_counter()
            for index in range(len(sequence)):
                _batch = sequence[index]
            speed = sequence.num_samples / (time.perf_counter() - start)
            if turn:  # the first warms up
                best[way] = max(best[way], speed)
    for way, speed in best.items():
        ratio = speed / best["tiles"]
        print(f"  {way:<28}{speed:>8.0f} patches/s {ratio:>6.2f}", flush=True)


if __name__ == "__main__":
    main()
