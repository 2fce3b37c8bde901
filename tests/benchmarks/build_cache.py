"""How long does building a cache take, with one worker and with two?

For each task and store, beside decoding the same files once and writing as many
bytes. That reference is as good as it can be: the same decoders, `np.save` of
as many bytes, and the same waiting for the disk (`--no-wait` leaves that out of
both). The bars: building takes at most 1.5 times as long, with as many threads;
and two workers are at least 1.7 times as fast as one. Runs take turns, and the
medians count, of seconds and of seconds of the processor.

Then the peak memory above the imported libraries; the bar is that four times
the images need no more.

    python tests/benchmarks/build_cache.py [DATA] [--images 16] [--repeats 5]
    python tests/benchmarks/build_cache.py --only detection --disk /dev/shm

DATA holds `coffee_leaf`, `bm_graz` and `tomato_factory_third`; without it JPEG
images are made, as detailed as photographs.
"""

import argparse
import concurrent.futures
import contextlib
import dataclasses
import functools
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from unittest import mock

import numpy as np

from keras_patching import _whole_files
from keras_patching.data.images.image_io import decode_image, write_image
from keras_patching.data.images.label_images import decode_mask
from keras_patching.data.images.listing import list_images
from keras_patching.models.counting.loaders import (
    load_heatmap_dataset_with_csv_from_directory,
)
from keras_patching.models.detection.loaders import (
    load_yolo_dataset_from_directory,
)
from keras_patching.models.segmentation.loaders import (
    load_dataset_from_directory_with_segmentation_masks,
)

BUILD_BAR, SPEED_BAR, MEMORY_BAR = 1.5, 1.7, 1.5
SIZE = (1536, 2048)
WORKERS = (1, 2)


@dataclasses.dataclass(frozen=True)
class Case:
    """A task on a data set.

    Attributes:
        load: Function that builds its cache, with the options of loaders.
        images: Paths of the images.
        masks: Paths of the masks, if they are files.
    """

    load: Callable
    images: list
    masks: list = ()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="?", type=pathlib.Path)
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", help="a task, a store, or both with a comma")
    parser.add_argument("--disk", type=pathlib.Path, help="folder to write to")
    parser.add_argument("--no-wait", action="store_true")
    parser.add_argument("--run", type=pathlib.Path, help="of this process")
    arguments = parser.parse_args()
    if arguments.run:
        print(peak_of_build(arguments.run))
        return
    with (
        tempfile.TemporaryDirectory(dir=arguments.disk) as folder,
        no_waiting() if arguments.no_wait else contextlib.nullcontext(),
    ):
        compare_all(pathlib.Path(folder), arguments)
        if not (arguments.data or arguments.only):
            compare_memory(pathlib.Path(folder), arguments.images)


def no_waiting():
    return mock.patch.object(os, "fsync", return_value=None)


def compare_all(folder, arguments):
    if arguments.data is None:
        cases = made_cases(folder, arguments.images)
    else:
        cases = real_cases(arguments.data, folder, arguments.images)
    wanted = set((arguments.only or "").split(",")) - {""}
    print(
        f"medians of {arguments.repeats} turns, on {os.cpu_count()} cores "
        f"(load {os.getloadavg()[0]:.1f}); writing "
        f"{'is not waited for' if arguments.no_wait else 'waits for the disk'}"
    )
    print(
        f"{'':20} {'images':>6} {'MB':>6}  {'decode, write':>13} "
        f"{'build':>13}  {'build is':>11}  {'of processor':>12}  2 workers"
    )
    for task, case in cases.items():
        for store in ("patches", "images"):
            if wanted <= {task, store}:
                compare(f"{task}, {store}", case, store, folder, arguments)


