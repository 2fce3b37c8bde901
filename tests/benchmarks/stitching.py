"""What does tiling cost beside the patch model?

    python tests/benchmarks/stitching.py [--size 2048] [--rounds 5]

Tables, each of ratios within one run:

1. the default U-Net in tiles that share pixels, against the bare patch model
   on as many patches that are cut already, in as large batches;
2. the same with a patch model of one 1 x 1 convolution, which is nearly all
   cutting and stitching, for each blend, one patch at a time and in chunks of
   several rows; on torch beside MONAI's `sliding_window_inference`
   (`pip install monai`);
3. patches that are there already, stitched; beside `tiler`'s `Merger`
   (`pip install tiler`).

Where other programs run, torch waits for its threads: set `OMP_NUM_THREADS=1`.
"""

import argparse
import functools
import importlib.util
import statistics
import time

import numpy as np

import keras_patching as kp
from keras_patching.ops.compiling import compiled_on_jax
from keras_patching.ops.patch_writing import InPlaceWriter
from keras_patching.ops.patches import (
    extract_patches,
    pad_to_grid,
    stitch_patches,
)

import keras  # isort: skip
from keras import ops  # isort: skip

TILE, OVERLAP = 512, 96  # Those of the default U-Net without seams, about.
WINDOW, SHARED, CHUNK = 256, 128, 16  # A row of patches has 15 at 2048.
CLASSES = 2


def image_of(size):
    image = np.random.default_rng(0).random((1, size, size, 3), "float32")
    return ops.convert_to_tensor(image)


def point_model():
    """A patch model of one 1 x 1 convolution."""
    return keras.Sequential(
        [keras.Input((None, None, 3)), keras.layers.Conv2D(CLASSES, 1)]
    )


def unet():
    return kp.SemanticSegmentationModel(
        patch_size=TILE, num_classes=CLASSES
    ).patch_model


def compiled(layer):
    """Give a function of a layer, compiled where the backend does that."""
    if keras.backend.backend() == "jax":
        import jax

        function = jax.jit(lambda images: layer(images, training=False))
        return lambda images: jax.block_until_ready(function(images))
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(lambda images: layer(images, training=False))

    import torch

    def run(images):
        with torch.no_grad():
            return layer(images, training=False)

    return run


def tiled(patch_model, patch_size, **kwargs):
    return compiled(kp.PatchedPredictor(patch_model, patch_size, **kwargs))


def bare(patch_model, grid, images, batch_size):
    """Run a patch model on patches that are cut already."""
    run = compiled(patch_model)
    patches = extract_patches(pad_to_grid(images, grid), grid)
    patches = ops.reshape(patches, (-1, *patches.shape[3:]))
    batches = [
        patches[first : first + batch_size]
        for first in range(0, len(patches), batch_size)
    ]
    return lambda _: [run(batch) for batch in batches]


def monai(patch_model, images):
    """Run MONAI's windows; its images are channels-first."""
    from monai.inferers import sliding_window_inference

    first = ops.transpose(images, (0, 3, 1, 2)).contiguous()
    weights = [ops.convert_to_tensor(each) for each in patch_model.weights]
    kernel, bias = weights[0].permute(3, 2, 0, 1), weights[1]

    def run_windows(mode):
        import torch

        with torch.no_grad():
            return sliding_window_inference(
                first,
                WINDOW,
                CHUNK,
                lambda x: torch.nn.functional.conv2d(x, kernel, bias),
                overlap=SHARED / WINDOW,
                mode=mode,
            )

    return run_windows


def stitched(patches, grid, blend):
    """Give a function that stitches patches which are there."""
    if keras.backend.backend() == "torch":

        def write():
            writer = InPlaceWriter(1, patches, grid, (1, 1), blend)
            writer.write(patches, [(0, i) for i in range(len(patches))])
            return ops.convert_to_numpy(writer.finish())

        return write

    stitch = compiled_on_jax("grid", "blend")(stitch_patches)
    patches = ops.reshape(
        patches, (1, grid.rows, grid.cols, *patches.shape[1:])
    )
    return lambda: ops.convert_to_numpy(stitch(patches, grid, blend=blend))


