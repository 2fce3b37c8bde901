"""The objects of an image, of predictions that come patch by patch."""

import keras
import numpy as np


class MergedPatches:
    """Collects the predictions of patches and merges those of an image.

    Args:
        merge: Function of what `predict` gives for one image, and of which
            patches were run, a boolean array `(rows, cols)`.
        structure: What the patch model returns.
    """

    def __init__(self, merge, structure):
        self._merge, self._structure = merge, structure
        self._rows, self._left_out = {}, set()

    def add(self, index, band):
        """Take the next rows of the grid of patches, of one output."""
        self._rows.setdefault(index, []).append(band)

    def leave_out(self, row, col):
        """Take that a patch is not run; what `add` is given of it is void."""
        self._left_out.add((row, col))

    def finish(self):
        """Return the dict of objects that `merge_predictions` gives."""
        raw = [
            np.concatenate(self._rows[index]) for index in sorted(self._rows)
        ]
        is_run = np.ones(raw[0].shape[:2], bool)
        for place in self._left_out:
            is_run[place] = False
        if not is_run.any():
            return _no_objects()
        # A decoder of the user's sees only what the patch model makes.
        example = tuple(np.argwhere(is_run)[0])
        for output in raw:
            output[~is_run] = output[example]
        raw = [output[None] for output in raw]
        (found,) = self._merge(
            keras.tree.pack_sequence_as(self._structure, raw), is_run
        )
        return found

    def abandon(self):
        """Nothing is left behind."""


def _no_objects():
    return {
        "boxes": np.zeros((0, 4), "float32"),
        "scores": np.zeros(0, "float32"),
        "labels": np.zeros(0, "int32"),
    }
