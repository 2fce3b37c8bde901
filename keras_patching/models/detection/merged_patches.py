"""The objects of an image, of predictions that come patch by patch."""

import keras
import numpy as np


class MergedPatches:
    """Collects the predictions of patches and merges those of an image.

    Args:
        merge: Function of what `predict` gives for one image.
        structure: What the patch model returns.
    """

    def __init__(self, merge, structure):
        self._merge, self._structure = merge, structure
        self._rows = {}

    def add(self, index, band):
        """Take the next rows of the grid of patches, of one output."""
        self._rows.setdefault(index, []).append(band)

    def finish(self):
        """Return the dict of objects that `merge_predictions` gives."""
        raw = [
            np.concatenate(self._rows[index])[None]
            for index in sorted(self._rows)
        ]
        (found,) = self._merge(
            keras.tree.pack_sequence_as(self._structure, raw)
        )
        return found

    def abandon(self):
        """Nothing is left behind."""