def merged(patches, grid):
    """Give a function that stitches patches by `tiler`."""
    from tiler import Merger, Tiler

    size = (*grid.image_size, CLASSES)
    cut = Tiler(size, (*grid.patch_size, CLASSES), overlap=(*grid.overlap, 0))
    patches = ops.convert_to_numpy(patches)

    def merge():
        made = Merger(cut, window="boxcar", save_visits=False)
        for index, patch in enumerate(patches):
            made.add(index, patch)
        return made.merge(unpad=True)

    return merge


def is_there(name):
    if importlib.util.find_spec(name) is not None:
        return True
    print(f"({name} is not installed: pip install {name})")
    return False


def median_times(functions, rounds):
    """Time functions in turn, so that noise falls on all of them."""
    times = {name: [] for name in functions}
    for counted in range(-1, rounds):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            if counted >= 0:
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def print_table(title, functions, rounds):
    """Print times, as ratios to the last of them."""
    times = median_times(functions, rounds)
    last = list(times)[-1]
    print(f"\n{title}, median of {rounds} rounds in turn")
    print(f"{'':44}{'ms':>9}  of {last}")
    for name, value in times.items():
        print(f"{name:44}{value * 1e3:9.1f}{value / times[last]:9.2f}")


def print_exact_tiles(size, rounds):
    images, patch_model = image_of(size), unet()
    grid = kp.PatchGrid((size, size), TILE, OVERLAP, 16)
    functions = {
        f"tiles, {n} at a time": functools.partial(
            tiled(
                patch_model,
                TILE,
                overlap=OVERLAP,
                multiple_of=16,
                patch_batch_size=n,
            ),
            images,
        )
        for n in (1, 2 * grid.cols)
    }
    for n in (2 * grid.cols, 1):
        run = bare(patch_model, grid, images, n)
        functions[f"bare, {n} at a time"] = functools.partial(run, images)
    title = f"The default U-Net, {grid.num_patches} tiles of {TILE}"
    print_table(title, functions, rounds)


def print_point_model(size, rounds):
    images, patch_model = image_of(size), point_model()
    grid = kp.PatchGrid((size, size), WINDOW, SHARED)
    functions = {
        f'blend="{blend}", {n} at a time': functools.partial(
            tiled(
                patch_model,
                WINDOW,
                overlap=SHARED,
                blend=blend,
                patch_batch_size=n,
            ),
            images,
        )
        for blend in ("crop", "mean", "gaussian")
        for n in (1, CHUNK)
    }
    if keras.backend.backend() == "torch" and is_there("monai"):
        for mode in ("constant", "gaussian"):
            functions[f"MONAI, {mode}, {CHUNK} at a time"] = functools.partial(
                monai(patch_model, images), mode
            )
    run = bare(patch_model, grid, images, CHUNK)
    functions[f"bare, {CHUNK} at a time"] = functools.partial(run, images)
    title = f"One 1 x 1 convolution, {grid.num_patches} windows of {WINDOW}"
    print_table(title, functions, rounds)


def print_blending(size, rounds):
    grid = kp.PatchGrid((size, size), WINDOW, SHARED)
    patches = keras.random.uniform(
        (grid.num_patches, *grid.patch_size, CLASSES)
    )
    functions = {
        f'blend="{blend}"': stitched(patches, grid, blend)
        for blend in ("crop", "mean", "gaussian")
    }
    if is_there("tiler"):
        functions["tiler, boxcar"] = merged(patches, grid)
    title = f"{grid.num_patches} patches of {WINDOW} that are there"
    print_table(title, functions, rounds)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    print(f"backend: {keras.backend.backend()}")
    print_exact_tiles(arguments.size, arguments.rounds)
    print_point_model(arguments.size, arguments.rounds)
    print_blending(arguments.size, arguments.rounds)


if __name__ == "__main__":
    main()
