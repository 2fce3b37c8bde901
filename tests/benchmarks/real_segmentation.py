"""How well are whole images segmented that were never trained on?

    python tests/benchmarks/real_segmentation.py DATA
    python tests/benchmarks/real_segmentation.py DATA --labels symptom

DATA holds `coffee_leaf` with `images`, `masks_leaf` and `masks`. Trains the
default model on patches of 80% of the images, predicts the others whole, and
prints the IoU of the wanted class beside that of Otsu thresholding. The class
"symptom" covers 1.3% of the pixels; the switches `--no-...` take away one by
one what is there for rare classes.
"""

import argparse
import pathlib
import time

import numpy as np
from real_training import fit, learning_rate

import keras_patching as kp
from keras_patching.data.images.image_io import read_image, write_image
from keras_patching.demos.thresholding import otsu_threshold
from keras_patching.visualization import segmentation_figure

import keras  # isort: skip

# Folder of masks, number of classes, the wanted class.
LABELS = {"leaf": ("masks_leaf", 2, 1), "symptom": ("masks", 3, 2)}


def otsu_mask(image, wanted):
    """Leaves are darker than the paper, symptoms redder than the leaf."""
    image = image.astype("float32")
    leaf = 255 - image.min(axis=-1)
    mask = leaf > otsu_threshold(leaf)
    if wanted == 2:
        redness = image[..., 0] - image[..., 1]
        mask &= redness > otsu_threshold(redness[mask])
    return np.where(mask, wanted, 0)


def iou_of(wanted, masks, targets):
    pairs = [
        (mask == wanted, target == wanted)
        for mask, target in zip(masks, targets, strict=True)
    ]
    shared = sum(np.sum(mask & target) for mask, target in pairs)
    either = sum(np.sum(mask | target) for mask, target in pairs)
    return float(shared / either)


def load(model, folder, masks, wanted, arguments):
    rare = {}
    if wanted == 2 and not arguments.no_foreground:
        rare = {"foreground_fraction": 0.5, "foreground_classes": [wanted]}
    return model.load_dataset_from_directory_with_segmentation_masks(
        folder / "images",
        masks,
        validation_split=0.2,
        subset="both",
        seed=arguments.seed,
        batch_size=arguments.batch_size,
        augment=not arguments.no_augment,
        cache_dir=arguments.cache_dir,
        **rare,
    )


def train(model, sequence, arguments):
    loss = kp.SegmentationLoss(
        model.num_classes, dice_weight=0.0 if arguments.no_dice else 1.0
    )
    schedule = learning_rate(arguments.steps, arguments.learning_rate)
    model.compile(keras.optimizers.Adam(schedule), loss)
    fit(model, sequence, arguments.steps, arguments.minutes)


def predict(model, images):
    start = time.time()
    masks = [
        model.decode_predictions(model.predict(image[None], verbose=0))[0]
        for image in images
    ]
    seconds = (time.time() - start) / len(images)
    print(f"{len(images)} whole images, {seconds:.2f} seconds each")
    return masks


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("--labels", choices=LABELS, default="leaf")
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--minutes", type=float, default=14.5)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--patch-size", type=int, default=128)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-augment", action="store_true")
    parser.add_argument("--no-dice", action="store_true")
    parser.add_argument("--no-foreground", action="store_true")
    parser.add_argument("--cache-dir", default=None)
    parser.add_argument("--out", type=pathlib.Path, default=None)
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    keras.utils.set_random_seed(arguments.seed)
    folder = arguments.data / "coffee_leaf"
    mask_folder, num_classes, wanted = LABELS[arguments.labels]
    model = kp.SemanticSegmentationModel(num_classes)
    model.set_patch_size(arguments.patch_size)
    training, validation = load(
        model, folder, folder / mask_folder, wanted, arguments
    )
    train(model, training, arguments)

    names = sorted(validation.image_names)
    images = [read_image(folder / "images" / name) for name in names]
    targets = [
        model.read_target((folder / mask_folder / name).with_suffix(".png"))
        for name in names
    ]
    masks = predict(model, images)
    otsu = [otsu_mask(image, wanted) for image in images]
    print(f"IoU of {arguments.labels}: {iou_of(wanted, masks, targets):.4f}")
    print(f"IoU of thresholding: {iou_of(wanted, otsu, targets):.4f}")
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        for name, *panels in zip(names, images, targets, masks, strict=True):
            path = (arguments.out / name).with_suffix(".png")
            write_image(path, segmentation_figure(*panels))
        model.save(arguments.out / "model.keras")


if __name__ == "__main__":
    main()
