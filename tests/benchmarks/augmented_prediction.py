"""What does test-time augmentation bring, and what an ensemble?

    python tests/benchmarks/augmented_prediction.py DATA [--models FOLDER]

DATA holds `coffee_leaf` with `images` and `masks` (background, leaf, symptom),
scaled down here by 2. The default U-Net is trained for each of three seeds on
patches of 128 x 128 of 100 images, turned and mirrored at random. The seed
decides first weights and orders, never the split. The 25 others are predicted
whole, without seams: by each net alone, by the mean over symmetries of the
image, and by the three nets together. Printed is the IoU of "symptom", which
1.3% of the pixels are of. Nets that are in FOLDER already are not trained.
"""

import argparse
import pathlib
import tempfile
import time

import numpy as np
from accuracy_of_tiling import CLASSES, write_scaled
from real_training import fit, learning_rate

import keras_patching as kp

import keras  # isort: skip

SEEDS = 0, 1, 2
PATCH = 128
WAYS = None, "left_right", "all"


def new_model():
    model = kp.SemanticSegmentationModel(len(CLASSES), overlap="auto")
    model.set_patch_size(PATCH)
    return model


def load(model, folder):
    return model.load_dataset_from_directory_with_segmentation_masks(
        folder / "images",
        folder / "masks",
        validation_split=0.2,
        subset="both",
        seed=0,
        batch_size=16,
        augment=True,
        foreground_fraction=0.5,
        foreground_classes=[CLASSES.index("symptom")],
        verbose=False,
    )


def trained(seed, folder, arguments):
    """Return the model of a seed, and the names of the images held out."""
    keras.utils.set_random_seed(seed)
    model = new_model()
    training, validation = load(model, folder)
    path = arguments.models / f"{seed}.keras"
    if path.exists():
        return keras.saving.load_model(path), validation.image_names
    schedule = learning_rate(arguments.steps, 2e-3)
    loss = kp.SegmentationLoss(len(CLASSES), dice_weight=1.0)
    model.compile(keras.optimizers.Adam(schedule), loss)
    fit(model, training, arguments.steps, arguments.minutes)
    model.save(path)
    return model, validation.image_names


def score(model, folder, names):
    """Return the IoU of the class, and the seconds for each image."""
    start = time.time()
    scores = model.evaluate_full_images(
        [folder / "images" / name for name in names],
        [folder / "masks" / name for name in names],
    )
    seconds = (time.time() - start) / len(names)
    return scores[f"iou_{CLASSES.index('symptom')}"], seconds


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("--models", type=pathlib.Path, default=None)
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--minutes", type=float, default=6)
    parser.add_argument("--only-train", action="store_true")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        size = write_scaled(arguments.data / "coffee_leaf", folder, 2)
        arguments.models = arguments.models or folder / "models"
        arguments.models.mkdir(parents=True, exist_ok=True)
        models = []
        for seed in SEEDS:
            model, names = trained(seed, folder, arguments)
            models.append(model)
        if not arguments.only_train:
            report(models, folder, sorted(names), size)


def report(models, folder, names, size):
    print(f"{len(names)} whole images of {size}; IoU of symptom\n")
    print(
        f"{'':20}" + "".join(f"  seed {s}" for s in SEEDS) + "    mean  s each"
    )
    for way in WAYS:
        found = []
        for model in models:
            # One tile: none of its pixels is computed twice.
            model.set_tiling(
                test_time_augmentation=way, predict_patch_size=size
            )
            found.append(score(model, folder, names))
        print_row(way or "without", *zip(*found, strict=True))
    for model in models:
        model.set_tiling(test_time_augmentation=None)
    ensemble = kp.inference.load_ensemble(models)
    iou, seconds = score(ensemble, folder, names)
    print(f"{'the three together':20}{'':24}{iou:8.4f}{seconds:8.2f}")


def print_row(name, scores, seconds):
    each = "".join(f"{score:8.4f}" for score in scores)
    mean = f"{np.mean(scores):8.4f}{np.mean(seconds):8.2f}"
    print(f"{name:20}{each}{mean}", flush=True)


if __name__ == "__main__":
    main()
