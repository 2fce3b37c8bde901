"""Is tiled prediction that of the whole image, and what does it cost?

    python tests/benchmarks/seamless.py [--rounds 3]

Tables, each of differences or ratios within one run:

1. the largest difference to the whole image, with `overlap="auto"`, of nets of
   every kind and of nets drawn at random, on images that nothing divides;
2. time and peak memory of the default U-Net in tiles of 512 and in bands of
   512 rows, against the whole image at once;
3. peak memory at 8192 x 8192, beyond input and output;
4. a peer, if it is installed: on torch MONAI's `sliding_window_inference`
   (`pip install monai`), with the fastest of its windows that need no more
   memory (where none does, with that of the least), and with the fastest of
   all; on tensorflow csbdeep's `predict_tiled`
   (`pip install csbdeep`), with as many tiles and the halo of
   `receptive_field`.
"""

import argparse
import dataclasses
import functools
import importlib.util
import math
import pathlib
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

import keras_patching as kp

import keras  # isort: skip

sys.path.append(str(pathlib.Path(__file__).parents[1] / "support"))
from networks import NETWORKS, fill, random_network

TILES = {"tiles of 512": (512, 512), "bands of (512, None)": (512, None)}
# MONAI's windows, and how many at a time: few of the large ones are fastest.
WINDOWS = (
    (128, 1),
    (128, 4),
    (192, 1),
    (192, 4),
    (256, 4),
    (384, 1),
    (512, 1),
    (768, 1),
)
SMALL = 64  # Rows of an image that compiles everything that is measured.


# Differences


def largest_difference(patch_model, size):
    field = kp.receptive_field(patch_model)
    patch = tuple(
        overlap + 3 * stride
        for overlap, stride in zip(field.overlap, field.stride, strict=True)
    )
    predictor = kp.PatchedPredictor(patch_model, patch, overlap="auto")
    rng = np.random.default_rng(0)
    images = rng.normal(size=(1, *size, patch_model.input_shape[-1]))
    report = kp.verify_tiling(predictor, images.astype("float32"))
    return report.largest_difference, report.grid.num_patches


def print_differences(random_nets):
    nets = {network.__name__: network() for network in NETWORKS}
    nets |= {f"random {n}": random_network(n) for n in range(random_nets)}
    print("\nLargest difference to the whole image of 211 x 173 pixels")
    print(f"{'':38}{'patches':>8}{'difference':>12}   bar 1e-5")
    for name, net in nets.items():
        difference, patches = largest_difference(fill(net), (211, 173))
        print(
            f"{name:38}{patches:8}{difference:12.1e}   "
            f"{verdict(difference <= 1e-5)}"
        )


def verdict(holds):
    return "holds" if holds else "MISSED"


# Ways to predict an image


@dataclasses.dataclass(frozen=True)
class Way:
    """How an image is predicted, and how much is computed for it."""

    predict: Callable
    recomputation: Callable = lambda size: 1.0


@functools.cache
def patch_model():
    keras.utils.set_random_seed(0)
    return kp.SemanticSegmentationModel().patch_model


def whole_image():
    return Way(lambda image: patch_model().predict(image, verbose=0))


def tiled(patch_size):
    model = kp.PatchedModel(
        patch_model(), 128, overlap="auto", predict_patch_size=patch_size
    )
    return Way(
        lambda image: model.predict(image, verbose=0), model.recomputation
    )


def monai(window, batch_size):
    import torch
    from monai.inferers import sliding_window_inference

    computed = []

    def run(patches):
        computed.append(patches.shape[0] * window**2)
        outputs = patch_model()(patches.permute(0, 2, 3, 1))
        return outputs.permute(0, 3, 1, 2)

    def predict(image):
        computed.clear()
        images = torch.from_numpy(image).permute(0, 3, 1, 2).float()
        with torch.no_grad():
            outputs = sliding_window_inference(
                images, window, batch_size, run, overlap=0.25, mode="gaussian"
            )
        return outputs.permute(0, 2, 3, 1).numpy()

    # Of the image that was predicted last.
    return Way(predict, lambda size: sum(computed) / math.prod(size))


def csbdeep(patch_size):
    from csbdeep.internals.predict import predict_tiled

    field = kp.receptive_field(patch_model())
    ours = kp.PatchedPredictor(
        patch_model(), 128, overlap="auto", predict_patch_size=patch_size
    )

    def predict(image):
        grid = ours.patch_grid(image.shape[1:3])
        return predict_tiled(
            patch_model(),
            image[0].astype("float32"),
            (grid.rows, grid.cols, 1),
            (*field.stride, 1),
            (*field.halo, 0),
            "YXC",
        )[None]

    return Way(predict, ours.recomputation)


def ways():
    """Dict from name to a function that makes a way."""
    every = {"whole image": whole_image}
    for name, patch_size in TILES.items():
        every[name] = functools.partial(tiled, patch_size)
    if has_peer("torch", "monai"):
        for window, batch_size in WINDOWS:
            name = f"MONAI, {window}, {batch_size} at a time"
            every[name] = functools.partial(monai, window, batch_size)
    if has_peer("tensorflow", "csbdeep"):
        for name, patch_size in TILES.items():
            every[f"csbdeep, {name}"] = functools.partial(csbdeep, patch_size)
    return every


