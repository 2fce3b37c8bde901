"""How fast does `PatchingSequence` feed shuffled patches with their masks?

Beside it, in turns on the same patches: memory maps, and the loaders that
people use; those of PNG files for the first size only. Each runs in a process
of its own, with the first interpreter that has what it needs, and in the best
of its settings; what is not installed is told. All are timed with the files in
memory, by the median of their turns.

The bars: through its threads at least 0.85 times the memory map of one packed
file, which one thread only copies from; at least 5 times each reader of PNG;
at least Grain.

Then the first epoch of processes that find no file in memory, and how much of
its time a small net waits for batches in `fit`.

    python tests/benchmarks/feed.py [--python /other/bin/python ...]
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

import numpy as np
from feed_readers import BATCH, packed

CONTENDERS = pathlib.Path(__file__).with_name("feed_contenders.py")
# The reader, what it is called, what it needs, its share of the turns.
READERS = (
    ("raw_map", "memory map, packed", "numpy", 1.0),
    ("raw_map_threads", "the same, through threads", "numpy", 1.0),
    ("raw_shards", "memory maps of the shards", "numpy", 1.0),
    ("sequence", "sequence[index]", "keras_patching", 1.0),
    ("read_ahead", "sequence, reading ahead", "keras_patching", 1.0),
    ("cut_ahead", 'the same, store="images"', "keras_patching", 1.0),
    ("grain_threads", "Grain on maps of the shards", "grain", 1.0),
    ("grain_processes", "the same, in processes", "grain", 1.0),
    ("ffcv_raw", "FFCV, raw", "ffcv torch", 1.0),
    ("tensorflow_png", "tf.data, PNG", "tensorflow", 0.4),
    ("torch_png", "torch DataLoader, PNG", "torch", 0.4),
    ("monai_persistent", "MONAI PersistentDataset", "monai torch", 0.4),
)
OURS = "read_ahead"
PLACES = "images", "masks"
BARS = {
    "raw_map": 0.85,
    "grain_threads": 1,
    "grain_processes": 1,
    "tensorflow_png": 5,
    "torch_png": 5,
}
PNG = "tensorflow_png", "torch_png", "monai_persistent"
ON_DISK = "raw_map", "raw_shards", "sequence", "read_ahead", "grain_threads"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", action="append", default=[])
    parser.add_argument("--images", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--patch-size", type=int, nargs="+", default=[128, 256])
    arguments = parser.parse_args()
    pythons = [sys.executable, *arguments.python]
    for index, patch in enumerate(arguments.patch_size):
        readers = [each for each in READERS if not index or each[0] not in PNG]
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            make_patches(folder, patch, arguments.images)
            chosen = compare(folder, readers, patch, pythons, arguments.rounds)
            compare_on_disk(folder, chosen)
    fit = CONTENDERS.with_name("feed_fit.py")
    subprocess.run([sys.executable, fit], check=True)


def make_patches(folder, patch, images):
    """Make a cache, the same patches packed, and as PNG files."""
    from PIL import Image

    from keras_patching import PatchingSequence
    from keras_patching.data.cache.opening import SHARD_FOLDER, load_cache

    make_images(folder, images)
    manifest = make_cache(folder, patch)
    _, contents = load_cache(manifest)
    shards = [
        [
            str(manifest.parent / SHARD_FOLDER / source.shards[kind].file)
            for kind in PLACES
        ]
        for source in contents.sources
    ]
    whole = make_cache(folder, patch, store="images", cache_dir=folder)
    facts = {"manifest": str(manifest), "shards": shards, "whole": str(whole)}
    (folder / "facts.json").write_text(json.dumps(facts))
    batches = list(PatchingSequence(manifest, BATCH, shuffle=False))
    (folder / "png").mkdir()
    for kind, name in enumerate(("image", "mask")):
        patches = np.concatenate([batch[kind] for batch in batches])
        np.save(folder / f"{name}s.npy", patches)
        for index, patch in enumerate(patches):
            path = folder / "png" / f"{index}.{name}.png"
            Image.fromarray(patch).save(path)


def make_images(folder, number):
    """Make images of 1.5 MB, smooth with some noise, and their masks."""
    from keras_patching.data.images.image_io import write_image

    rng = np.random.default_rng(0)
    for name in PLACES:
        (folder / name).mkdir()
    for index in range(number):
        coarse = rng.integers(0, 240, (16, 32, 3))
        smooth = coarse.repeat(32, axis=0).repeat(32, axis=1)
        noise = rng.integers(0, 16, smooth.shape)
        arrays = smooth + noise, smooth[..., 0] > 120
        for name, array in zip(PLACES, arrays, strict=True):
            write_image(folder / name / f"{index}.npy", array.astype("uint8"))


def make_cache(folder, patch, **options):
    from keras_patching.models.segmentation.loaders import (
        load_dataset_from_directory_with_segmentation_masks,
    )

    sequence = load_dataset_from_directory_with_segmentation_masks(
        *[folder / name for name in PLACES],
        patch,
        seed=0,
        verbose=False,
        **options,
    )
    return sequence.manifest_path


def compare(folder, readers, patch, pythons, rounds):
    """Let all read in turns, and give the interpreter and setting of each."""
    arrays = packed(folder)
    patches = len(arrays[0])
    sums = [patches, *(int(array.sum(dtype="int64")) for array in arrays)]
    print(
        f"\n{patches} patches of {patch} pixels, uint8, batches of {BATCH}, "
        f"shuffled; medians of {rounds} turns\n"
        f"{'':<28}{'best of its settings':<21}{'patches/s':>10} "
        f"{'ours/its':>9}"
    )
    running, chosen = {}, {}
    for name, title, packages, _ in readers:
        python = find_python(pythons, packages)
        reader = python and Reader(python, name, folder)
        first = reader and reader.answer()
        if not first:
            reason = reader.reason() if reader else f"no {packages}"
            print(f"{title:<28}{reason}", flush=True)
            continue
        if first["sums"] != sums:
            raise ValueError(f"{name}: {first['sums']}, expected {sums}")
        running[name], chosen[name] = reader, (python, first["setting"])
    speeds = {name: [] for name in running}
    for turn in range(rounds):
        for name, _, _, share in readers:
            if name in running and turn < max(1, share * rounds):
                speeds[name].append(running[name].run()["speed"])
    for reader in running.values():
        reader.close()
    report(speeds, chosen)
    return chosen


def report(speeds, chosen):
    ours = statistics.median(speeds[OURS])
    for name, title, _, _ in READERS:
        if name not in speeds:
            continue
        speed = statistics.median(speeds[name])
        print(
            f"{title:<28}{chosen[name][1]:<21}{speed:>10.0f} "
            f"{ours / speed:>9.2f}{verdict(ours / speed, BARS.get(name))}",
            flush=True,
        )


def verdict(ratio, bar):
    if bar is None:
        return ""
    return f"   bar {bar}: {'holds' if ratio >= bar else 'MISSED'}"


def compare_on_disk(folder, chosen):
    """Time the first epoch of processes that find no file in memory."""
    print(f"\n{'first epoch, from the disk':<49}{'patches/s':>10} {'MB':>9}")
    for name, title, _, _ in READERS:
        if name in ON_DISK and name in chosen:
            python, setting = chosen[name]
            drop_from_memory(folder)
            reader = Reader(python, name, folder, setting)
            first = reader.answer()
            reader.close()
            print(
                f"{title:<28}{setting:<21}{first['speed']:>10.0f} "
                f"{first['megabytes']:>9.0f}",
                flush=True,
            )


def drop_from_memory(folder):
    """Ask the system to forget all files, which nobody maps."""
    for path in folder.rglob("*.npy"):
        with open(path, "rb") as stream:
            os.fsync(stream)
            os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def find_python(pythons, packages):
    """Give the first interpreter that finds some packages, or `None`."""
    code = "import importlib.util as u, sys; sys.exit(not all(%s))"
    code %= "u.find_spec(name) for name in sys.argv[1:]"
    for python in pythons:
        if not subprocess.run(
            [python, "-c", code, *packages.split()]
        ).returncode:
            return python
    return None


class Reader:
    """A reader in a process of its own."""

    def __init__(self, python, name, folder, *setting):
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self._process = subprocess.Popen(
            [python, CONTENDERS, name, folder, *setting],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )

    def answer(self):
        """Give its next answer, or `None` if it has ended."""
        for line in self._process.stdout:
            if line.startswith("ANSWER "):
                return json.loads(line.removeprefix("ANSWER "))
        return None

    def run(self):
        """Let it read for a turn."""
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self.answer()

    def reason(self):
        """Give the last line that it wrote before it ended."""
        self._process.wait()
        self._log.seek(0)
        return "failed: " + self._log.read().strip().splitlines()[-1][:90]

    def close(self):
        self._process.stdin.close()
        self._process.wait()
        self._log.close()


if __name__ == "__main__":
    main()
