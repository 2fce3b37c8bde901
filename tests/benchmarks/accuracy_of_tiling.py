"""Does training on patches cost accuracy?

    python tests/benchmarks/accuracy_of_tiling.py DATA

DATA holds `coffee_leaf` with `images` and `masks` (background, leaf, symptom),
scaled down here until whole images are small enough to train on. The same
U-Net is trained twice per seed: on whole images, and on the tiles of 128 x 128
that they are cut into. Both see each pixel once an epoch, and equally many
pixels a step; first weights, optimizer, schedule and loss are the same, without
augmentation. The seed decides first weights and orders, never the split.

All are scored alike, on the whole images held out: predicted whole, and in
patches of 128 with an overlap of 32, as somebody would who trains on patches.
The difference that counts is between trained and predicted whole, and trained
and predicted in patches. The spread it is held against is the range of the
seeds (highest less lowest), the mean of the two trainings.
"""

import argparse
import pathlib
import tempfile
import time

import numpy as np

import keras_patching as kp
from keras_patching.data.images.image_io import read_image, write_image
from keras_patching.data.images.label_images import read_mask
from keras_patching.data.images.listing import list_images
from keras_patching.models.unet import unet

import keras  # isort: skip

CLASSES = ("background", "leaf", "symptom")
PATCH = 128
IMAGES_PER_STEP = 2
FILTERS = (8, 16, 32, 64)
WHOLE, PATCHES = WAYS = ("whole", "patches")