def compare(name, case, store, folder, arguments):
    """Print one line: how long things take with one worker, and with two."""
    target = folder / "target"
    build = functools.partial(build_once, case, store, target)
    sizes = build(1)
    size = sum(map(sum, sizes))
    decode = functools.partial(decode_and_write, case, sizes, target)
    runs = {}
    for _ in range(arguments.repeats):
        for count in WORKERS:
            for what, function in (
                ("reference", decode),
                ("build", build),
            ):
                turn = timed(function, count, target, size)
                runs.setdefault((what, count), []).append(turn)
    wall, spent = (
        {
            key: statistics.median(turn[index] for turn in turns)
            for key, turns in runs.items()
        }
        for index in (0, 1)
    )
    faster = wall["build", 1] / wall["build", 2]
    ratios, of_processor = (
        [taken["build", n] / taken["reference", n] for n in WORKERS]
        for taken in (wall, spent)
    )
    print(
        f"{name:20} {len(case.images):6} {size / 1e6:6.0f}  "
        + " ".join(f"{wall['reference', n]:6.2f}" for n in WORKERS)
        + " "
        + " ".join(f"{wall['build', n]:6.2f}" for n in WORKERS)
        + "  "
        + " ".join(f"{ratio:5.2f}" for ratio in ratios)
        + "  "
        + " ".join(f"{ratio:6.2f}" for ratio in of_processor)
        + f"  {faster:.2f} x   {verdict(max(ratios) <= BUILD_BAR)} "
        f"{verdict(faster >= SPEED_BAR)}",
        flush=True,
    )


def verdict(holds):
    return "holds" if holds else "MISSED"


def timed(function, count, target, size):
    """Give seconds, and those of the processor, into an empty folder."""
    warm_up(target, size)
    os.sync()
    start = time.perf_counter(), time.process_time()
    function(count)
    end = time.perf_counter(), time.process_time()
    shutil.rmtree(target)
    return np.subtract(end, start).tolist()


def warm_up(target, size):
    """Write and remove as many bytes.

    A machine that is not alone on its host gives back what memory it does not
    use, and whoever takes it next waits for it.
    """
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    with open(target / "block", "wb") as stream:
        write(stream, size)
    (target / "block").unlink()


def write(stream, size):
    """Write bytes that the processor holds already, a block at a time."""
    block = memoryview(bytes(2**19))
    for start in range(0, size, len(block)):
        stream.write(block[: size - start])


def build_once(case, store, target, count):
    """Build a cache; give the bytes of the shards of each image."""
    with concurrent.futures.ThreadPoolExecutor(count) as executor:
        sequence = case.load(
            store=store, cache_dir=target, executor=executor, verbose=False
        )
    manifest = json.loads(sequence.manifest_path.read_text())
    return [
        [shard["bytes"] for shard in source["shards"].values()]
        for source in manifest["sources"]
    ]


def decode_and_write(case, sizes, target, count):
    """Decode each image and its mask, and write as many bytes as a build."""

    def work(index):
        path = case.images[index]
        decode_image(path.read_bytes(), path)
        if case.masks:
            path = case.masks[index]
            decode_mask(path.read_bytes(), path)
        for number, size in enumerate(sizes[index]):
            path = target / f"{index}-{number}.npy"
            with (
                _whole_files.replaced(path) as temporary,
                open(temporary, "xb") as stream,
            ):
                write(stream, size)

    with concurrent.futures.ThreadPoolExecutor(count) as executor:
        list(executor.map(work, range(len(case.images))))


