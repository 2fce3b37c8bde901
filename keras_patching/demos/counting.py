"""The demonstration of heatmap object counting."""

import os
import time
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_patching._printing import say
from keras_patching.data.images.image_io import read_image
from keras_patching.data.labels.points import read_points
from keras_patching.demos import console, thresholding
from keras_patching.demos.drawing import fields
from keras_patching.metrics import count_errors, localization_scores
from keras_patching.models.counting.heatmap_object_counting_model import (
    HeatmapObjectCountingModel,
)
from keras_patching.visualization import counting_figure

# Small, so that so short a training has many steps.
_BATCH_SIZE = 4
_NAMES = {
    "model": "model",
    "threshold": "thresholding of green",
    "mean": "guessing the mean",
}


def counting_demo(
    out: str | os.PathLike,
    seed: int = 0,
    epochs: int = 8,
    num_images: int = 15,
    image_size: Sequence[int] = (512, 768),
    patch_size: int = 128,
    patch_model: keras.layers.Layer | None = None,
) -> dict[str, Any]:
    """Count seedlings: train on patches, then predict and score whole images.

    Args:
        out: Folder to write to, into `counting`. Patches that it holds are
            used again.
        seed: Integer that decides images, split and training.
        epochs: Number of times to go through all patches.
        num_images: Number of images; a fifth of them, at least one, is held
            out.
        image_size: `(height, width)` of the images in pixels.
        patch_size: Height and width of a patch in pixels.
        patch_model: Model to train; `None` makes the default one.

    Returns:
        Dict from `"model"`, `"threshold"` and `"mean"` to a dict of scores of
        the held-out images: `"count_mae"` and `"count_relative_error"`, and,
        but for the mean, `"precision"`, `"recall"` and `"f1"`.
    """
    started = time.time()
    out = console.begin(out, "counting", seed)
    images = console.draw_field(
        fields.write_seedling_field,
        "their points",
        "images",
        out / "field",
        num_images,
        image_size,
        seed,
    )
    model = HeatmapObjectCountingModel(patch_model, overlap=patch_size // 4)
    model.set_patch_size(height=patch_size, width=patch_size)
    train, held_out = console.load_patches(
        model,
        f"density_map_sigma={model.density_map_sigma}",
        model.load_heatmap_dataset_with_csv_from_directory,
        images,
        "points.csv",
        '"points.csv"',
        batch_size=_BATCH_SIZE,
        augment=True,
        seed=seed,
    )
    console.train(model, train, epochs)
    paths = [images / name for name in held_out.image_names]
    heatmaps = _predict(model, paths)
    points = read_points(images, "points.csv")
    truths = [points[path.name] for path in paths]
    places = [model.locate(heatmap)[0][0] for heatmap in heatmaps]
    pictures = _write_pictures(
        paths,
        heatmaps,
        places,
        truths,
        model.peak_density,
        directory=out / "pictures",
    )
    saved = console.save(model, out)
    counts = [model.decode_predictions(heatmap)[0] for heatmap in heatmaps]
    tolerance = 2 * model.density_map_sigma
    scores = {
        "model": _score(counts, places, truths, tolerance),
        "threshold": _score_threshold(paths, truths, tolerance),
        "mean": _score_mean(
            [len(points[name]) for name in train.image_names], truths
        ),
    }
    _print_scores(scores, truths, tolerance)
    console.print_end(pictures, saved, time.time() - started)
    return scores


def _predict(model, paths):
    """Predict the heatmap of each image, as a batch of one."""
    predicted = console.predict(
        model,
        paths,
        "heatmaps = model.predict(full_images)  # objects per pixel",
        "counts = model.decode_predictions(heatmaps)  # their sums",
        "points, scores = model.locate(heatmaps)[0]  # of the first image",
    )
    return [heatmap for _, heatmap in predicted]


def _write_pictures(paths, heatmaps, places, truths, peak_density, directory):
    """Write a picture of truth, located points and heatmap of each image."""

    def figure(index):
        return counting_figure(
            read_image(paths[index]),
            heatmaps[index][0],
            places[index],
            truths[index],
            highest=peak_density,
        )

    return console.write_pictures(
        directory,
        paths,
        figure,
        "keras_patching.visualization.counting_figure("
        "image, heatmap, points, truth, "
        "highest=model.peak_density)",
    )


def _score(counts, places, truths, tolerance):
    return {
        **count_errors(counts, [len(truth) for truth in truths]),
        **localization_scores(places, truths, tolerance),
    }


def _score_threshold(paths, truths, tolerance):
    places = [thresholding.threshold_points(read_image(path)) for path in paths]
    counts = [len(each) for each in places]
    return _score(counts, places, truths, tolerance)


def _score_mean(train_counts, truths):
    """Score the guess that all images hold as many as those of training."""
    counts = [np.mean(train_counts)] * len(truths)
    return count_errors(counts, [len(truth) for truth in truths])


def _print_scores(scores, truths, tolerance):
    total = sum(len(truth) for truth in truths)
    say(
        f"\nCounts of {len(truths)} whole held-out images, {total} seedlings, "
        f"and F1 of their\nplaces within {tolerance:g} pixels (1 is perfect)\n"
        f"{'':25}error per image  relative    F1"
    )
    for key, score in scores.items():
        f1 = f"{score['f1']:.3f}" if "f1" in score else "-"
        say(
            f"  {_NAMES[key]:23}{score['count_mae']:15.1f}"
            f"{score['count_relative_error']:10.1%}{f1:>6}"
        )
    say()
