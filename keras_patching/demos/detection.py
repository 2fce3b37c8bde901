"""The demonstration of object detection."""

import time

import keras
import numpy as np

from keras_patching.data import synthetic
from keras_patching.data.image_io import read_image
from keras_patching.demos import console
from keras_patching.metrics import average_precision
from keras_patching.models.detection.anchors import fit_anchors
from keras_patching.models.detection.loaders import (
    load_yolo_dataset_from_directory,
    read_boxes,
)
from keras_patching.models.detection.object_detection_model import (
    ObjectDetectionModel,
)
from keras_patching.visualization import detection_figure

_BATCH_SIZE = 16
_LABELS = ("seedling",)
_CELL = 32  # pixels, about as large as a seedling

_GOOD = 0.3


def detection_demo(
    out,
    seed=0,
    epochs=24,
    num_images=8,
    image_size=(512, 768),
    patch_size=128,
):
    """Detect seedlings: train on YOLO patches, then predict whole images.

    Args:
        out: Folder to write to, into `detection`. Patches that it holds are
            used again.
        seed: Integer that decides images, split, patches and training.
        epochs: Number of times to go through all patches.
        num_images: Number of images; a fifth of them, at least one, is held
            out.
        image_size: `(height, width)` of the images in pixels.
        patch_size: Height and width of a patch in pixels.

    Returns:
        Dict from `"model"` and `"threshold"` to the average precision, at an
        intersection over union of 0.5, on the held-out images.
    """
    started = time.time()
    out = console.claim(out, "detection")
    keras.utils.set_random_seed(seed)
    console.print_setup()
    images, labels = _draw_field(out / "field", num_images, image_size, seed)
    grid_size = patch_size // _CELL
    train, held_out = _load_patches(images, labels, patch_size, grid_size, seed)
    model = _make_model(train, patch_size, grid_size)
    console.train(model, train, epochs)
    paths = [images / name for name in held_out.image_names]
    merged = _predict(model, paths)
    boxes = read_boxes(labels, images, _LABELS, "seedlings")
    truths = [boxes[path.name] for path in paths]
    pictures = _write_pictures(paths, merged, truths, out / "pictures")
    saved = console.save(model, out)
    thresholded = [_threshold(path) for path in paths]
    scores = {
        "model": average_precision(merged, truths)["ap50"],
        "threshold": average_precision(thresholded, truths)["ap50"],
    }
    _print_scores(scores, truths)
    console.print_end(pictures, saved, time.time() - started)
    return scores


def _draw_field(directory, num_images, image_size, seed):
    height, width = image_size
    console.print_step(
        f"Draw {num_images} images of {height} x {width} pixels, and the "
        "boxes of their plants",
        "images = write_seedling_field(",
        f'    "{directory}", {num_images}, {image_size}, seed={seed})',
    )
    images = synthetic.write_seedling_field(
        directory, num_images, image_size, seed, verbose=True
    )
    return images, directory / "labels.json"


def _load_patches(images, labels, patch_size, grid_size, seed):
    console.print_step(
        f"Cut patches of {patch_size} x {patch_size} pixels, so that every "
        f"cell of a grid of {grid_size} x {grid_size}\nsees plants, and hold "
        "out a fifth of the images",
        "train, held_out = keras_patching.load_yolo_dataset_from_directory(",
        f"    labels, images, {patch_size}, grid_size={grid_size}, "
        f"labels={_LABELS},",
        '    objects_key="seedlings", store="windows", subset="both",',
        f"    validation_split=0.2, batch_size={_BATCH_SIZE}, seed={seed})",
    )
    return load_yolo_dataset_from_directory(
        labels,
        images,
        patch_size,
        grid_size=grid_size,
        labels=_LABELS,
        objects_key="seedlings",
        store="windows",
        subset="both",
        validation_split=0.2,
        batch_size=_BATCH_SIZE,
        seed=seed,
    )


def _make_model(train, patch_size, grid_size):
    overlap = patch_size // 2  # larger than any seedling, by default
    console.print_step(
        "Fit the shapes that boxes start from",
        "anchors = keras_patching.fit_anchors(train, k=3)",
        f"model = keras_patching.ObjectDetectionModel(grid_size={grid_size}, "
        f"anchors=anchors, labels={_LABELS}, overlap={overlap})",
        f"model.set_patch_size(height={patch_size}, width={patch_size})",
    )
    anchors = fit_anchors(train, k=3)
    model = ObjectDetectionModel(
        grid_size=grid_size, anchors=anchors, labels=_LABELS, overlap=overlap
    )
    model.set_patch_size(height=patch_size, width=patch_size)
    return model


def _predict(model, paths):
    """Predict the boxes of each image."""
    console.print_step(
        f"Predict {len(paths)} whole images that it has not seen",
        "raw = model.predict(full_images)  # of each patch",
        "merged = model.merge_predictions(raw, image_size)  # of each image",
    )
    merged = []
    for path in console.with_progress(paths):
        image = read_image(path)
        raw = model.predict(image[None], verbose=0)
        # Average precision wants the poor ones too.
        merged += model.merge_predictions(raw, image.shape[:2], 0.01)
    return merged


def _write_pictures(paths, merged, truths, directory):
    """Write a picture of true and found boxes of each image."""

    def figure(index):
        is_good = merged[index]["scores"] >= _GOOD
        good = {name: all_[is_good] for name, all_ in merged[index].items()}
        return detection_figure(read_image(paths[index]), good, truths[index])

    return console.write_pictures(
        directory,
        paths,
        figure,
        "keras_patching.visualization.detection_figure(image, merged, truth)",
    )


def _threshold(path):
    """Find boxes by colour; the larger, the surer."""
    boxes = synthetic.threshold_boxes(read_image(path))
    sides = boxes[:, 2:] - boxes[:, :2]
    return {
        "boxes": boxes,
        "scores": sides.prod(axis=1),
        "labels": np.zeros(len(boxes), int),
    }


def _print_scores(scores, truths):
    total = sum(len(truth["boxes"]) for truth in truths)
    print(
        f"\nAverage precision of the boxes of {total} seedlings in "
        f"{len(truths)} whole held-out\nimages, at an intersection over union "
        "of 0.5 (1 is perfect)\n"
        f"  model                  {scores['model']:.3f}\n"
        f"  thresholding of green  {scores['threshold']:.3f}\n"
    )
