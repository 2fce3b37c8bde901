"""What does it take to train on whole images, and is it exact?

    python tests/benchmarks/whole_images.py [SECTION ...] [--size 2048]

Sections; without one, all:

- `gradients`: largest relative difference to those of the whole image at once,
  and of the loss, of nets that are trained on in bands of rows;
- `cost`: memory and time of a step of the default U-Net, in bands and at once.

Memory is measured in a process for each way. On jax it is what XLA says that a
step takes beyond images, weights and gradients; elsewhere the peak of the
process, beyond that of a step on a small image.
"""

import argparse
import pathlib
import statistics
import subprocess
import sys
import time

import numpy as np

import keras_patching as kp

import keras  # isort: skip
from keras import ops  # isort: skip

sys.path.append(str(pathlib.Path(__file__).parents[1] / "support"))
sys.path.append(str(pathlib.Path(__file__).parent))
import networks
from gradients import loss_and_gradients
from seamless import peak_megabytes, verdict

NETS = (
    networks.default_unet,
    networks.strided_unet,
    networks.dilated,
    networks.separable_with_batch_normalization,
    networks.quarter_scale,
    networks.residual_pyramid,
)
WAYS = ("at once", "in bands")
SMALL = 64


# Gradients


def freeze_statistics(net):
    for layer in net.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
    return net


def in_bands(net, rows):
    return kp.layers.RowStream(net, rows, training=True)


def at_once(net):
    return lambda images: net(images, training=True)


def loss_of(outputs):
    """Compare with numbers that differ from pixel to pixel."""
    total = 0.0
    for index, output in enumerate(keras.tree.flatten(outputs)):
        rng = np.random.default_rng(index)
        target = rng.normal(size=output.shape).astype("float32")
        total += ops.mean((output - ops.convert_to_tensor(target)) ** 2)
    return total


def relative_difference(ours, exact):
    """Largest of all weights, by the largest gradient of its variable."""
    return max(
        np.abs(one - other).max() / max(np.abs(other).max(), 1e-12)
        for one, other in zip(ours, exact, strict=True)
    )


def print_gradients(arguments):
    multiply_in_full()
    print("\nOf the gradients of the whole image of 168 x 96 pixels, at once")
    print(f"{'':38}{'rows':>5}{'difference':>12}{'of loss':>10}")
    for build in NETS:
        net = freeze_statistics(networks.fill(build()))
        stride, _ = kp.receptive_field(net).stride
        rows = 24 // stride * stride
        images = np.random.default_rng(0).normal(
            size=(1, 168, 96, net.input_shape[-1])
        )
        images = images.astype("float32")
        loss, ours = loss_and_gradients(
            in_bands(net, rows), net, images, loss_of
        )
        try:
            exact_loss, exact = loss_and_gradients(
                at_once(net), net, images, loss_of
            )
        except RuntimeError as error:  # Torch takes not all convolutions.
            print(f"{build.__name__:38}{rows:5}   at once: {error}")
            continue
        difference = relative_difference(ours, exact)
        of_loss = abs(loss - exact_loss) / abs(exact_loss)
        holds = difference <= 1e-5 and of_loss <= 1e-6
        print(
            f"{build.__name__:38}{rows:5}{difference:12.1e}{of_loss:10.1e}"
            f"   bars 1e-5, 1e-6   {verdict(holds)}"
        )


def multiply_in_full():
    """Multiply float32 in float32, also on GPUs."""
    if keras.backend.backend() == "jax":
        import jax

        jax.config.update("jax_default_matmul_precision", "highest")
    elif keras.backend.backend() == "torch":
        import torch

        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
    else:
        import tensorflow as tf

        tf.config.experimental.enable_tensor_float_32_execution(False)


# Memory and time


def step_of(way, size):
    """Return a step of training, and how much memory it tells that it takes.

    Returns:
        Function without arguments, and megabytes, or `None`.
    """
    keras.utils.set_random_seed(0)
    model = kp.SemanticSegmentationModel(patch_size=256, overlap="auto")
    net, loss = model.patch_model, kp.SegmentationLoss(2)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (1, size, size, 3), "uint8")
    masks = rng.integers(0, 2, (1, size, size), "uint8")

    def run(images):
        if way == "in bands":
            return model.predictor(images, training=True)
        return net(ops.cast(images, "float32"), training=True)

    make = STEPS[keras.backend.backend()]
    return make(net, lambda x, y: loss(y, run(x)), images, masks)


def _step_on_jax(net, loss, images, masks):
    import jax

    weights = [each.value for each in net.trainable_variables]

    def run(weights, images, masks):
        pairs = zip(net.trainable_variables, weights, strict=True)
        with keras.StatelessScope(pairs):
            return loss(images, masks)

    step = jax.jit(jax.value_and_grad(run)).lower(weights, images, masks)
    step = step.compile()
    memory = step.memory_analysis().temp_size_in_bytes / 2**20
    arrays = [ops.convert_to_tensor(each) for each in (images, masks)]
    return lambda: jax.block_until_ready(step(weights, *arrays)), memory


def _step_on_torch(net, loss, images, masks):
    images, masks = map(ops.convert_to_tensor, (images, masks))

    def step():
        for each in net.trainable_variables:
            each.value.grad = None
        loss(images, masks).backward()

    return step, None


def _step_on_tensorflow(net, loss, images, masks):
    import tensorflow as tf

    images, masks = map(ops.convert_to_tensor, (images, masks))
    weights = [each.value for each in net.trainable_variables]

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            value = loss(images, masks)
        return tape.gradient(value, weights)

    return step, None


STEPS = {
    "jax": _step_on_jax,
    "tensorflow": _step_on_tensorflow,
    "torch": _step_on_torch,
}


def measure(way, size, rounds):
    """Run in a process of its own: print megabytes and seconds."""
    small, _ = step_of(way, SMALL)
    small()
    base = peak_megabytes()
    step, megabytes = step_of(way, size)
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    if megabytes is None:
        megabytes = peak_megabytes() - base
    print(megabytes, statistics.median(times))


def cost_of(way, size, rounds):
    command = [sys.executable, __file__, "--measure", way]
    command += ["--size", str(size), "--rounds", str(rounds)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    megabytes, seconds = map(float, done.stdout.split()[-2:])
    return megabytes, seconds


def print_cost(arguments):
    size = arguments.size
    print(f"\nA step of the default U-Net on {size} x {size} pixels")
    print(f"{'':12}{'MB':>8}{'seconds':>9}")
    costs = {}
    for way in WAYS:
        costs[way] = cost_of(way, size, arguments.rounds)
        print(f"{way:12}{costs[way][0]:8.0f}{costs[way][1]:9.2f}", flush=True)
    for what, ours, exact, bar in zip(
        ("memory", "time"),
        costs["in bands"],
        costs["at once"],
        (0.1, 1.8),
        strict=True,
    ):
        ratio = ours / exact
        print(
            f"{what} in bands by at once: {ratio:.3f}   bar {bar:g}   "
            f"{verdict(ratio <= bar)}"
        )


SECTIONS = {"gradients": print_gradients, "cost": print_cost}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("sections", nargs="*", choices=[[], *SECTIONS])
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        measure(arguments.measure, arguments.size, arguments.rounds)
        return
    print(f"backend: {keras.backend.backend()}")
    for section in arguments.sections or SECTIONS:
        SECTIONS[section](arguments)


if __name__ == "__main__":
    main()
