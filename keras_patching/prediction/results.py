"""Results that are written band by band, one for each image."""

import keras

from keras_patching.ops.patches import scaled_length
from keras_patching.prediction.image_job import image_rows


class WrittenResult:
    """What is predicted of an image, pixel by pixel, written band by band.

    Args:
        targets: For each output what it is written into, as of `open_target`.
        scales: Of the outputs, see `PatchOutputs`.
        structure: What the outputs are packed into.
        check: Function of each band, which refuses what is no result.

    Attributes:
        rows_done: Rows of the image whose results are there already.
        is_done: Whether all are.
    """

    def __init__(self, targets, scales, structure, check=None):
        self._targets, self._structure = targets, structure
        self._check = check
        self.is_done = all(target.is_done for target in targets)
        self.rows_done = min(
            image_rows(target.rows_done, scale)
            for target, scale in zip(targets, scales, strict=True)
        )
        self._rows = [
            0 if scale is None else scaled_length(self.rows_done, scale)
            for scale in scales
        ]

    def add(self, index, band):
        """Take the next rows of an output, an array `(rows, ...)`."""
        self._targets[index].write(self._rows[index], band)
        self._rows[index] += len(band)

    def check(self, band):
        """Refuse what is no result, before parts of it are filled."""
        if self._check is not None:
            self._check(band)

    def finish(self):
        """Return what was written: an array or a path for each output."""
        made = [target.finish() for target in self._targets]
        return keras.tree.pack_sequence_as(self._structure, made)

    def abandon(self):
        """Leave nothing half-made behind."""
        for target in self._targets:
            target.abandon()
