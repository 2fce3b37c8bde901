"""What does it cost, and does it help, to train on whole images?

    python tests/benchmarks/whole_or_patches.py memory [--figure memory.png]
    python tests/benchmarks/whole_or_patches.py helps DATA [--seeds 0 1 2]

- `memory`: what one step of training of the default U-Net takes beyond images,
  masks and weights, in bands and at once, of images of several sizes: XLA's own
  account of the compiled step, which is not run (jax);
- `helps`: two nets of one kind see the same number of pixels in each step and
  in all: one patches drawn from all images, one whole images. Of `coffee_leaf`
  (symptoms, 1.3% of the pixels, images of 192 x 384)
  it prints the IoU of the symptoms, of `urban_trees` the mean absolute error
  of the counts, of images that neither was trained on, predicted whole without
  seams. DATA holds both folders.
"""

import argparse
import dataclasses
import pathlib
import time

import numpy as np
from real_training import cpu_minutes, learning_rate

import keras_patching as kp
from keras_patching.models.unet import unet

import keras  # isort: skip

SIZES = (512, 1024, 2048, 4096, 8192, 16384)
LARGEST_AT_ONCE = 8192
MEGABYTE = 2**20
PATCH = 256

FILTERS = (8, 16, 32, 64)  # Half of the default U-Net's.
HIGHEST_RATE = 2e-3


# Memory


def bytes_of_step(size, in_bands):
    """Give what a step of training takes, of one image of `size` squared."""
    import jax

    model = kp.SemanticSegmentationModel(
        2,
        patch_size=PATCH if in_bands else size,
        overlap="auto" if in_bands else 0,
    )
    loss = kp.SegmentationLoss(2)

    def loss_of(trainable, others, images, masks):
        predicted, _ = model.stateless_call(
            trainable, others, images, training=True
        )
        return loss(masks, predicted)

    weights = [
        [jax.ShapeDtypeStruct(each.shape, each.dtype) for each in variables]
        for variables in (
            model.trainable_variables,
            model.non_trainable_variables,
        )
    ]
    shape = 1, size, size
    step = jax.jit(jax.grad(loss_of)).lower(
        *weights,
        jax.ShapeDtypeStruct((*shape, 3), "uint8"),
        jax.ShapeDtypeStruct(shape, "uint8"),
    )
    return step.compile().memory_analysis().temp_size_in_bytes


def print_memory(arguments):
    print("Megabytes of a step beyond images, masks and weights")
    print(f"{'size':>6}{'at once':>10}{'in bands':>10}{'share':>8}")
    found = {"at once": {}, "in bands": {}}
    for size in arguments.sizes:
        bands = found["in bands"][size] = bytes_of_step(size, True) / MEGABYTE
        text = f"{'':10}{bands:10.0f}"
        if size <= LARGEST_AT_ONCE:
            whole = bytes_of_step(size, False) / MEGABYTE
            found["at once"][size] = whole
            text = f"{whole:10.0f}{bands:10.0f}{bands / whole:8.2f}"
        print(f"{size:6}{text}", flush=True)
    if arguments.figure:
        draw_memory(found, arguments.figure)


def draw_memory(found, path):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 3.2), layout="constrained")
    for (way, values), color in zip(
        found.items(), ("#b3402a", "#1f6f8b"), strict=True
    ):
        sizes, megabytes = list(values), np.array([*values.values()])
        axes.plot(sizes, megabytes / 1024, "o-", color=color)
        axes.annotate(
            f"{way}: {megabytes[-1] / 1024:.1f} GB",
            (sizes[-1], megabytes[-1] / 1024),
            xytext=(-8, 4),
            textcoords="offset points",
            horizontalalignment="right",
            color=color,
        )
    axes.set(xscale="log", yscale="log")
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    gigabytes = (0.25, 1, 4, 16, 64)
    axes.set_yticks(gigabytes, [f"{each:g}" for each in gigabytes])
    axes.minorticks_off()
    axes.set_xlabel("height and width of the image, pixels")
    axes.set_ylabel("memory of a step, GB")
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=100)


# Whether it helps


