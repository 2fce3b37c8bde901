"""Evaluates whole images at the end of an epoch."""

import os
from collections.abc import Sequence
from typing import Any

import keras

from keras_patching._checks import check_integer
from keras_patching._types import NDArray
from keras_patching.data.labels.whole_images import (
    list_whole_images,
    pair_whole_images,
)


class FullImageEvaluation(keras.callbacks.Callback):
    """Adds scores on whole images to the logs of an epoch.

    Patches cut objects and count their seams twice; what matters is the whole
    image. The scores are those of the model's `evaluate_full_images`, under
    the names `val_full_<score>`: for segmentation `val_full_mean_iou` and
    `val_full_iou_<class>`; for counting `val_full_count_mae`,
    `val_full_count_relative_error`, `val_full_precision`, `val_full_recall`
    and `val_full_f1`; for detection `val_full_ap50` and
    `val_full_ap50_95`. Put this callback before those that watch its scores,
    such as `EarlyStopping` and `ModelCheckpoint`.

    Args:
        images: Whole images: a folder, a list of paths or of arrays, which may
            be of different sizes, or an array.
        targets: Their targets, as `evaluate_full_images` takes them: masks
            `(height, width)`, their paths or their folder for segmentation;
            for counting arrays `(n, 2)` of points `(y, x)` in pixels; for
            detection dicts of `boxes` `(n, 4)`, xyxy in pixels, and `labels`
            `(n,)`. A list in the order of the images, or a dict from their
            names, as `read_points` and `read_boxes` give it.
        every: Evaluate after the first epoch and after every so many. In
            between, the last scores are repeated: others find them.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If images and targets do not pair, or there are none; and
            before a training, if targets cannot be those of the images.

    Example:

    >>> model = keras_patching.SemanticSegmentationModel(2, patch_model)
    >>> model.set_patch_size(64)
    >>> train = model.load_dataset_from_directory_with_segmentation_masks(
    ...     "field/images", "field/masks"
    ... )
    >>> model.compile("adam")
    >>> scores = keras_patching.callbacks.FullImageEvaluation(
    ...     "field/images", "field/masks"
    ... )
    >>> stop = keras.callbacks.EarlyStopping("val_full_mean_iou", mode="max")
    >>> history = model.fit(train, epochs=2, callbacks=[scores, stop])
    >>> len(history.history["val_full_mean_iou"])
    2
    """

    def __init__(
        self,
        images: str | os.PathLike | Sequence[Any] | NDArray,
        targets: Any,
        every: int = 1,
    ) -> None:
        super().__init__()
        if isinstance(targets, (str, os.PathLike)):
            # Which files are the targets of which, the model knows.
            list_whole_images(images)
        else:
            pairs = pair_whole_images(images, targets, "targets")
            images, targets = (list(each) for each in zip(*pairs, strict=True))
        self.images = images
        self.targets = targets
        self.every = check_integer(every, "every", 1)
        self._scores: dict[str, float] = {}

    def set_model(self, model: keras.Model) -> None:
        super().set_model(model)
        if hasattr(model, "pair_full_images"):
            # What is wrong with them is said before a training, not after it.
            model.pair_full_images(self.images, self.targets)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._scores = {}

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        if not self._scores or (epoch + 1) % self.every == 0:
            scores = self.model.evaluate_full_images(self.images, self.targets)
            self._scores = {
                f"val_full_{name}": score for name, score in scores.items()
            }
        if logs is not None:
            logs.update(self._scores)