def has_peer(backend, package):
    found = importlib.util.find_spec(package) is not None
    return found and keras.backend.backend() == backend


# Time and memory


def image_of(height, width):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (1, height, width, 3), "uint8")


def seconds(predict, image):
    start = time.perf_counter()
    predict(image)
    return time.perf_counter() - start


def time_of(made, image, rounds):
    """Time the ways in turn, so that noise falls on all of them."""
    for way in made.values():
        for _ in range(2):
            way.predict(image)
    times = {name: [] for name in made}
    for _ in range(rounds):
        for name, way in made.items():
            times[name].append(seconds(way.predict, image))
    return {name: statistics.median(values) for name, values in times.items()}


def peak_megabytes():
    # Not `ru_maxrss`, which a child inherits from the process that started it.
    status = pathlib.Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024


def measure_memory(name, size):
    """Run in a process of its own: print the peak beyond input and output.

    The libraries, and an image so small that they have all been used, come
    before.
    """
    way = ways()[name]()
    way.predict(image_of(SMALL, SMALL))
    base = peak_megabytes()
    image = image_of(size, size)
    output = way.predict(image)
    megabytes = (image.nbytes + output.nbytes) / 2**20
    print(peak_megabytes() - base - megabytes, megabytes)


def memory_of(name, size):
    command = [sys.executable, __file__, "--memory", name, "--size", str(size)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    peak, of_image = done.stdout.split()[-2:]
    return float(peak), float(of_image)


def print_cost(size, rounds):
    image = image_of(size, size)
    made = {name: make() for name, make in ways().items()}
    expected = made["whole image"].predict(image)
    times = time_of(made, image, rounds)
    memory = {name: memory_of(name, size) for name in made}
    whole = times["whole image"]
    most = sum(memory["whole image"])
    print(
        f"\nThe default U-Net at {size} x {size}, median of {rounds} in turn;"
    )
    print("megabytes beyond input and output, shares with them")
    print(
        f"{'':34}{'seconds':>8}{'of whole':>9}{'computed':>9}{'MB':>6}"
        f"{'of whole':>9}{'error':>9}"
    )
    for name, way in made.items():
        error = np.abs(way.predict(image) - expected).max()
        print(
            f"{name:34}{times[name]:8.2f}{times[name] / whole:9.2f}"
            f"{way.recomputation((size, size)):9.2f}{memory[name][0]:6.0f}"
            f"{sum(memory[name]) / most:9.2f}{error:9.1e}"
        )
    for name in TILES:
        computed = made[name].recomputation((size, size))
        ratio = times[name] / whole / computed
        share = sum(memory[name]) / most
        print(
            f"{name}: time by what is computed {ratio:.2f}   bar 1.05   "
            f"{verdict(ratio <= 1.05)};  memory {share:.2f}   bar 0.4   "
            f"{verdict(share <= 0.4)}"
        )
    print_peers(times, memory)


def best_of_monai(ours, times, memory):
    """Give the fastest that needs no more memory, and the fastest of all.

    Where all of them need more, that of the least takes the place of the first.
    """
    every = [name for name in times if name.startswith("MONAI")]
    if not every:
        return []
    small = [name for name in every if memory[name] <= memory[ours]]
    first = min(small, key=times.get) if small else min(every, key=memory.get)
    return list(dict.fromkeys([first, min(every, key=times.get)]))


def print_peers(times, memory):
    for ours in TILES:
        for theirs in best_of_monai(ours, times, memory):
            ratio = times[ours] / times[theirs]
            share = memory[ours][0] / memory[theirs][0]
            print(
                f"{ours}: time by that of {theirs} {ratio:.2f}   bar 0.55   "
                f"{verdict(ratio <= 0.55)};  memory by its own {share:.2f}"
            )
        if f"csbdeep, {ours}" in times:
            ratio = times[ours] / times[f"csbdeep, {ours}"]
            print(
                f"{ours}: time by that of csbdeep {ratio:.2f}   bar 1.0   "
                f"{verdict(ratio <= 1.0)}"
            )


def print_large(size):
    print(f"\nPeak memory at {size} x {size}, beyond input and output")
    for name in TILES:
        peak, of_image = memory_of(name, size)
        print(
            f"{name:34}{peak:6.0f} MB ({of_image:.0f} MB are input and "
            f"output)   bar 1500   {verdict(peak <= 1500)}"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--large", type=int, default=8192, help="0: leave out")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--random-nets", type=int, default=12)
    parser.add_argument("--memory", help=argparse.SUPPRESS)
    parser.add_argument(
        "--differences", action="store_true", help="print the first table only"
    )
    arguments = parser.parse_args()
    if arguments.memory:
        measure_memory(arguments.memory, arguments.size)
        return
    print(f"backend: {keras.backend.backend()}")
    print_differences(arguments.random_nets)
    if arguments.differences:
        return
    print_cost(arguments.size, arguments.rounds)
    if arguments.large:
        print_large(arguments.large)


if __name__ == "__main__":
    main()
