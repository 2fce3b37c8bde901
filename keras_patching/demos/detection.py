"""The demonstration of object detection."""

import os
import time
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_patching.callbacks import ResamplePatches
from keras_patching.data.images.image_io import read_image
from keras_patching.data.labels.boxes import read_boxes
from keras_patching.demos import console, thresholding
from keras_patching.demos.drawing import fields
from keras_patching.metrics import average_precision
from keras_patching.models.detection.anchors import fit_anchors
from keras_patching.models.detection.loaders import (
    load_yolo_dataset_from_directory,
)
from keras_patching.models.detection.object_detection_model import (
    ObjectDetectionModel,
)
from keras_patching.visualization import detection_figure

_BATCH_SIZE = 16
_GRID_SIZE = (7, 7)
_CLASS_NAMES = ("seedling",)
# Plants are 30 to 105 pixels large then.
_ZOOM = 2.5
_SURE = 0.5


def detection_demo(
    out: str | os.PathLike,
    seed: int = 0,
    epochs: int = 4,
    num_images: int = 25,
    image_size: Sequence[int] = (768, 1024),
    patch_size: int = 160,
    patch_model: keras.layers.Layer | None = None,
) -> dict[str, Any]:
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
        patch_model: Model to train, of 3 anchors and 1 class; `None` makes
            the default one.

    Returns:
        Dict from `"model"` and `"threshold"` to the average precision, at an
        intersection over union of 0.5, on the held-out images.
    """
    started = time.time()
    out = console.begin(out, "detection", seed)
    images = console.draw_field(
        fields.write_seedling_field,
        "the boxes of their plants",
        "images",
        out / "field",
        num_images,
        image_size,
        seed,
        zoom=_ZOOM,
    )
    labels = out / "field" / "labels.json"
    train, held_out = _load_patches(images, labels, patch_size, seed)
    model = _make_model(train, patch_size, patch_model)
    resample = {"ResamplePatches(train)": ResamplePatches(train)}
    console.train(model, train, epochs, resample)
    paths = [images / name for name in held_out.image_names]
    merged = _predict(model, paths)
    boxes = read_boxes(labels, images, _CLASS_NAMES)
    truths = [boxes[path.name] for path in paths]
    pictures = _write_pictures(paths, merged, truths, out / "pictures")
    saved = console.save(model, out)
    thresholded = [_threshold(path) for path in paths]
    scores = {
        "model": average_precision(merged, truths)["ap50"],
        "threshold": average_precision(thresholded, truths)["ap50"],
    }
    total = sum(len(truth["boxes"]) for truth in truths)
    console.print_two_scores(
        f"Average precision (AP@0.5) of the boxes of {total} seedlings in "
        f"{len(truths)} whole\nheld-out images (1 is perfect)",
        scores,
    )
    console.print_end(pictures, saved, time.time() - started)
    return scores


def _load_patches(images, labels, patch_size, seed):
    rows, cols = _GRID_SIZE
    console.print_step(
        f"Plan patches of {patch_size} x {patch_size} pixels, so that every "
        f"cell of a grid of {rows} x {cols}\nsees plants, and hold out a fifth "
        "of the images",
        "train, held_out = keras_patching.load_yolo_dataset_from_directory(",
        f"    labels, images, {patch_size}, grid_size={_GRID_SIZE}, "
        f"class_names={_CLASS_NAMES},",
        '    store="images", subset="both",',
        f"    validation_split=0.2, batch_size={_BATCH_SIZE}, seed={seed})",
    )
    return load_yolo_dataset_from_directory(
        labels,
        images,
        patch_size,
        grid_size=_GRID_SIZE,
        class_names=_CLASS_NAMES,
        store="images",
        subset="both",
        validation_split=0.2,
        batch_size=_BATCH_SIZE,
        seed=seed,
    )


def _make_model(train, patch_size, patch_model):
    overlap = 2 * patch_size // 3  # larger than any of the plants
    console.print_step(
        "Fit the shapes that boxes start from, and let patches overlap by "
        "more than a plant",
        "anchors = keras_patching.fit_anchors(train, k=3)",
        "model = keras_patching.ObjectDetectionModel(",
        f"    grid_size={_GRID_SIZE}, anchors=anchors, "
        f"class_names={_CLASS_NAMES}, overlap={overlap})",
        f"model.set_patch_size(height={patch_size}, width={patch_size})",
    )
    model = ObjectDetectionModel(
        patch_model,
        grid_size=_GRID_SIZE,
        anchors=fit_anchors(train, k=3),
        class_names=_CLASS_NAMES,
        overlap=overlap,
    )
    model.set_patch_size(height=patch_size, width=patch_size)
    return model


def _predict(model, paths):
    """Predict the boxes of each image."""
    predicted = console.predict(
        model,
        paths,
        "raw = model.predict(full_images)  # of each patch",
        "merged = model.merge_predictions(raw, image_size)  # of each image",
    )
    merged = []
    for image, raw in predicted:
        # Average precision counts boxes of low scores too.
        merged += model.merge_predictions(raw, image.shape[:2], 0.01)
    return merged


def _write_pictures(paths, merged, truths, directory):
    """Write a picture of each image: its true boxes, and the sure ones."""

    def figure(index):
        is_sure = merged[index]["scores"] >= _SURE
        sure = {name: all_[is_sure] for name, all_ in merged[index].items()}
        return detection_figure(
            read_image(paths[index]), sure, truths[index], _CLASS_NAMES
        )

    return console.write_pictures(
        directory,
        paths,
        figure,
        "keras_patching.visualization.detection_figure("
        f"image, merged, truth, {_CLASS_NAMES})"
        f"  # scores from {_SURE}",
    )


def _threshold(path):
    """Find boxes by colour; the larger, the surer."""
    boxes = thresholding.threshold_boxes(read_image(path))
    sides = boxes[:, 2:] - boxes[:, :2]
    return {
        "boxes": boxes,
        "scores": sides.prod(axis=1),
        "labels": np.zeros(len(boxes), int),
    }
