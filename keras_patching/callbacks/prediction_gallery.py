"""Draws the predictions of whole images at the end of an epoch."""

import functools
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_patching._checks import check_integer
from keras_patching._types import NDArray
from keras_patching.data.images.image_io import (
    read_image,
    write_whole_image,
)
from keras_patching.data.images.label_images import read_mask
from keras_patching.data.images.opened_image import OpenedImage
from keras_patching.data.images.resizing import ReadScale
from keras_patching.data.labels.mask_shapes import are_shapes
from keras_patching.data.labels.whole_images import (
    describe_target,
    list_whole_images,
    pair_whole_images,
)
from keras_patching.visualization import (
    box_legend,
    class_legend,
    counting_panels,
    detection_panels,
    heatmap_bar,
    legend,
    overlay_mask,
    side_by_side,
    stacked,
    to_uint8,
)

_MAX_HEIGHT = 512


class PredictionGallery(keras.callbacks.Callback):
    """Writes pictures of the predictions of a few whole images.

    After an epoch, `epoch_001_0.png` shows the first image beside its
    stitched prediction, `epoch_001_1.png` the second, and so on. Masks that
    the model decodes are laid over the image; objects that it locates are
    ringed, beside the heatmap with the count, on one scale for all pictures; of
    a detection model the merged boxes are drawn, with their scores. A legend
    or the scale stands above. Otherwise the output itself is shown, from its
    smallest to its largest value. Pictures of the same names are replaced.

    Args:
        images: Whole images, as for `FullImageEvaluation`.
        targets: What is true, as for `FullImageEvaluation`, to be shown
            between image and prediction; pixels of the model's `ignore_value`
            stay without colour. `None` shows predictions alone.
        directory: Folder to write to; made if missing.
        every: Draw after the first epoch and after every so many.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If there are no images, images and targets do not pair,
            `every` is below 1, a picture cannot be written, or the model has
            several outputs.

    Example:

    >>> model = keras_patching.inference.load_model("field.keras")
    >>> model.compile("adam")
    >>> train = model.load_dataset_from_directory_with_segmentation_masks(
    ...     "field/images", "field/masks"
    ... )
    >>> gallery = keras_patching.callbacks.PredictionGallery("field/new")
    >>> history = model.fit(train, epochs=1, callbacks=[gallery])
    >>> sorted(path.name for path in pathlib.Path("gallery").iterdir())
    ['epoch_001_0.png', 'epoch_001_1.png', 'epoch_001_2.png']
    """

    def __init__(
        self,
        images: str | os.PathLike | Sequence[Any] | NDArray,
        targets: Any = None,
        directory: str | os.PathLike = "gallery",
        every: int = 1,
    ) -> None:
        super().__init__()
        self.images = images
        self.targets = targets
        self.directory = pathlib.Path(directory)
        self.every = check_integer(every, "every", 1)
        self._pairs = _pairs(images, targets)

    def set_model(self, model: keras.Model) -> None:
        super().set_model(model)
        if self.targets is not None and hasattr(model, "pair_full_images"):
            # What is wrong with them is said before a training, not after it.
            self._pairs = model.pair_full_images(self.images, self.targets)

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        number = epoch + 1
        if number != 1 and number % self.every:
            return
        for index, (image, target) in enumerate(self._pairs):
            picture = _draw(self.model, image, target)
            name = f"epoch_{number:03}_{index}.png"
            write_whole_image(self.directory / name, picture)


def _pairs(images, targets):
    paths = (str, os.PathLike)
    is_folder = isinstance(images, paths) and isinstance(targets, paths)
    # What shapes are to be drawn as, the model knows.
    if targets is None or (is_folder and are_shapes(images, targets)):
        return [(image, None) for image in list_whole_images(images)]
    return pair_whole_images(images, targets, "targets", folder=True)


