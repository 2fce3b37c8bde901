"""Memory and time of maps of 20,000 x 20,000 pixels, GeoTIFF to GeoTIFF.

    python tests/benchmarks/maps.py [SIDE]

Each way runs in a process of its own; its peak is above the imported libraries.
The net has one layer: it is reading and writing that is measured.
"""

import argparse
import pathlib
import re
import subprocess
import sys
import tempfile
import time

WAYS = ("predict_images", "command")


def write_source(path, side):
    import numpy as np
    import rasterio
    from rasterio.windows import Window

    noise = np.random.default_rng(0).integers(1, 255, (3, 512, 512), "uint8")
    with (
        rasterio.Env(GDAL_CACHEMAX=64),
        rasterio.open(
            path,
            "w",
            driver="GTiff",
            width=side,
            height=side,
            count=3,
            dtype="uint8",
            nodata=0,
            crs="EPSG:25832",
            transform=rasterio.transform.from_origin(5e5, 5.5e6, 0.1, 0.1),
            tiled=True,
            blockxsize=512,
            blockysize=512,
            compress="deflate",
        ) as file,
    ):
        for y in range(0, side, 512):
            for x in range(0, side - side // 8, 512):  # the rest is nodata
                height, width = min(512, side - y), min(512, side - x)
                file.write(
                    noise[:, :height, :width],
                    window=Window(x, y, width, height),
                )


def save_model(path):
    import keras

    import keras_patching as kp

    net = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(2, 3, padding="same", activation="softmax"),
        ]
    )
    kp.SemanticSegmentationModel(2, net, overlap="auto", patch_size=256).save(
        path
    )


def peak_megabytes():
    # Not `ru_maxrss`, which a child inherits from the process that started it.
    text = pathlib.Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", text)[1]) / 1024


def measure(way, folder):
    import jax
    import rasterio

    import keras_patching as kp
    from keras_patching.cli import main

    jax.numpy.zeros(1)  # What a backend takes is none of ours.
    base, started = peak_megabytes(), time.perf_counter()
    source, made = folder / "map.tif", folder / f"{way}"
    if way == "command":
        model = str(folder / "net.keras")
        main(["predict", model, str(source), "--out", str(made)])
        made = made / "masks" / "map.tif"
    else:
        model = kp.inference.load_model(folder / "net.keras")
        made = made / "map.tif"
        model.predict_images(
            [source], transform="classes", out=made, verbose=False
        )
    seconds = time.perf_counter() - started
    peak = peak_megabytes() - base
    with rasterio.open(source) as before, rasterio.open(made) as after:
        is_kept = (before.crs, before.transform, before.shape) == (
            after.crs,
            after.transform,
            after.shape,
        )
        overviews = after.overviews(1)
    print(
        f"{way}: peak {peak:.0f} MB, {seconds:.0f} s, reference kept: "
        f"{is_kept}, overviews {overviews}, "
        f"{made.stat().st_size / 1e6:.0f} MB",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("side", type=int, nargs="?", default=20_000)
    parser.add_argument("--way", choices=WAYS)
    parser.add_argument("--folder", type=pathlib.Path)
    options = parser.parse_args()
    if options.way:
        measure(options.way, options.folder)
        return
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        write_source(folder / "map.tif", options.side)
        save_model(folder / "net.keras")
        for way in WAYS:
            subprocess.run(
                [sys.executable, __file__, "--way", way, "--folder", folder],
                check=True,
            )


if __name__ == "__main__":
    main()
