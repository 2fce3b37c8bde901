"""The objects of an image, of predictions that come patch by patch."""

import keras
import numpy as np


class MergedPatches:
    """Collects the predictions of patches and merges those of an image.

    Args:
        merge: Function of what `predict` gives for one image, and of which
            patches were run, a boolean array `(rows, cols)`.
        structure: What the patch model returns.
        end: Function of what was found, and of what was in the reduced image
            if there is one, that gives the result.
        reduced: The same of the image at a smaller size, which is finished
            first; `None` for none.
        size: `(height, width)` of the image in pixels.

    Attributes:
        reduced, size: As given.
        found: What was found; `None` before.
    """

    def __init__(self, merge, structure, end, reduced=None, size=None):
        self._merge, self._structure, self._end = merge, structure, end
        self.reduced, self.size = reduced, size
        self.found = None
        self._rows, self._left_out = {}, set()

    def add(self, index, band):
        """Take the next rows of the grid of patches, of one output."""
        self._rows.setdefault(index, []).append(band)

    def leave_out(self, row, col):
        """Take that a patch is not run; what `add` is given of it is void."""
        self._left_out.add((row, col))

    def finish(self):
        """Return the dict of objects that `merge_predictions` gives."""
        self.found = self._find()
        if self.reduced is None:
            return self._end(self.found)
        if self.reduced.found is None:
            raise ValueError(
                "It could not be predicted at a smaller size, which "
                "`large_objects` are found at. Look whether the file is as it "
                "was, or pass large_objects=False."
            )
        return self._end(self.found, self.reduced.found)

    def _find(self):
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
        "cut": np.zeros(0, bool),
    }
