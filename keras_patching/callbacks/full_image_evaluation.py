"""Evaluates whole images at the end of an epoch."""

import keras


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
        images: Whole images: an array, or a list of arrays or paths, which
            may be of different sizes.
        targets: Their targets, as `evaluate_full_images` takes them: masks
            `(height, width)` or their paths for segmentation; for counting
            arrays `(n, 2)` of points `(y, x)` in pixels; for detection dicts
            of `boxes` `(n, 4)`, xyxy in pixels, and `labels` `(n,)`.
        every: Evaluate after the first epoch and after every so many. In
            between, the last scores are repeated: others find them.

    Raises:
        ValueError: If images and targets are not as many, or there are none.

    Example:

    ```python
    model.fit(
        train,
        epochs=20,
        callbacks=[
            keras_patching.callbacks.FullImageEvaluation(images, masks),
            keras.callbacks.EarlyStopping("val_full_mean_iou", mode="max"),
        ],
    )
    ```
    """

    def __init__(self, images, targets, every=1):
        super().__init__()
        if len(images) != len(targets) or len(images) == 0:
            raise ValueError(
                "`images` and `targets` must be as many, and at least one. "
                f"Received: {len(images)} images, {len(targets)} targets"
            )
        if every < 1:
            raise ValueError(f"`every` must be at least 1. Received: {every}")
        self.images = images
        self.targets = targets
        self.every = every
        self._scores = {}

    def on_train_begin(self, logs=None):
        self._scores = {}

    def on_epoch_end(self, epoch, logs=None):
        if not self._scores or (epoch + 1) % self.every == 0:
            scores = self.model.evaluate_full_images(self.images, self.targets)
            self._scores = {
                f"val_full_{name}": score for name, score in scores.items()
            }
        if logs is not None:
            logs.update(self._scores)