@dataclasses.dataclass(frozen=True)
class Task:
    """A data set, and how it is trained on.

    Attributes:
        score: What is printed.
        batch_size: Patches that have as many pixels as an image.
    """

    score: str
    patch_size: int
    batch_size: int
    epochs: int


TASKS = {
    "coffee_leaf": Task("IoU of symptoms", 96, 8, 3),
    "urban_trees": Task("MAE of counts", 64, 16, 4),
}
WAYS = {"patches": {}, "whole images": {"crop_size": "image"}}


def make_model(name):
    if name == "coffee_leaf":
        return kp.SemanticSegmentationModel(
            3,
            unet(3, filters=FILTERS),
            resize=(192, 384),
            overlap="auto",
        )
    return kp.HeatmapObjectCountingModel(
        unet(1, activation="linear", filters=FILTERS),
        density_map_sigma=3.0,
        overlap="auto",
    )


def load(model, name, folder, **options):
    if name == "coffee_leaf":
        load = model.load_dataset_from_directory_with_segmentation_masks
        labels = folder / "masks"
    else:
        load = model.load_heatmap_dataset_with_csv_from_directory
        labels = "points.csv"
    return load(
        folder / "images",
        labels,
        validation_split=0.2,
        subset="both",
        verbose=False,
        **options,
    )


def flips(seed):
    """Flip images and labels, of either way alike: patches are not turned."""
    rng = np.random.default_rng(seed)

    def augment(*batch):
        batch = [each.copy() for each in batch]
        for i in range(len(batch[0])):
            axes = np.flatnonzero(rng.integers(2, size=2))
            for each in batch:
                each[i] = np.flip(each[i], axes)
        return tuple(batch)

    return augment


def score(model, name, folder, names):
    images = [folder / "images" / each for each in sorted(names)]
    if name == "coffee_leaf":
        masks = [folder / "masks" / f"{path.stem}.png" for path in images]
        return model.evaluate_full_images(images, masks)["iou_2"]
    points = kp.read_points(folder / "images", "points.csv")
    points = {path.name: points[path.name] for path in images}
    return model.evaluate_full_images(images, points)["count_mae"]


def train_and_score(name, way, data, seed, cache_dir):
    keras.utils.set_random_seed(seed)
    task, folder = TASKS[name], data / name
    model = make_model(name)
    model.set_patch_size(task.patch_size)
    batch_size = task.batch_size if way == "patches" else 1
    training, validation = load(
        model,
        name,
        folder,
        batch_size=batch_size,
        seed=seed,
        augment=flips(seed),
        cache_dir=cache_dir,
        **WAYS[way],
    )
    steps = len(training) * task.epochs
    model.compile(keras.optimizers.Adam(learning_rate(steps, HIGHEST_RATE)))
    start, cpu = time.time(), cpu_minutes()
    model.fit(training, epochs=task.epochs, verbose=0)
    wall, cpu = (time.time() - start) / 60, cpu_minutes() - cpu
    found = score(model, name, folder, validation.image_names)
    print(
        f"{name}, seed {seed}, {way}: {steps} steps of {batch_size}, "
        f"{cpu:.1f} CPU minutes, {wall:.1f} of wall time; "
        f"{task.score} {found:.3f}",
        flush=True,
    )
    return found


def print_whether_it_helps(arguments):
    scores = {}
    for seed in arguments.seeds:
        for name in TASKS:
            for way in WAYS:
                key = name, way
                found = train_and_score(
                    name, way, arguments.data, seed, arguments.cache_dir
                )
                scores.setdefault(key, []).append(found)
    print(f"\n{'':36}{'mean':>8}   of each seed")
    for (name, way), found in scores.items():
        label = f"{TASKS[name].score}, {way}"
        each = " ".join(f"{value:.3f}" for value in found)
        print(f"{label:36}{np.mean(found):8.3f}   {each}")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    sections = parser.add_subparsers(dest="section", required=True)
    memory = sections.add_parser("memory")
    memory.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    memory.add_argument("--figure", type=pathlib.Path, default=None)
    memory.set_defaults(run=print_memory)
    helps = sections.add_parser("helps")
    helps.add_argument("data", type=pathlib.Path)
    helps.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    helps.add_argument("--cache-dir", default=None)
    helps.set_defaults(run=print_whether_it_helps)
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
