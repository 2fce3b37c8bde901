"""How well are leaves segmented on whole images never trained on?

    python tests/benchmarks/real_segmentation.py DATA [--minutes 12]

DATA holds `coffee_leaf/images` and `coffee_leaf/masks_leaf`. Trains the default
model on patches of 80% of the images until the time is up, predicts the other
whole images, and prints their IoU beside that of Otsu thresholding.
"""

import argparse
import pathlib
import resource
import time

import numpy as np

import keras_patching as kp
from keras_patching.data.image_io import read_image, write_image
from keras_patching.data.synthetic import otsu_threshold
from keras_patching.visualization import segmentation_figure

import keras  # isort: skip


STEPS_PER_EPOCH = 50


class StopAfter(keras.callbacks.Callback):
    """Ends training after some CPU minutes, at the end of a batch."""

    def __init__(self, minutes):
        super().__init__()
        self.end = cpu_minutes() + minutes

    def on_train_batch_end(self, batch, logs=None):
        if cpu_minutes() > self.end:
            self.model.stop_training = True


def cpu_minutes():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return (usage.ru_utime + usage.ru_stime) / 60


def otsu_mask(image):
    """Leaves are darker than the paper below them."""
    darkness = 255.0 - image.astype("float32").min(axis=-1)
    return (darkness > otsu_threshold(darkness)).astype("uint8")


def foreground_iou(masks, targets):
    pairs = list(zip(masks, targets, strict=True))
    shared = sum(np.sum((m == 1) & (t == 1)) for m, t in pairs)
    either = sum(np.sum((m == 1) | (t == 1)) for m, t in pairs)
    return float(shared / either)


def learning_rate(steps):
    return keras.optimizers.schedules.CosineDecay(
        0.0, steps, 0.02, warmup_target=2e-3, warmup_steps=50
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--minutes", type=float, default=14.5)
    parser.add_argument("--patch-size", type=int, default=128)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cache-dir", default=None)
    parser.add_argument("--out", type=pathlib.Path, default=None)
    arguments = parser.parse_args()
    keras.utils.set_random_seed(arguments.seed)
    images = arguments.data / "coffee_leaf" / "images"
    masks = arguments.data / "coffee_leaf" / "masks_leaf"

    model = kp.SemanticSegmentationModel(num_classes=2)
    model.set_patch_size(arguments.patch_size)
    train, val = model.load_dataset_from_directory_with_segmentation_masks(
        images,
        masks,
        validation_split=0.2,
        subset="both",
        seed=arguments.seed,
        batch_size=arguments.batch_size,
        augment=True,
        cache_dir=arguments.cache_dir,
    )
    model.compile(keras.optimizers.Adam(learning_rate(arguments.steps)))
    start, cpu = time.time(), cpu_minutes()
    model.fit(
        train,
        steps_per_epoch=STEPS_PER_EPOCH,
        epochs=arguments.steps // STEPS_PER_EPOCH,
        callbacks=[StopAfter(arguments.minutes)],
        verbose=2,
    )
    wall, cpu = (time.time() - start) / 60, cpu_minutes() - cpu

    names = sorted(val.image_names)
    whole = [read_image(images / name) for name in names]
    targets = [
        model.read_target((masks / name).with_suffix(".png")) for name in names
    ]
    start = time.time()
    predicted = [
        model.decode_predictions(model.predict(image[None], verbose=0))[0]
        for image in whole
    ]
    seconds = (time.time() - start) / len(whole)
    print(f"{len(names)} whole images, {seconds:.2f} seconds each")
    print(f"training: {cpu:.1f} CPU minutes, {wall:.1f} minutes of wall time")
    print(f"IoU of leaf: {foreground_iou(predicted, targets):.4f}")
    otsu = foreground_iou([otsu_mask(image) for image in whole], targets)
    print(f"IoU of Otsu: {otsu:.4f}")
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        for name, *panels in zip(names, whole, targets, predicted, strict=True):
            path = (arguments.out / name).with_suffix(".png")
            write_image(path, segmentation_figure(*panels))
        model.save(arguments.out / "model.keras")


if __name__ == "__main__":
    main()
