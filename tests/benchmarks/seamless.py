"""Is seamless prediction that of the whole image, and what does it cost?

    python tests/benchmarks/seamless.py [SECTION ...] [--rounds 3]

Sections, each of differences or ratios within one run; without one, all:

- `differences`: to the whole image, of nets of every kind, of nets drawn at
  random and of encoders of keras.applications with decoders, whose rows are
  streamed, on an image that nothing divides;
- `unet`: time and memory of the default U-Net, streamed and in tiles of 512,
  against the whole image at once and bare patches of 256, which have seams;
  on torch with MONAI also against its `sliding_window_inference` (`pip install
  monai`), on tensorflow with csbdeep against its `predict_tiled` (`pip install
  csbdeep`) with as many tiles or bands as without seams and their halo;
- `resnet`: the same of a U-Net on keras.applications' ResNet-50;
- `memory`: of 8192 x 8192 pixels, beyond input and output;
- `sizes`: time against size.

Time is taken in turn, so that noise falls on all; memory in a process for
each: the peak beyond that of a small image, and beyond input and output.
"""

import argparse
import dataclasses
import functools
import importlib.util
import itertools
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
import published_networks
from networks import NETWORKS, fill, random_network

# MONAI's windows, and how many at a time: few of the large ones are fastest.
WINDOWS = (
    (128, 1),
    (128, 4),
    (192, 1),
    (192, 4),
    (256, 1),
    (256, 4),
    (384, 1),
    (512, 1),
    (768, 1),
)
PATCH, TILE = 256, 512
SMALL = 64  # Pixels of an image, run at once, that makes libraries load.


# Differences


def full_depth():
    """The nets of `published_networks` that are cut short in tests."""
    every = {
        "convnext_unet": {"scales": 4},
        "densenet_unet": {"scales": 5},
        "mobilenet_unet": {"scales": 5},
        "resnet_pyramid": {"scales": 5},
        "resnet_unet": {"scales": 5},
    }
    return {
        f"{name}, full depth": functools.partial(
            getattr(published_networks, name), **options
        )
        for name, options in every.items()
    }


def nets(random_nets):
    """Dict from name to a function that builds a net."""
    built = (*NETWORKS, *published_networks.PUBLISHED)
    every = {build.__name__: build for build in built}
    for seed in range(random_nets):
        every[f"random {seed}"] = functools.partial(random_network, seed)
    return every | full_depth()


def print_differences(arguments):
    size = 211, 173
    print("\nLargest difference to the whole image of 211 x 173 pixels, and")
    print("what is computed for each pixel of 8192 x 8192")
    print(f"{'':38}{'rows':>5}{'computed':>9}{'values':>8}{'difference':>12}")
    for name, build in nets(arguments.random_nets).items():
        try:
            print_difference(name, fill(build()), size)
        except ValueError as error:
            print(f"{name:38}   REFUSED: {str(error).splitlines()[0]}")


