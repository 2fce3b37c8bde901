"""Are regions of maps in bands those of scipy, and what do they cost?

    python tests/benchmarks/numbered_regions.py [--maps 1000] [--side 20000]

1. Random maps, cut into bands at random rows: how many are numbered as
   `scipy.ndimage.label` numbers the whole map.
2. A map of blobs, of side x side pixels in a file: seconds and the memory that
   it takes to number it into another file and to trace all outlines.
"""

import argparse
import os
import pathlib
import resource
import sys
import tempfile
import time

import numpy as np
from scipy import ndimage

sys.path.append(str(pathlib.Path(__file__).parents[1] / "support"))

from scipy_regions import number, random_map

from keras_patching.models.segmentation.numbered_objects import NumberedMap
from keras_patching.models.segmentation.outlines import OutlineTracer
from keras_patching.models.segmentation.regions import RegionFinder
from keras_patching.prediction.sources import open_source
from keras_patching.prediction.targets import open_target


def numbered_in_bands(mask, cuts):
    finder = RegionFinder(mask.shape[1])
    found = [finder.add(band) for band in np.split(mask, cuts)]
    finder.finish()
    numbers = finder.numbers()
    rows = [np.repeat(numbers[names], lengths) for lengths, names in found]
    return np.concatenate(rows).reshape(mask.shape)


def compare(count):
    rng = np.random.default_rng(0)
    maps = [random_map(rng) for _ in range(count)]
    equal = sum(
        np.array_equal(numbered_in_bands(mask, cuts), number(mask))
        for mask, cuts in maps
    )
    print(f"{equal} of {count} maps are numbered as scipy numbers them")


def write_map(path, side):
    """Write blobs of three classes, that repeat, in bands."""
    rng = np.random.default_rng(0)
    tile = ndimage.gaussian_filter(rng.random((1000, 1000)), 4, mode="wrap")
    tile = np.digitize(tile, np.quantile(tile, [0.6, 0.8])).astype("uint8")
    target = open_target(
        path, (side, side), "uint8", "map", key="", resume=False, overwrite=True
    )
    for y in range(0, side, 1000):
        rows = min(1000, side - y)
        band = np.tile(tile, (1, side // 1000 + 1))[:rows, :side]
        target.write(y, np.ascontiguousarray(band))
    target.finish()
    target.forget()


def megabytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(side):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "map.npy")
        write_map(path, side)
        before, started = megabytes(), time.perf_counter()
        classes = open_source(path, 0)
        numbered = NumberedMap(classes, {0})
        ends = numbered.regions.boxes[:, 3]
        measured = time.perf_counter()
        target = open_target(
            path.with_name("numbers.npy"),
            (side, side),
            "uint32",
            "map",
            key="",
            resume=False,
            overwrite=True,
        )
        for y, band in numbered.bands():
            target.write(y, band)
        size = os.stat(target.finish()).st_size
        written, numbers_memory = time.perf_counter(), megabytes()
        tracer, points = OutlineTracer(side, ends), 0
        for _, band in numbered.bands():
            points += sum(len(r) for _, rs in tracer.add(band) for r in rs)
        points += sum(len(r) for _, rs in tracer.finish() for r in rs)
        traced = time.perf_counter()
        classes.close()
    print(
        f"{side} x {side}: {len(ends):,} regions measured in "
        f"{measured - started:.1f} s, numbers written in "
        f"{written - measured:.1f} s ({size / 2**20:,.0f} MB), outlines of "
        f"{points:,} points traced in {traced - written:.1f} s; memory grew by "
        f"{numbers_memory - before:,.0f} MB, with outlines by "
        f"{megabytes() - before:,.0f} MB"
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--maps", type=int, default=1000)
    parser.add_argument("--side", type=int, default=20000)
    options = parser.parse_args()
    compare(options.maps)
    measure(options.side)


if __name__ == "__main__":
    main()