def blocks(array, scale):
    """Give each block of pixels an axis of its own: `(h, w, scale**2, ...)`."""
    height, width = (length // scale for length in array.shape[:2])
    array = array[: height * scale, : width * scale]
    array = array.reshape(height, scale, width, scale, *array.shape[2:])
    array = array.swapaxes(1, 2)
    return array.reshape(height, width, scale**2, *array.shape[4:])


def scaled_image(image, scale):
    return np.rint(blocks(image, scale).mean(axis=2)).astype(image.dtype)


def scaled_mask(mask, scale):
    """Give each block the class that most of its pixels are of."""
    pixels = blocks(mask, scale)
    counts = [(pixels == index).sum(axis=2) for index in range(len(CLASSES))]
    return np.argmax(counts, axis=0).astype("uint8")


def write_scaled(source, target, scale):
    """Write scaled copies and return the size of the largest image."""
    masks = list_images(source / "masks")
    for folder in ("images", "masks"):
        (target / folder).mkdir()
    sizes = []
    for stem, path in list_images(source / "images").items():
        image = scaled_image(read_image(path), scale)
        mask = scaled_mask(read_mask(masks[stem]), scale)
        write_image(target / "images" / f"{stem}.png", image)
        write_image(target / "masks" / f"{stem}.png", mask)
        sizes.append(mask.shape)
    return tuple(int(length) for length in np.max(sizes, axis=0))


def sizes_and_batches(size):
    """Give patch size and batch size of each way, equal in pixels a step."""
    if any(length % PATCH for length in size):
        raise ValueError(
            f"Images of {size} pixels do not divide into patches of {PATCH}: "
            "the two trainings would not see the same. Choose another --scale."
        )
    patches = size[0] * size[1] // PATCH**2
    return {
        WHOLE: (size, IMAGES_PER_STEP),
        PATCHES: ((PATCH, PATCH), IMAGES_PER_STEP * patches),
    }


def new_model(seed):
    keras.utils.set_random_seed(seed)
    return kp.SemanticSegmentationModel(
        len(CLASSES),
        unet(len(CLASSES), filters=FILTERS),
        overlap=32,
        multiple_of=8,
    )


def load(model, folder, batch_size):
    return model.load_dataset_from_directory_with_segmentation_masks(
        folder / "images",
        folder / "masks",
        validation_split=0.2,
        subset="both",
        seed=None,  # the same split always, and orders from Keras's seed
        batch_size=batch_size,
        verbose=False,
    )


def learning_rate(steps, highest):
    return keras.optimizers.schedules.CosineDecay(
        0.0, steps, 0.02, warmup_target=highest, warmup_steps=steps // 8
    )


def train(model, sequence, arguments):
    epochs = max(round(arguments.steps / len(sequence)), 1)
    steps = epochs * len(sequence)
    model.compile(
        keras.optimizers.Adam(learning_rate(steps, arguments.learning_rate))
    )
    start = time.process_time()
    history = model.fit(sequence, epochs=epochs, verbose=0).history
    minutes = (time.process_time() - start) / 60
    print(
        f"  {steps} steps of {sequence.batch_size} x {sequence.patch_size}: "
        f"{minutes:.1f} CPU minutes, last loss {history['loss'][-1]:.4f}",
        flush=True,
    )


def score(model, folder, names, size):
    """Return the IoU of each class and, last, their mean."""
    model.set_patch_size(*size)
    scores = model.evaluate_full_images(
        [folder / "images" / name for name in names],
        [folder / "masks" / name for name in names],
    )
    classes = [scores[f"iou_{index}"] for index in range(len(CLASSES))]
    return [*classes, scores["mean_iou"]]


def train_and_score(way, seed, folder, ways, arguments):
    """Train one way and return its scores, predicted each way."""
    size, batch_size = ways[way]
    print(f"seed {seed}, {way}", flush=True)
    model = new_model(seed)
    model.set_patch_size(*size)
    training, validation = load(model, folder, batch_size)
    train(model, training, arguments)
    names = validation.image_names
    return [score(model, folder, names, ways[w][0]) for w in WAYS]


def run(folder, ways, arguments):
    """Return scores (seed, trained, predicted, class or mean)."""
    scores = []
    for seed in range(arguments.seeds):
        if seed >= 2 and time.process_time() / 60 > arguments.minutes:
            print(f"no time left for seed {seed} and later")
            break
        scores.append(
            [
                train_and_score(way, seed, folder, ways, arguments)
                for way in WAYS
            ]
        )
    return np.array(scores)


def print_seeds(scores):
    """Print the mean IoU per seed, each way trained and predicted alike."""
    alike = np.stack([scores[:, way, way] for way in range(len(WAYS))], axis=1)
    mean_iou = alike[..., -1]
    rows = {f"seed {seed}": row for seed, row in enumerate(mean_iou)} | {
        "mean": mean_iou.mean(axis=0),
        "range": np.ptp(mean_iou, axis=0),
        "std": mean_iou.std(axis=0, ddof=1),
    }
    print(f"\nmean IoU     {WHOLE:>8s} {PATCHES:>8s}  patches - whole")
    for name, (whole, patches) in rows.items():
        difference = (
            "" if name in ("range", "std") else f"{patches - whole:+.4f}"
        )
        print(f"{name:12s} {whole:8.4f} {patches:8.4f}  {difference}".rstrip())
    print("\nIoU, mean of seeds; range of seeds")
    for index, name in enumerate(CLASSES):
        whole, patches = alike[..., index].mean(axis=0)
        ranges = np.ptp(alike[..., index], axis=0)
        print(
            f"{name:12s} {whole:8.4f} {patches:8.4f}  {patches - whole:+.4f};"
            f"  {ranges[0]:.4f} {ranges[1]:.4f}"
        )
    return mean_iou


def print_crossed(scores):
    """Print what is due to training and what to prediction."""
    print("\nmean IoU, mean of seeds: trained (rows), predicted (columns)")
    print(f"             {WHOLE:>8s} {PATCHES:>8s}")
    for name, row in zip(WAYS, scores[..., -1].mean(axis=0), strict=True):
        print(f"{name:12s} {row[0]:8.4f} {row[1]:8.4f}")


def print_verdict(mean_iou):
    whole, patches = mean_iou.mean(axis=0)
    spread = np.ptp(mean_iou, axis=0).mean()
    within = abs(patches - whole) <= spread
    print(
        f"\ndifference {patches - whole:+.4f}, spread of the seeds "
        f"{spread:.4f}: {'within' if within else 'NOT within'} the spread"
    )


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument(
        "--steps", type=int, default=400, help="rounded to whole epochs"
    )
    parser.add_argument("--seeds", type=int, default=3, help="at least 2")
    parser.add_argument("--scale", type=int, default=4)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument(
        "--minutes",
        type=float,
        default=45,
        help="CPU minutes after which no further seed is begun",
    )
    arguments = parser.parse_args()
    if arguments.seeds < 2:
        parser.error("a spread takes at least 2 --seeds")
    return arguments


def main():
    arguments = parse_arguments()
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        size = write_scaled(
            arguments.data / "coffee_leaf", folder, arguments.scale
        )
        print(f"images of {size} pixels, U-Net of {FILTERS} filters")
        scores = run(folder, sizes_and_batches(size), arguments)
    mean_iou = print_seeds(scores)
    print_crossed(scores)
    print_verdict(mean_iou)


if __name__ == "__main__":
    main()