def print_difference(name, net, size):
    stride = kp.receptive_field(net).stride
    rows = max(64 // stride[0], 1) * stride[0]
    predictor = kp.PatchedPredictor(
        net, 8 * stride[0], overlap="auto", predict_patch_size=(rows, None)
    )
    rng = np.random.default_rng(0)
    images = rng.normal(size=(1, *size, net.input_shape[-1]))
    images = images.astype("float32")
    report = kp.verify_tiling(predictor, images)
    outputs = keras.tree.flatten(predictor(images))
    values = max(float(keras.ops.max(keras.ops.abs(x))) for x in outputs)
    difference = report.largest_difference
    print(
        f"{name:38}{rows:5}{predictor.recomputation((8192, 8192)):9.3f}"
        f"{values:8.2f}{difference:12.1e}   bar 1e-5   "
        f"{verdict(difference <= 1e-5)}"
    )


def verdict(holds):
    return "holds" if holds else "MISSED"


# Ways to predict an image


def as_it_is(value):
    return value


@dataclasses.dataclass(frozen=True)
class Way:
    """How an image is predicted, and how much is computed for it.

    Attributes:
        predict: Takes what `prepare` makes of an image, which is not timed;
            `finish` makes an image of what it returns.
        recomputation: Takes the size of an image.
    """

    predict: Callable
    recomputation: Callable = lambda size: 1.0
    prepare: Callable = as_it_is
    finish: Callable = as_it_is


def default_unet():
    keras.utils.set_random_seed(0)
    return kp.SemanticSegmentationModel().patch_model


def resnet_unet():
    return fill(published_networks.unet_of("ResNet50", filters=16))


MODELS = {
    "unet": functools.cache(default_unet),
    "resnet": functools.cache(resnet_unet),
}


def whole_image(net):
    return Way(lambda image: net.predict(image, verbose=0))


def bare_patches(net, batch_size):
    def predict(patches):
        return net.predict(patches, batch_size, verbose=0)

    return Way(predict, prepare=cut_apart, finish=put_together)


def cut_apart(image):
    side = min(PATCH, image.shape[1])
    count = image.shape[1] // side
    patches = image.reshape(count, side, count, side, -1).swapaxes(1, 2)
    return np.ascontiguousarray(patches).reshape(-1, side, side, 3)


def put_together(outputs):
    count = math.isqrt(len(outputs))
    _, *sides, channels = outputs.shape
    patches = outputs.reshape(count, count, *sides, channels).swapaxes(1, 2)
    return patches.reshape(1, count * sides[0], count * sides[1], channels)


def seamless(net, patch_size):
    model = kp.PatchedModel(
        net, PATCH, overlap="auto", predict_patch_size=patch_size
    )
    return Way(
        lambda image: model.predict(image, verbose=0), model.recomputation
    )


IN_A_GRAPH = "streamed, in a graph"


def in_a_graph(net):
    """Streamed, without what `predict` of Keras copies at the end."""
    inputs = keras.Input((None, None, 3), dtype="uint8")
    outputs = kp.PatchedPredictor(net, PATCH, overlap="auto")(inputs)
    model = keras.Model(inputs, outputs)
    run = COMPILE[keras.backend.backend()](model)
    # The image is where it is computed, as the output is.
    return Way(
        run,
        prepare=keras.ops.convert_to_tensor,
        finish=keras.ops.convert_to_numpy,
    )


def _compile_on_jax(model):
    import jax

    values = model.trainable_variables, model.non_trainable_variables
    values = [[each.value for each in some] for some in values]
    run = jax.jit(lambda values, x: model.stateless_call(*values, x)[0])
    return lambda image: run(values, image).block_until_ready()


def _compile_on_tensorflow(model):
    import tensorflow as tf

    return tf.function(model)


def _compile_on_torch(model):
    import torch

    def run(image):
        with torch.no_grad():
            return model(image)

    return run


COMPILE = {
    "jax": _compile_on_jax,
    "tensorflow": _compile_on_tensorflow,
    "torch": _compile_on_torch,
}


def monai(net, window, batch_size):
    import torch
    from monai.inferers import sliding_window_inference

    computed = []

    def run(patches):
        computed.append(patches.shape[0] * window**2)
        return net(patches.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

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


def csbdeep(net, patch_size):
    from csbdeep.internals.predict import predict_tiled

    field = kp.receptive_field(net)

    def predict(image):
        grid = kp.PatchGrid(
            image.shape[1:3], patch_size, field.overlap, field.stride
        )
        return predict_tiled(
            net,
            image[0].astype("float32"),
            (grid.rows, grid.cols, 1),
            (*field.stride, 1),
            (*field.halo, 0),
            "YXC",
        )[None]

    return Way(predict, lambda size: math.nan)


def ways(net):
    """Dict from name to a function that makes a way."""
    every = {"whole image": functools.partial(whole_image, net)}
    for count in (1, 4, 16):
        name = f"bare patches of {PATCH}, {count} at a time"
        every[name] = functools.partial(bare_patches, net, count)
    every["streamed"] = functools.partial(seamless, net, None)
    field = kp.receptive_field(net)
    if max(field.overlap) < TILE // 2:
        tiles = (TILE, TILE)
        every[f"tiles of {TILE}"] = functools.partial(seamless, net, tiles)
    if has_peer("torch", "monai"):
        for window, count in WINDOWS:
            name = f"MONAI, {window}, {count} at a time"
            every[name] = functools.partial(monai, net, window, count)
    if has_peer("tensorflow", "csbdeep"):
        for name, size in (("tiles", (TILE, TILE)), ("bands", (TILE, None))):
            name = f"csbdeep, {name} of {TILE}"
            every[name] = functools.partial(csbdeep, net, size)
    return every


def has_peer(backend, package):
    found = importlib.util.find_spec(package) is not None
    return found and keras.backend.backend() == backend


# Time and memory


def image_of(size):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (1, size, size, 3), "uint8")


def seconds(function, value):
    start = time.perf_counter()
    function(value)
    return time.perf_counter() - start


def time_in_turn(functions, rounds):
    """Time functions `{key: (function, argument)}`: a list for each key."""
    for function, value in functions.values():
        function(value)
    times = {key: [] for key in functions}
    for _ in range(rounds):
        for key, (function, value) in functions.items():
            times[key].append(seconds(function, value))
    return times


def median_of(times):
    return {key: statistics.median(each) for key, each in times.items()}


def peak_megabytes():
    # Not `ru_maxrss`, which a child inherits from the process that started it.
    status = pathlib.Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024


def measure_memory(model, name, size):
    """Run in a process of its own: print the peak beyond input and output.

    The libraries, and an image so small that they have all been used, come
    before.
    """
    net = MODELS[model]()
    way = in_a_graph(net) if name == IN_A_GRAPH else ways(net)[name]()
    way.predict(way.prepare(image_of(SMALL)))
    base = peak_megabytes()
    prepared = way.prepare(image_of(size))
    output = way.predict(prepared)
    peak = peak_megabytes() - base
    output = way.finish(output)
    print(peak - (prepared.nbytes + output.nbytes) / 2**20)


def memory_of(model, name, size):
    command = [sys.executable, __file__, model, "--measure", name]
    command += ["--size", str(size)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return float(done.stdout.split()[-1])


@dataclasses.dataclass(frozen=True)
class Cost:
    """Of a way: seconds, megabytes, pixels computed for each, difference."""

    time: float
    memory: float
    computed: float
    error: float


def costs_of(model, size, rounds):
    """Dict from the name of each way to its `Cost`."""
    image = image_of(size)
    made = {name: make() for name, make in ways(MODELS[model]()).items()}
    inputs = {name: way.prepare(image) for name, way in made.items()}
    expected = made["whole image"].predict(image)
    functions = {name: (made[name].predict, inputs[name]) for name in made}
    times = median_of(time_in_turn(functions, rounds))
    return {
        name: Cost(
            times[name],
            memory_of(model, name, size),
            way.recomputation((size, size)),
            np.abs(way.finish(way.predict(inputs[name])) - expected).max(),
        )
        for name, way in made.items()
    }


def print_costs(title, costs):
    whole = costs["whole image"]
    print(f"\n{title}; megabytes beyond input and output")
    print(
        f"{'':34}{'seconds':>8}{'of whole':>9}{'MB':>7}{'of whole':>9}"
        f"{'computed':>9}{'error':>9}"
    )
    for name, cost in costs.items():
        print(
            f"{name:34}{cost.time:8.2f}{cost.time / whole.time:9.2f}"
            f"{cost.memory:7.0f}{cost.memory / whole.memory:9.2f}"
            f"{cost.computed:9.2f}{cost.error:9.1e}"
        )


def print_bar(what, ours, theirs, bar):
    """Say how what is streamed compares with something else."""
    ratio = ours / theirs
    print(
        f"streamed, {what}: {ratio:.2f}   bar {bar:g}   {verdict(ratio <= bar)}"
    )


def print_against_whole(costs, time_bar, memory_bar):
    ours, whole = costs["streamed"], costs["whole image"]
    print_bar("time by the whole image's", ours.time, whole.time, time_bar)
    print_bar("MB by the whole image's", ours.memory, whole.memory, memory_bar)


def print_unet(arguments):
    costs = costs_of("unet", arguments.size, arguments.rounds)
    print_costs(f"The default U-Net at {arguments.size} pixels square", costs)
    print_against_whole(costs, 0.95, 0.1)
    best = min(cost.time for name, cost in costs.items() if "bare" in name)
    ours = costs["streamed"].time
    print_bar("time by the best bare patches'", ours, best, 1.15)
    print_peers(costs)


def print_peers(costs):
    ours = costs["streamed"].time
    for peer, bar in (("MONAI", 0.85), ("csbdeep", 0.8)):
        every = [name for name in costs if name.startswith(peer)]
        if every:
            fastest = min(every, key=lambda name: costs[name].time)
            what = f"time by the fastest, {fastest}"
            print_bar(what, ours, costs[fastest].time, bar)
        if every and peer == "MONAI":
            small = of_equal_memory(every, costs)
            what = f"time by that of equal memory, {small}"
            print_bar(what, ours, costs[small].time, 0.55)


def of_equal_memory(names, costs):
    """Give the fastest that needs no more memory than what is streamed.

    Where all need more, the one that needs least.
    """
    most = costs["streamed"].memory
    small = [name for name in names if costs[name].memory <= most]
    if small:
        return min(small, key=lambda name: costs[name].time)
    return min(names, key=lambda name: costs[name].memory)


def print_resnet(arguments):
    costs = costs_of("resnet", arguments.size, arguments.rounds)
    print_costs(f"The ResNet-50 U-Net at {arguments.size} pixels square", costs)
    print_against_whole(costs, 1.05, 0.15)


def print_memory(arguments):
    size = arguments.large
    print(f"\nMegabytes beyond input and output at {size} pixels square")
    peak = memory_of("unet", IN_A_GRAPH, size)
    print(f"{IN_A_GRAPH:34}{peak:7.0f}   bar 200   {verdict(peak <= 200)}")
    peak = memory_of("unet", "streamed", size)
    print(f"{'streamed, with `predict`':34}{peak:7.0f}")


def print_sizes(arguments):
    way = seamless(MODELS["unet"](), None)
    functions = {
        size: (way.predict, image_of(size)) for size in arguments.sizes
    }
    times = median_of(time_in_turn(functions, arguments.rounds))
    print("\nTime of the streamed default U-Net against size")
    print(f"{'size':>6}{'seconds':>10}{'ns a pixel':>12}")
    for size, value in times.items():
        print(f"{size:6}{value:10.2f}{value / size**2 * 1e9:12.0f}")
    slopes = [
        (times[large] - times[small]) / (large**2 - small**2)
        for small, large in itertools.pairwise(arguments.sizes)
    ]
    print("slopes, ns a pixel:", *(f"{slope * 1e9:.0f}" for slope in slopes))
    print_bar("steepest slope by the flattest", max(slopes), min(slopes), 1.15)


SECTIONS = {
    "differences": print_differences,
    "unet": print_unet,
    "resnet": print_resnet,
    "memory": print_memory,
    "sizes": print_sizes,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("sections", nargs="*", choices=[[], *SECTIONS])
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--large", type=int, default=8192)
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=[1024, 2048, 4096, 8192]
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--random-nets", type=int, default=12)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        measure_memory(*arguments.sections, arguments.measure, arguments.size)
        return
    print(f"backend: {keras.backend.backend()}")
    for section in arguments.sections or SECTIONS:
        SECTIONS[section](arguments)


if __name__ == "__main__":
    main()
