"""Demonstrations on made-up data, one function per task.

Each does what a user would do with data of their own, and prints at every
step the call that it stands for. They need the core installation only.
"""

import os
import pathlib
import time

import keras
import numpy as np

from keras_patching import __version__
from keras_patching.data import synthetic
from keras_patching.data.image_io import read_image, read_mask, write_image
from keras_patching.models.segmentation.semantic_segmentation_model import (
    SemanticSegmentationModel,
)
from keras_patching.visualization import segmentation_figure

_BATCH_SIZE = 8
_LEARNING_RATE = 0.003


def segmentation_demo(
    out,
    seed,
    epochs,
    num_images=10,
    image_size=(768, 1024),
    patch_size=128,
    patch_model=None,
):
    """Segment plants: train on patches, then predict and score whole images.

    Args:
        out: Folder to write to. Patches that it holds are used again.
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
    out = _claim(pathlib.Path(out))
    keras.utils.set_random_seed(seed)
    _print_setup()
    images, masks = _draw_field(out / "field", num_images, image_size, seed)
    model = SemanticSegmentationModel(2, patch_model, overlap=patch_size // 4)
    model.set_patch_size(height=patch_size, width=patch_size)
    train, held_out = _load_patches(model, images, masks, seed)
    _train(model, train, epochs)
    held_out = [
        (images / name, (masks / name).with_suffix(".png"))
        for name in held_out.image_names
    ]
    predictions = _predict(model, [image for image, _ in held_out])
    pictures = _write_pictures(held_out, predictions, out / "pictures")
    _print_step("Keep the model", f"model.save({str(out / 'model.keras')!r})")
    model.save(out / "model.keras")
    scores = _score(held_out, predictions)
    _print_scores(scores, len(held_out))
    _print_paths(pictures, out / "model.keras")
    print(f"Took {time.time() - started:.0f} seconds.")
    return scores


def _claim(out):
    """Make the folder, or refuse one that holds something else."""
    marker = out / ".keras-patching-demo"
    if out.exists() and not marker.exists() and any(out.iterdir()):
        raise ValueError(
            f"{out}: holds files that are not of a demo, which could be "
            "overwritten. Pass an empty or a new folder with --out."
        )
    out.mkdir(parents=True, exist_ok=True)
    marker.touch()
    return out


TASKS = {"segmentation": segmentation_demo}


def _print_setup():
    print(
        f"keras_patching {__version__}, Keras {keras.__version__}\n"
        f"Backend {keras.backend.backend()}, device {_device()}, "
        f"{os.cpu_count()} CPU cores"
    )


def _device():
    """Name the device that tensors live on."""
    if keras.backend.backend() == "jax":
        return keras.distribution.list_devices()[0]
    device = str(keras.ops.zeros(1).device)
    return device.rpartition("device:")[2].lower()


def _print_step(title, *calls):
    print(f"\n{title}")
    for call in calls:
        print(f"  {call}")


def _draw_field(directory, num_images, image_size, seed):
    height, width = image_size
    _print_step(
        f"Draw {num_images} images of {height} x {width} pixels, and their "
        "masks",
        "images, masks = write_plant_field(",
        f'    "{directory}", {num_images}, {image_size}, seed={seed})',
    )
    return synthetic.write_plant_field(
        directory, num_images, image_size, seed, verbose=True
    )


def _load_patches(model, images, masks, seed):
    height, width = model.patch_size
    _print_step(
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


def _train(model, train, epochs):
    _print_step(
        f"Train on {train.num_samples} patches of {len(train.image_names)} "
        f"images, a net of {model.patch_model.count_params():,} weights",
        "model.compile(keras.optimizers.Adam(learning_rate))  # falls from "
        f"{_LEARNING_RATE}",
        f"model.fit(train, epochs={epochs})",
    )
    steps = len(train) * epochs
    model.compile(keras.optimizers.Adam(_learning_rate(steps)))
    model.fit(train, epochs=epochs)


def _learning_rate(steps):
    """Warm up, then fall to almost zero, which so few epochs gain from."""
    return keras.optimizers.schedules.CosineDecay(
        _LEARNING_RATE / 10,
        steps,
        alpha=0.02,
        warmup_target=_LEARNING_RATE,
        warmup_steps=min(20, steps // 5),
    )


def _predict(model, paths):
    """Predict the mask of each image."""
    _print_step(
        f"Predict {len(paths)} whole images that it has not seen",
        "probabilities = model.predict(full_images)",
        "predictions = model.decode_predictions(probabilities)",
    )
    progress = keras.utils.Progbar(len(paths), unit_name="image")
    predictions = []
    for path in paths:
        image = read_image(path)
        probabilities = model.predict(image[None], verbose=0)
        predictions.append(model.decode_predictions(probabilities)[0])
        progress.add(1)
    return predictions


def _write_pictures(held_out, predictions, directory):
    """Write a picture of each prediction beside image and truth."""
    _print_step(
        "Draw what it found, beside the truth",
        "keras_patching.visualization.segmentation_figure("
        "image, truth, prediction)",
    )
    directory.mkdir(exist_ok=True)
    progress = keras.utils.Progbar(len(held_out), unit_name="image")
    paths = []
    for (image, mask), prediction in zip(held_out, predictions, strict=True):
        figure = segmentation_figure(
            read_image(image), read_mask(mask), prediction, columns=2
        )
        paths.append(directory / f"{image.stem}.png")
        write_image(paths[-1], figure)
        progress.add(1)
    return paths


def _score(held_out, predictions):
    truths = [read_mask(mask) for _, mask in held_out]
    thresholded = [
        synthetic.threshold_mask(read_image(image)) for image, _ in held_out
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


def _print_scores(scores, num_images):
    print(
        f"\nIoU of the plants in {num_images} whole held-out images "
        "(1 is perfect)\n"
        f"  model                  {scores['model']:.3f}\n"
        f"  thresholding of green  {scores['threshold']:.3f}\n"
    )


def _print_paths(pictures, model):
    for picture in pictures:
        print(f"Picture  {picture}")
    print(f"Model    {model}")
