"""How well are objects counted and located in images never trained on?

    python tests/benchmarks/real_counting.py DATA
    python tests/benchmarks/real_counting.py DATA --set urban_trees

DATA holds `bm_graz` (11 slides with nuclei: 7 train, 4 test) and `urban_trees`
(182 aerial images: 80% train). Trains the default model on patches, predicts
the other images whole, and prints the mean absolute error of the counts beside
that of guessing the mean of the training images, and how many objects were
located within a tolerance.
"""

import argparse
import dataclasses
import pathlib

import numpy as np
from real_training import fit, learning_rate

import keras_patching as kp
from keras_patching.data.images.image_io import write_image
from keras_patching.visualization import counting_figure

import keras  # isort: skip


@dataclasses.dataclass(frozen=True)
class Set:
    """How a set of images is trained and scored."""

    split: float  # of the images, into validation
    sigma: float
    patch_size: int
    batch_size: int
    steps: int
    tolerance: float  # pixels
    overlap: int = 32


SETS = {
    "bm_graz": Set(4 / 11, 5.0, 128, 16, 900, 16.0),
    "urban_trees": Set(0.2, 3.0, 128, 16, 1500, 10.0),
}


def load(model, folder, settings, arguments):
    return model.load_heatmap_dataset_with_csv_from_directory(
        folder / "images",
        "points.csv",
        validation_split=settings.split,
        subset="both",
        seed=arguments.seed,
        batch_size=settings.batch_size,
        augment=True,
        cache_dir=arguments.cache_dir,
    )


def predict(model, paths):
    images = [model.read_image(path) for path in paths]
    heatmaps = [model.predict(image[None], verbose=0) for image in images]
    return images, heatmaps


def print_scores(model, heatmaps, points, guess, tolerance):
    counts = [model.decode_predictions(each)[0] for each in heatmaps]
    true_counts = [len(each) for each in points]
    for count, true in zip(counts, true_counts, strict=True):
        print(f"  counted {count:7.1f} of {true:4d}")
    errors = kp.metrics.count_errors(counts, true_counts)
    guessed = kp.metrics.count_errors([guess] * len(counts), true_counts)
    print(f"MAE of counts: {errors['count_mae']:.2f}")
    print(f"relative error: {errors['count_relative_error']:.3f}")
    print(f"MAE of guessing the mean: {guessed['count_mae']:.2f}")
    for min_score in (0.2, 0.3, 0.4, 0.5):
        places = [model.locate(each, min_score)[0][0] for each in heatmaps]
        scores = kp.metrics.localization_scores(places, points, tolerance)
        print(
            f"located within {tolerance:g} px, score {min_score}: "
            + ", ".join(f"{name} {value:.3f}" for name, value in scores.items())
        )


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("--set", choices=SETS, default="bm_graz")
    parser.add_argument("--minutes", type=float, default=29)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cache-dir", default=None)
    parser.add_argument("--out", type=pathlib.Path, default=None)
    for name, kind in (("steps", int), ("sigma", float), ("patch-size", int)):
        parser.add_argument(f"--{name}", type=kind, default=None)
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    changed = {
        name: getattr(arguments, name)
        for name in ("steps", "sigma", "patch_size")
        if getattr(arguments, name) is not None
    }
    settings = dataclasses.replace(SETS[arguments.set], **changed)
    print(f"{arguments.set}: {settings}")
    keras.utils.set_random_seed(arguments.seed)
    folder = arguments.data / arguments.set
    model = kp.HeatmapObjectCountingModel(
        density_map_sigma=settings.sigma,
        overlap=settings.overlap,
        multiple_of=8,
    )
    model.set_patch_size(settings.patch_size)
    training, validation = load(model, folder, settings, arguments)
    schedule = learning_rate(settings.steps, arguments.learning_rate)
    model.compile(keras.optimizers.Adam(schedule))
    fit(model, training, settings.steps, arguments.minutes)

    labels = kp.read_points(folder / "images", "points.csv")
    names = sorted(validation.image_names)
    points = [labels[name] for name in names]
    guess = np.mean([len(labels[name]) for name in training.image_names])
    images, heatmaps = predict(model, [folder / "images" / n for n in names])
    print_scores(model, heatmaps, points, guess, settings.tolerance)
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        for name, image, heatmap, true in zip(
            names, images, heatmaps, points, strict=True
        ):
            found = model.locate(heatmap)[0][0]
            figure = counting_figure(image, heatmap[0], found, true)
            write_image((arguments.out / name).with_suffix(".png"), figure)
        model.save(arguments.out / "model.keras")


if __name__ == "__main__":
    main()
