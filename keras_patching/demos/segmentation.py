"""The demonstration of semantic segmentation."""

import time

import keras
import numpy as np

from keras_patching._printing import say
from keras_patching.data.images.image_io import read_image
from keras_patching.data.images.label_images import read_mask
from keras_patching.demos import console
from keras_patching.demos.drawing import fields
from keras_patching.models.segmentation.semantic_segmentation_model import (
    SemanticSegmentationModel,
)
from keras_patching.visualization import segmentation_figure

_BATCH_SIZE = 8
_CLASSES = ("ground", "plant")


def segmentation_demo(
    out,
    seed=0,
    epochs=7,
    num_images=10,
    image_size=(768, 1024),
    patch_size=128,
    patch_model=None,
):
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
    out = console.claim(out, "segmentation")
    keras.utils.set_random_seed(seed)
    console.print_setup()
    images, masks = _draw_field(out / "field", num_images, image_size, seed)
    model = SemanticSegmentationModel(2, patch_model, overlap=patch_size // 4)
    model.set_patch_size(height=patch_size, width=patch_size)
    train, held_out = _load_patches(model, images, masks, seed)
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
    _print_scores(scores, len(paths))
    console.print_end(pictures, saved, time.time() - started)
    return scores


def _draw_field(directory, num_images, image_size, seed):
    height, width = image_size
    console.print_step(
        f"Draw {num_images} images of {height} x {width} pixels, and their "
        "masks",
        "images, masks = write_plant_field(",
        f'    "{directory}", {num_images}, {image_size}, seed={seed})',
    )
    return fields.write_plant_field(
        directory, num_images, image_size, seed, verbose=True
    )


def _load_patches(model, images, masks, seed):
    height, width = model.patch_size
    console.print_step(
        f"Cut them into patches of {height} x {width} pixels, and "
        "hold out a fifth of the images",
        "model = keras_patching.SemanticSegmentationModel(num_classes=2, "
        f"overlap={model.predictor.overlap[0]})",
        f"model.set_patch_size(height={height}, width={width})",
        "train, held_out = "
        "model.load_dataset_from_directory_with_segmentation_masks(",
        '    images, masks, subset="both", validation_split=0.2,',
        f"    batch_size={_BATCH_SIZE}, augment=True, seed={seed})",
    )
    return model.load_dataset_from_directory_with_segmentation_masks(
        images,
        masks,
        subset="both",
        validation_split=0.2,
        batch_size=_BATCH_SIZE,
        augment=True,
        seed=seed,
    )


def _predict(model, paths):
    """Predict the mask of each image."""
    console.print_step(
        f"Predict {len(paths)} whole images that it has not seen",
        "probabilities = model.predict(full_images)",
        "predictions = model.decode_predictions(probabilities)",
    )
    predictions = []
    for path in console.with_progress(paths):
        image = read_image(path)
        probabilities = model.predict(image[None], verbose=0)
        predictions.append(model.decode_predictions(probabilities)[0])
    return predictions


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
    thresholded = [fields.threshold_mask(read_image(path)) for path in paths]
    return {
        "model": _iou(truths, predictions),
        "threshold": _iou(truths, thresholded),
    }


def _iou(truths, predictions):
    """Intersection over union of class 1, over the pixels of all images."""
    both = np.logical_and(truths, predictions).sum()
    either = np.logical_or(truths, predictions).sum()
    return float(both / max(either, 1))


def _print_scores(scores, num_images):
    say(
        f"\nIoU of the plants in {num_images} whole held-out images "
        "(1 is perfect)\n"
        f"  model                  {scores['model']:.3f}\n"
        f"  thresholding of green  {scores['threshold']:.3f}\n"
    )
