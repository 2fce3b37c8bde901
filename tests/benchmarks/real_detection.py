"""How well are objects detected in whole images never trained on?

    python tests/benchmarks/real_detection.py DATA
    python tests/benchmarks/real_detection.py DATA --set bccd --steps 300

DATA holds `tomato_factory_third` (72 images of 1344x1008, 2 to 40 tomatoes
each) and `bccd` (74 small images of blood cells, a smoke test). Trains the
default model on YOLO patches of 80% of the images, merges the detections of
the others, and prints their average precision.
"""

import argparse
import dataclasses
import pathlib
import time

import numpy as np
from real_training import fit, learning_rate

import keras_patching as kp
from keras_patching.data.images.image_io import write_image
from keras_patching.visualization import detection_figure

import keras  # isort: skip


@dataclasses.dataclass(frozen=True)
class Set:
    """How a set of images is trained."""

    patch_size: int
    grid_size: int
    overlap: int
    batch_size: int
    steps: int


SETS = {
    "tomato_factory_third": Set(448, 7, 224, 16, 2250),
    "bccd": Set(256, 8, 160, 16, 600),
}


class Jitter:
    """Mirrors each patch at random, and changes the colour of its light.

    The sampler turns, flips or brightens a quarter of the patches; a training
    that sees each pixel of some dozen images dozens of times needs more.

    Args:
        seed: Seed of the draws, which are made in the order in which the
            loading threads ask.
        gain: Spread of the logarithms of the factors of the channels.
        gamma: Spread of the logarithm of the exponent of all channels.
    """

    def __init__(self, seed, gain=0.15, gamma=0.2):
        self.rng = np.random.default_rng(seed)
        self.gain = gain
        self.gamma = gamma

    def __call__(self, images, targets):
        images, boxes = images.copy(), targets["boxes"].copy()
        is_object = targets["labels"] >= 0
        width = images.shape[2]
        for image, its_boxes, real in zip(
            images, boxes, is_object, strict=True
        ):
            if self.rng.random() < 0.5:
                image[:] = image[:, ::-1].copy()
                its_boxes[real, 0::2] = width - its_boxes[real, 2::-2]
            self.relight(image)
        return images, {"boxes": boxes, "labels": targets["labels"]}

    def relight(self, image):
        """Change an image of uint8 in place; black stays black."""
        gamma = np.exp(self.rng.normal(0, self.gamma))
        curve = 255 * (np.arange(256) / 255) ** gamma
        for channel in np.moveaxis(image, -1, 0):
            gain = np.exp(self.rng.normal(0, self.gain))
            channel[:] = (curve * gain).clip(0, 255).astype("uint8")[channel]


def load(folder, settings, arguments, **kwargs):
    return kp.load_yolo_dataset_from_directory(
        folder / "labels.json",
        folder / "images",
        settings.patch_size,
        grid_size=settings.grid_size,
        store="images",
        validation_split=0.2,
        subset="both",
        seed=arguments.seed,
        batch_size=settings.batch_size,
        cache_dir=arguments.cache_dir,
        **kwargs,
    )


def build(training, settings, arguments):
    anchors = kp.fit_anchors(training, k=arguments.anchors)
    print(f"anchors (height, width): {anchors}")
    model = kp.ObjectDetectionModel(
        grid_size=settings.grid_size,
        anchors=anchors,
        overlap=settings.overlap,
    )
    model.set_patch_size(settings.patch_size)
    if arguments.start:
        start = keras.saving.load_model(arguments.start, compile=False)
        model.patch_model.set_weights(start.patch_model.get_weights())
    schedule = learning_rate(settings.steps, arguments.learning_rate)
    model.compile(
        keras.optimizers.Adam(schedule, global_clipnorm=10.0),
        loss=kp.YoloLoss(box_weight=3.0),
    )
    return model


def merge(model, paths):
    start = time.time()
    merged = []
    for path in paths:
        image = model.read_image(path)
        raw = model.predict(image[None], verbose=0)
        merged += model.merge_predictions(raw, image.shape[:2], 0.01)
    seconds = (time.time() - start) / len(paths)
    print(f"{len(paths)} whole images, {seconds:.2f} seconds each")
    return merged


def write_pictures(model, paths, merged, truths, directory):
    directory.mkdir(parents=True, exist_ok=True)
    for path, found, truth in zip(paths, merged, truths, strict=True):
        good = {
            name: values[found["scores"] >= 0.3]
            for name, values in found.items()
        }
        figure = detection_figure(model.read_image(path), good, truth)
        write_image((directory / path.name).with_suffix(".png"), figure)
    model.save(directory / "model.keras")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("--set", choices=SETS, default="tomato_factory_third")
    parser.add_argument("--minutes", type=float, default=59)
    parser.add_argument("--steps", type=int, default=None)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--anchors", type=int, default=5)
    parser.add_argument("--start", help="model.keras to train further")
    parser.add_argument(
        "--plain", action="store_true", help="no jitter of patches"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cache-dir", default=None)
    parser.add_argument("--out", type=pathlib.Path, default=None)
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    settings = SETS[arguments.set]
    if arguments.steps:
        settings = dataclasses.replace(settings, steps=arguments.steps)
    print(f"{arguments.set}: {settings}")
    keras.utils.set_random_seed(arguments.seed)
    folder = arguments.data / arguments.set
    training, validation = load(folder, settings, arguments)
    model = build(training, settings, arguments)
    if not arguments.plain:
        training.augment = Jitter(arguments.seed)
    fit(model, training, settings.steps, arguments.minutes)

    labels = kp.read_boxes(folder / "labels.json", folder / "images")
    names = sorted(validation.image_names)
    paths = [folder / "images" / name for name in names]
    truths = [labels[name] for name in names]
    merged = merge(model, paths)
    scores = kp.metrics.average_precision(
        merged, truths, kp.metrics.COCO_IOU_THRESHOLDS
    )
    for name in ("ap50", "ap75", "ap50_95"):
        print(f"{name}: {scores[name]:.4f}")
    if arguments.out:
        write_pictures(model, paths, merged, truths, arguments.out)


if __name__ == "__main__":
    main()
