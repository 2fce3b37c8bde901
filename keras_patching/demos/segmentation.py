"""The demonstration of semantic segmentation."""

import os
import time
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_patching.data.images.image_io import read_image
from keras_patching.data.images.label_images import read_mask
from keras_patching.demos import console, thresholding
from keras_patching.demos.drawing import fields
from keras_patching.models.segmentation.semantic_segmentation_model import (
    SemanticSegmentationModel,
)
from keras_patching.visualization import segmentation_figure

_BATCH_SIZE = 8
_CLASSES = ("ground", "plant")


def segmentation_demo(
    out: str | os.PathLike,
    seed: int = 0,
    epochs: int = 7,
    num_images: int = 10,
    image_size: Sequence[int] = (768, 1024),
    patch_size: int = 128,
    patch_model: keras.layers.Layer | None = None,
) -> dict[str, Any]:
    """Segment plants: train on patches, then predict and score whole images.

    Args:
        out: Folder to write to, into `segmentation`. Patches that it holds
            are used again.
        seed: Integer that decides images, split and training.
        epochs: Number of times to go through all patches.
        num_images: Number of images; a fifth of them, at least one, is held
            out.
        image_size: `(height, width)` of the images in pixels.
        patch_size: Height and width of a patch in pixels.
        patch_model: Model to train; `None` makes the default one.

    Returns:
        Dict from `"model"` and `"threshold"` to the intersection over union
        of the plants, over all pixels of the held-out images.
    """
    started = time.time()
    out = console.begin(out, "segmentation", seed)
    images, masks = console.draw_field(
        fields.write_plant_field,
        "their masks",
        "images, masks",
        out / "field",
        num_images,
        image_size,
        seed,
    )
    model = SemanticSegmentationModel(2, patch_model, overlap=patch_size // 4)
    model.set_patch_size(height=patch_size, width=patch_size)
    train, held_out = console.load_patches(
        model,
        "num_classes=2",
        model.load_dataset_from_directory_with_segmentation_masks,
        images,
        masks,
        "masks",
        batch_size=_BATCH_SIZE,
        augment=True,
        seed=seed,
    )
    console.train(model, train, epochs)
    paths = [images / name for name in held_out.image_names]
    truths = [
        read_mask((masks / name).with_suffix(".png"))
        for name in held_out.image_names
    ]
    predictions = _predict(model, paths)
    pictures = _write_pictures(
        paths, truths, predictions, directory=out / "pictures"
    )
    saved = console.save(model, out)
    scores = _score(paths, truths, predictions)
    console.print_two_scores(
        f"IoU of the plants in {len(paths)} whole held-out images "
        "(1 is perfect)",
        scores,
    )
    console.print_end(pictures, saved, time.time() - started)
    return scores


def _predict(model, paths):
    """Predict the mask of each image."""
    predicted = console.predict(
        model,
        paths,
        "probabilities = model.predict(full_images)",
        "predictions = model.decode_predictions(probabilities)",
    )
    return [model.decode_predictions(each)[0] for _, each in predicted]


def _write_pictures(paths, truths, predictions, directory):
    """Write a picture of each prediction beside image and truth."""

    def figure(index):
        return segmentation_figure(
            read_image(paths[index]),
            truths[index],
            predictions[index],
            columns=2,
            class_names=_CLASSES,
        )

    return console.write_pictures(
        directory,
        paths,
        figure,
        "keras_patching.visualization.segmentation_figure("
        "image, truth, prediction)",
    )


def _score(paths, truths, predictions):
    thresholded = [
        thresholding.threshold_mask(read_image(path)) for path in paths
    ]
    return {
        "model": _iou(truths, predictions),
        "threshold": _iou(truths, thresholded),
    }


def _iou(truths, predictions):
    """Intersection over union of class 1, over the pixels of all images."""
    both = np.logical_and(truths, predictions).sum()
    either = np.logical_or(truths, predictions).sum()
    return float(both / max(either, 1))
