"""Draws new patches of the same images while a detector trains."""

from typing import Any

import keras

from keras_patching._checks import check_integer
from keras_patching.data.feeding.patching_sequence import PatchingSequence


class ResamplePatches(keras.callbacks.Callback):
    """Draws the augmented and the random patches of a sequence anew.

    The patches that cover the detector's grid stay. Nothing is written, and no
    image is decoded again: the new plan cuts other patches of the images in
    the cache, which therefore must be of `store="images"`.

    What is drawn depends on the number of the epoch alone. So a training that
    is resumed, with `initial_epoch`, goes on with the draws that it would have
    had, and one `fit` after the other goes on with new ones.

    Args:
        sequence: `PatchingSequence` of detection, made with
            `store="images"`.
        every: Each draw is of so many epochs.

    Raises:
        ValueError: If it is no such sequence, the cache holds patches instead
            of whole images, or `every` is below 1.

    Example:

    >>> train = keras_patching.load_yolo_dataset_from_directory(
    ...     "trays/labels.json",
    ...     "trays/images",
    ...     patch_size=64,
    ...     grid_size=2,
    ...     store="images",
    ... )
    >>> resample = keras_patching.callbacks.ResamplePatches(train, every=5)
    >>> training = {"x": train, "epochs": 50, "callbacks": [resample]}  # of fit
    """

    def __init__(self, sequence: PatchingSequence, every: int = 1) -> None:
        super().__init__()
        if not isinstance(sequence, PatchingSequence):
            raise ValueError(
                "`sequence` must be the `PatchingSequence` that is trained on, "
                "as `load_yolo_dataset_from_directory` gives it with "
                'store="images". '
                f"Received: sequence={type(sequence).__name__}"
            )
        sequence.check_resampling()
        self.sequence = sequence
        self.every = check_integer(every, "every", 1)

    def on_epoch_begin(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        # Keras calls it while nothing reads the sequence. A second `fit` counts
        # its epochs from 0, the sequence goes on.
        self.sequence.resample(max(epoch, self.sequence.epoch) // self.every)