def _draw(model, image, target):
    file, image = image, _read_image(image, model)
    target = _as_read(file, target, model)
    height = min(len(image), _MAX_HEIGHT)
    output = model.predict(image[None], verbose=0)
    picture = _picture(model, image)
    panels, explain = _drawer(model)(model, picture, output, target, height)
    figure = side_by_side({"Input": picture, **panels}, height)
    return stacked(explain(figure.shape[1]), figure)


def _as_read(file, target, model):
    """Give what is true in pixels of the image as the model has read it."""
    is_file = isinstance(file, (str, os.PathLike, OpenedImage))
    if not is_file or target is None:
        return target
    _, size = describe_target(file, 0)
    scale = ReadScale.of_file(size, getattr(model, "resize", None))
    if scale.is_same:
        return target
    if isinstance(target, dict):
        return {**target, "boxes": scale.boxes(target["boxes"])}
    if hasattr(model, "locate"):
        return scale.points(target)
    return scale.pixels(_read_mask(target, model), "nearest")


def _read_image(image, model):
    if hasattr(model, "read_image"):
        return model.read_image(image)
    return _read(image, read_image)


def _read_mask(mask, model):
    return _read(mask, getattr(model, "read_target", read_mask))


def _picture(model, image):
    """Show an image as it is, and a normalized one from black to white."""
    is_normalized = getattr(model, "normalize", None) is not None
    return to_uint8(image, model.value_range if is_normalized else None)


def _read(array, read):
    is_path = isinstance(array, (str, os.PathLike))
    return read(array) if is_path else np.asarray(array)


def _drawer(model):
    """Tell models apart by what they can do: others' models, too.

    Returns:
        Function that gives a dict of panels, and a function from a width to
        the strip that explains them.
    """
    if hasattr(model, "merge_predictions"):
        return _draw_detection
    if hasattr(model, "locate"):
        return _draw_counting
    return _draw_pixels


def _draw_detection(model, image, output, boxes, height):
    (found,) = model.merge_predictions(output, image.shape[:2])
    panels = detection_panels(image, found, boxes, model.class_names, height)
    return panels, functools.partial(legend, box_legend(model.class_names))


def _draw_counting(model, image, output, points, height):
    located, _ = model.locate(output)[0]
    # One scale for all images and epochs, so that they can be compared.
    white = getattr(model, "peak_density", None)
    panels = counting_panels(image, output[0], located, points, height, white)
    if white is None:
        white = float(np.max(output[0]))
    return panels, functools.partial(heatmap_bar, white)


def _draw_pixels(model, image, output, mask, height):
    output, panels, classes = _only(output), {}, []
    names = getattr(model, "class_names", None)
    all_colors = getattr(model, "class_colors", None)
    colors = None if all_colors is None else all_colors[1:]
    if mask is not None:
        mask = _labelled(_read_mask(mask, model), model)
        panels["Truth"] = overlay_mask(image, mask, colors=colors)
        classes.append(np.unique(mask))
    decoded = _decoded(model, image, output)
    if decoded is None:
        panels["Prediction"] = to_uint8(output[0])
    else:
        panels["Prediction"] = overlay_mask(image, decoded, colors=colors)
        classes.append(np.unique(decoded))
    present = np.concatenate([*classes, [0]])
    entries = class_legend(present, names, all_colors)
    return panels, functools.partial(legend, entries)


def _only(output):
    if not hasattr(output, "shape"):
        raise ValueError(
            "PredictionGallery shows the output of models that have one. "
            f"Received: a {type(output).__name__} of {len(output)} outputs"
        )
    return np.asarray(output)


def _labelled(mask, model):
    ignored = getattr(model, "ignore_value", None)
    return mask if ignored is None else np.where(mask == ignored, 0, mask)


def _decoded(model, image, output):
    """Give the mask that the model decodes, or `None` if it does not."""
    decode = getattr(model, "decode_predictions", None)
    decoded = None if decode is None else np.asarray(decode(output))
    if decoded is None or decoded.shape != (1, *image.shape[:2]):
        return None
    return decoded[0]
