"""The count and the places of objects of a heatmap that comes in bands."""

import numpy as np

from keras_patching.models.counting.peaks import (
    far_enough,
    find_candidates,
    reach_of,
)
from keras_patching.models.prediction_checks import check_predictions


class CountedBands:
    """Counts and locates the objects of one image, band by band.

    The places and scores are those that `HeatmapObjectCountingModel.locate`
    gives of the whole heatmap, bit for bit. The count is that of
    `decode_predictions` to 1e-6, relative to the sum of absolute values: bands
    are added up in another order.

    It keeps the maxima that were found, and as many rows as decide whether
    others are: a few times `min_distance`.

    Args:
        peak_density: Objects per pixel at the center of an object that stands
            alone, a score of 1.
        min_score: Lowest score of an object.
        min_distance: Lowest distance between two objects, in pixels.
    """

    def __init__(self, peak_density, min_score, min_distance):
        self._score = np.float32(1 / peak_density)
        self._limits = min_score, min_distance
        self._reach = reach_of(min_distance)
        self._count = 0.0
        # Scores from row `_top` on, up to the last that came.
        self._rows, self._top, self._height = [], 0, 0
        # Rows whose maxima are known, and these.
        self._decided, self._candidates = 0, []

    def add(self, index, band):
        """Take the next rows of the heatmap.

        Args:
            index: Number of the output: 0, the only one.
            band: float32 `(rows, width, 1)`, objects per pixel.

        Raises:
            ValueError: If it is no such array, or holds NaN.
        """
        shape = "batch", "height", "width", 1
        check_predictions(band[None], shape, "`predict` of this model")
        self._count += float(band.sum(dtype="float64"))
        self._rows.append(band[..., 0].astype("float32") * self._score)
        self._height += len(band)
        # Rows of the margins are filtered twice: not for a few rows.
        if self._height - self._decided > 3 * self._reach:
            self._decide(self._height - self._reach)

    def finish(self):
        """Give what was found.

        Returns:
            Dict of `"count"`, a float, the number of objects; `"points"`,
            float32 `(n, 2)` of `(y, x)` in pixels, centers of pixels, best
            first; and `"scores"`, float32 `(n,)`.
        """
        self._decide(self._height)
        points, scores = map(
            np.concatenate, zip(*self._candidates, strict=True)
        )
        _, min_distance = self._limits
        points, scores = far_enough(points, scores, min_distance)
        return {"count": self._count, "points": points, "scores": scores}

    def abandon(self):
        """Leave the image: nothing was made that would have to go."""

    def _decide(self, stop):
        """Find the maxima of the rows up to `stop`; forget what is done."""
        rows = np.concatenate(self._rows)
        points, scores = find_candidates(
            rows, *self._limits, self._decided - self._top, stop - self._top
        )
        points[:, 0] += self._top
        self._candidates.append((points, scores))
        self._decided = stop
        top = max(0, stop - self._reach)
        self._rows = [rows[top - self._top :].copy()]
        self._top = top