def made_cases(folder, count):
    """Make images as detailed as photographs, with all kinds of labels."""
    rng = np.random.default_rng(0)
    images, masks = folder / "images", folder / "masks"
    images.mkdir(parents=True)
    masks.mkdir()
    rows, entries = ["image,x,y"], {}
    for index in range(count):
        coarse = rng.integers(0, 200, (SIZE[0] // 64, SIZE[1] // 64, 3))
        image = coarse.repeat(64, 0).repeat(64, 1)
        image += rng.integers(0, 40, (*SIZE, 3))
        name = f"{index:03}.jpg"
        write_image(images / name, image.astype("uint8"))
        mask = (coarse[..., 0] > 100).repeat(64, 0).repeat(64, 1)
        write_image(masks / f"{index:03}.png", mask.astype("uint8"))
        points = rng.random((200, 2)) * SIZE
        rows += [f"{name},{x:.2f},{y:.2f}" for y, x in points]
        low = rng.integers(0, np.array(SIZE[::-1]) - 200, (20, 2))
        boxes = np.hstack([low, low + rng.integers(60, 200, (20, 2))])
        entries[name] = {"objects": [as_object(*box) for box in boxes.tolist()]}
    (folder / "points.csv").write_text("\n".join(rows))
    (folder / "labels.json").write_text(json.dumps(entries))
    return cases_of(
        (images, masks), (images, folder / "points.csv"), (images, folder)
    )


def as_object(x1, y1, x2, y2):
    return {"all_points_x": [x1, x2], "all_points_y": [y1, y2]}


def real_cases(data, folder, count):
    """Link some of the images of each set; labels of others are left out."""
    leaf, graz, tomato = (
        data / name
        for name in ("coffee_leaf", "bm_graz", "tomato_factory_third")
    )
    folders = [
        link(leaf / "images", folder / "leaf", count),
        link(leaf / "masks_leaf", folder / "leaf_masks", count),
        link(graz / "images", folder / "graz", count),
        link(tomato / "images", folder / "tomato", count),
    ]
    kept = {path.name for path in folders[3].iterdir()}
    table = (graz / "images" / "points.csv").read_text().splitlines()
    stems = {path.stem for path in folders[2].iterdir()}
    rows = [row for row in table if row.partition(",")[0] in stems]
    (folder / "points.csv").write_text("\n".join(rows))
    entries = json.loads((tomato / "labels.json").read_text())
    entries = {name: entries[name] for name in entries if name in kept}
    (folder / "labels.json").write_text(json.dumps(entries))
    return cases_of(
        folders[:2], (folders[2], folder / "points.csv"), (folders[3], folder)
    )


def link(source, target, count):
    target.mkdir(parents=True)
    for path in list(list_images(source).values())[:count]:
        (target / path.name).symlink_to(path.absolute())
    return target


def cases_of(segmentation, counting, detection):
    """Make the cases of folders and files of labels."""
    images, labels = detection
    return {
        "segmentation": Case(
            functools.partial(
                load_dataset_from_directory_with_segmentation_masks,
                *segmentation,
                256,
            ),
            *(list(list_images(each).values()) for each in segmentation),
        ),
        "counting": Case(
            functools.partial(
                load_heatmap_dataset_with_csv_from_directory, *counting, 256
            ),
            list(list_images(counting[0]).values()),
        ),
        "detection": Case(
            functools.partial(
                load_yolo_dataset_from_directory,
                labels / "labels.json",
                images,
                448,
                seed=0,
            ),
            list(list_images(images).values()),
        ),
    }


def compare_memory(folder, count):
    """Build of some images and of four times as many, in fresh processes."""
    peaks = []
    for number in (count // 2, 2 * count):
        here = folder / f"memory-{number}"
        made_cases(here, number)
        command = [sys.executable, __file__, "--run", str(here)]
        output = subprocess.run(command, check=True, capture_output=True).stdout
        peaks.append(int(output.split()[-1]))
        shutil.rmtree(here)
    print(
        f"peak memory of {count // 2} images {peaks[0] / 1e6:.0f} MB, of "
        f"{2 * count} {peaks[1] / 1e6:.0f} MB: {peaks[1] / peaks[0]:.2f}   "
        f"{verdict(peaks[1] <= MEMORY_BAR * peaks[0])}"
    )


def peak_of_build(folder):
    """Give the peak memory of a build, above that of what is imported."""
    imported = peak_bytes()
    folders = folder / "images", folder / "masks"
    load_dataset_from_directory_with_segmentation_masks(
        *folders, 256, verbose=False
    )
    return peak_bytes() - imported


def peak_bytes():
    """Peak memory, from Linux; `getrusage` would count that of the parent."""
    status = pathlib.Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


if __name__ == "__main__":
    main()
