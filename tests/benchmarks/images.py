"""What does it cost to predict many images, and large ones?

    python tests/benchmarks/images.py [SECTION ...]

Sections, each of ratios within one run; without one, all:

- `sizes`: 40 images of 40 sizes through `predict_images`, against the same
  number of pixels through the bare patch model, compiled, in full batches of
  patches; and how often jax compiles;
- `scene`: a memory map of 20,000 x 20,000 pixels to classes in a file: memory
  beyond that of the interpreter, the model and the libraries, and time per
  pixel against 4,000 x 4,000;
- `files`: a folder of images to files of masks, against decoding, computing
  and writing alone; and a source that sleeps as long as computing takes;
- `kills`: runs that are killed at random moments and gone on with.
"""

import argparse
import filecmp
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

import numpy as np

import keras_patching as kp

import keras  # isort: skip

PATCH = 256
SEED = 0


def default_model():
    keras.utils.set_random_seed(SEED)
    return kp.SemanticSegmentationModel(
        2, patch_size=PATCH, overlap="auto", name="default_unet"
    )


def draw(height, width, seed=SEED):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (height, width, 3), "uint8")


def seconds_of(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def print_bar(what, found, bar):
    verdict = "holds" if found <= bar else "MISSED"
    print(f"{what}: {found:.2f}   bar {bar:g}   {verdict}")


# Forty sizes


class Compilations:
    """Counts what jax compiles while it is entered."""

    def __enter__(self):
        import jax

        self.count = 0
        jax.monitoring.register_event_duration_secs_listener(self._listen)
        return self

    def _listen(self, event, *_, **__):
        self.count += event.endswith("backend_compile_duration")

    def __exit__(self, *error):
        import jax

        jax.monitoring.clear_event_listeners()


def print_sizes(arguments):
    rng = np.random.default_rng(SEED)
    sizes = rng.integers(300, 1500, (40, 2))
    images = [draw(*size, seed=i) for i, size in enumerate(sizes)]
    pixels = sum(image.shape[0] * image.shape[1] for image in images)
    print(f"\n40 images of 40 sizes, {pixels / 1e6:.1f} megapixels")
    print(f"{'':42}{'seconds':>8}{'of bare':>9}{'compiled':>10}")
    bare = bare_seconds(pixels, arguments.rounds)
    print(f"{'bare patches of 256, the fastest batches':42}{bare:8.2f}")
    for name, tiling in {
        "predict_images, rows": {"overlap": "auto"},
        "predict_images, patches of 256": {"overlap": 0},
    }.items():
        model = default_model()
        model.set_tiling(**tiling)

        def run(model=model):
            for _ in model.predict_images(
                images, transform="classes", verbose=False
            ):
                pass

        with Compilations() as compilations:
            cold = seconds_of(run)
        warm = min(seconds_of(run) for _ in range(arguments.rounds))
        count = compilations.count
        print(f"{name + ', first':42}{cold:8.2f}{cold / bare:9.2f}{count:10}")
        print(f"{name + ', again':42}{warm:8.2f}{warm / bare:9.2f}")
        print_bar(f"{name}, again", warm / bare, 1.15)
        print_bar(f"{name}, first", cold / bare, 3)
        print_bar(f"{name}, compilations", count, 3)


def bare_seconds(pixels, rounds):
    """Time of as many pixels through the patch model, in its best batches."""
    net = default_model().patch_model
    count = -(-pixels // PATCH**2)
    times = []
    for batch_size in (1, 4, 16):
        patches = np.concatenate([draw(PATCH, PATCH)[None]] * batch_size)
        net.predict_on_batch(patches)  # Compiles.
        num_batches = -(-count // batch_size)

        def run(patches=patches, num_batches=num_batches):
            for _ in range(num_batches):
                net.predict_on_batch(patches)

        times.append(min(seconds_of(run) for _ in range(rounds)))
    return min(times)


# A scene that is larger than memory should be


def print_scene(arguments):
    found = {}
    for side in (4000, arguments.side):
        command = [sys.executable, __file__, "--measure", str(side)]
        output = subprocess.run(command, check=True, capture_output=True)
        found[side] = [float(each) for each in output.stdout.split()[-2:]]
    print("\nA memory map of RGB to classes in a file")
    print(f"{'side':>8}{'MB':>8}{'seconds':>10}{'ns a pixel':>12}")
    for side, (megabytes, seconds) in found.items():
        each = 1e9 * seconds / side**2
        print(f"{side:8}{megabytes:8.0f}{seconds:10.1f}{each:12.0f}")
    (_, small), (megabytes, large) = found.values()
    print_bar("megabytes", megabytes, 600)
    ratio = (large / arguments.side**2) / (small / 4000**2)
    print_bar("time per pixel, by that of 4000 x 4000", ratio, 1.1)


def measure_scene(side):
    """Print the peak of memory beyond that before, and seconds."""
    model = default_model()
    list(
        model.predict_images([draw(64, 64)], transform="classes", verbose=False)
    )
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "scene.npy"
        scene = np.lib.format.open_memmap(path, "w+", "uint8", (side, side, 3))
        for y in range(0, side, 500):
            scene[y : y + 500] = draw(500, side, seed=y)
        del scene
        before = reset_peak()
        scene = np.load(path, mmap_mode="r")
        start = time.perf_counter()
        model.predict_images(
            [scene],
            transform="classes",
            out=pathlib.Path(folder) / "classes.npy",
            verbose=False,
        )
        seconds = time.perf_counter() - start
        print(peak_megabytes() - before, seconds)


def reset_peak():
    """Let the peak be what is in use now, and give it."""
    pathlib.Path("/proc/self/clear_refs").write_text("5")
    return peak_megabytes()


def peak_megabytes():
    status = pathlib.Path("/proc/self/status").read_text().splitlines()
    (line,) = (each for each in status if each.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


# Files


class Sleepy:
    """An image that takes as long to read as it is told."""

    def __init__(self, image, seconds_a_row):
        self.shape, self.dtype = image.shape, image.dtype
        self._image, self._seconds = image, seconds_a_row

    def __getitem__(self, key):
        rows = self._image[key]
        time.sleep(self._seconds * len(rows))
        return rows


def print_files(arguments):
    model = default_model()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        paths = [folder / f"image_{i}.png" for i in range(8)]
        for i, path in enumerate(paths):
            kp.data.write_image(path, draw(1500, 1500, seed=i))
        images = [kp.data.read_image(path) for path in paths]
        masks = list(
            model.predict_images(images, transform="classes", verbose=False)
        )

        def decode():
            for path in paths:
                kp.data.read_image(path)

        def compute():
            for _ in model.predict_images(
                images, transform="classes", verbose=False
            ):
                pass

        def write():
            for i, mask in enumerate(masks):
                kp.data.write_image(folder / f"mask_{i}.tif", mask)

        def everything():
            model.predict_images(
                paths,
                transform="classes",
                out=f"{folder}/{{name}}_mask.tif",
                overwrite=True,
                verbose=False,
            )

        ways = {
            "decoding": decode,
            "computing": compute,
            "writing": write,
            "all": everything,
        }
        times = {
            name: min(seconds_of(way) for _ in range(arguments.rounds))
            for name, way in ways.items()
        }
    print("\n8 files of 1500 x 1500 pixels to files of masks, seconds")
    for name, seconds in times.items():
        print(f"{name:12}{seconds:8.2f}")
    total = times.pop("all")
    share = max(times.values()) / total
    verdict = "holds" if share >= 0.85 else "MISSED"
    print(f"slowest by all: {share:.2f}   bar 0.85   {verdict}")
    rows = sum(len(image) for image in images)
    sleep = times["computing"] / rows
    sleepy = [Sleepy(image, sleep) for image in images]

    def overlapped():
        for _ in model.predict_images(
            sleepy, transform="classes", verbose=False
        ):
            pass

    seconds = min(seconds_of(overlapped) for _ in range(arguments.rounds))
    print_bar(
        "a source that sleeps, by computing", seconds / times["computing"], 1.25
    )


# Kills

SCRIPT = """
import sys
import keras_patching as kp
model = kp.inference.load_model(sys.argv[1])
print("loaded", flush=True)
model.predict_images(
    sys.argv[3:], transform="classes", out=sys.argv[2], verbose=False
)
"""


def print_kills(arguments):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        model = default_model()
        model.save(folder / "model.keras")
        paths = []
        for i, side in enumerate((600, 2200, 900)):
            paths.append(folder / f"image_{i}.npy")
            np.save(paths[-1], draw(side, side, seed=i))
        names = [f"{path.stem}.npy" for path in paths]
        whole = folder / "whole"
        process = start(folder, whole, paths)
        seconds = seconds_of(process.wait)
        rng, same, kills = random.Random(SEED), 0, 0
        for trial in range(arguments.kills):
            out = folder / f"run_{trial}"
            process = start(folder, out, paths)
            time.sleep(rng.uniform(0, seconds))
            if process.poll() is None:
                kills += 1
                process.send_signal(signal.SIGKILL)
                process.wait()
                if not is_whole(out, names):
                    assert start(folder, out, paths).wait() == 0
            same += filecmp.cmpfiles(whole, out, names, False)[0] == names
            same -= not is_whole(out, names)
    print(f"\n{same} of {arguments.kills} runs, {kills} of them killed midway,")
    print("ended with the same bytes and no other file")


def is_whole(out, names):
    there = out.iterdir() if out.exists() else ()
    return sorted(each.name for each in there) == names


def start(folder, out, paths):
    """Begin to predict in another process, once it has the model."""
    command = [sys.executable, "-c", SCRIPT, folder / "model.keras"]
    command += [f"{out}/{{name}}.npy", *paths]
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE)
    process.stdout.readline()
    return process


SECTIONS = {
    "sizes": print_sizes,
    "scene": print_scene,
    "files": print_files,
    "kills": print_kills,
}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("sections", nargs="*", choices=[[], *SECTIONS])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", type=int, default=20000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--measure", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        measure_scene(arguments.measure)
        return
    print(f"backend: {keras.backend.backend()}")
    for section in arguments.sections or SECTIONS:
        SECTIONS[section](arguments)


if __name__ == "__main__":
    main()
