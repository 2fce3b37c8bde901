"""Time, memory and size of results as OME-TIFF and OME-Zarr.

python tests/benchmarks/ome_form.py 20000
"""

import pathlib
import resource
import sys
import tempfile
import time
import types

import numpy as np

import keras_patching as kp
from keras_patching.data.images.pixel_size import PixelSize
from keras_patching.inference.result_files import bytes_of
from keras_patching.prediction.ome_form import Meaning, ome_form
from keras_patching.prediction.targets import open_target


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def run(path, side):
    classes = np.random.default_rng(0).integers(0, 3, (5, side // 100))
    band = np.kron(classes, np.ones((100, 100))).astype("uint8")
    band, before = band[:, :side], peak()
    shape = side // 500 * 500, band.shape[1]
    source = types.SimpleNamespace(
        pixel_size=PixelSize(0.25, 0.25, "µm"), shape=shape
    )
    form = ome_form(source, path, (1, 1), Meaning())
    how = {"key": "", "resume": False, "overwrite": False, "form": form}
    target = open_target(path, shape, band.dtype, "a", **how)
    start = time.perf_counter()
    for y in range(0, shape[0], 500):
        target.write(y, band)
    rows = time.perf_counter() - start
    target.finish()
    target.forget()
    formed = time.perf_counter() - start - rows
    start = time.perf_counter()
    with kp.data.open_image(path) as image:
        for y in range(0, shape[0], 1000):
            image[y : y + 1000]
        count = len(image.levels)
    read = time.perf_counter() - start
    print(
        f"{path.name}: {shape}, {count} levels, {bytes_of(path) / 1e6:.1f} MB; "
        f"rows {rows:.1f} s, form {formed:.1f} s, read {read:.1f} s; peak "
        f"{peak():.0f} MB, {before:.0f} before"
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        for suffix in ".ome.tif", ".ome.zarr":
            run(pathlib.Path(folder, f"a{suffix}"), int(sys.argv[1]))
