"""What the page tells of counts and places beside true ones."""

import numpy as np

from keras_patching.data.images.resizing import ReadScale
from keras_patching.metrics.counting import count_errors, localization_scores
from keras_patching.visualization import COLORS
from keras_patching.visualization.pages.class_tables import count, share
from keras_patching.visualization.pages.layers import LayerKind, point_layer
from keras_patching.visualization.pages.page import Column, SmallTable, Value

_POINTS = "points.csv"


def points_of(entry):
    """Give the points of an image that were located, `(n, 2)` of `(y, x)`."""
    points = [(row["y"], row["x"]) for row in entry.tables[_POINTS]]
    return np.reshape(points, (-1, 2))


def radius_of(model, entry):
    """Give the radius of rings around objects, in pixels of the file."""
    scale = _scale_of(model, entry)
    return max(2.0, scale.to_file.length(2 * model.density_map_sigma))


def _scale_of(model, entry):
    size = entry.row["height"], entry.row["width"]
    return ReadScale.of_file(size, model.resize)


class CountingScores:
    """Errors of counts, hits of places, and true points.

    Args:
        model: A `HeatmapObjectCountingModel`.
        is_located: Whether objects are located too.
        truth: Dict from names of images to `(n, 2)` of `(y, x)`.
    """

    def __init__(self, model, is_located, truth):
        self._model, self._is_located, self._truth = model, is_located, truth
        self._tolerance = 2 * model.density_map_sigma
        self.kinds = [LayerKind("truth", "True points", COLORS[0], False)]
        self.columns = [Column("True count"), Column("Error", "count - true")]
        if is_located:
            what = "px" if model.resize is None else "resized px"
            within = f"within {self._tolerance:g} {what}"
            self.columns.append(Column("F1", f"of places {within}"))

    def values(self, entry, files):
        """Give the true count, the error, and the F1 of places."""
        truth = self._truth.get(entry.row["image"])
        if truth is None:
            return [share(None)] * len(self.columns)
        error = entry.row["count"] - len(truth)
        values = [count(len(truth)), Value(error, f"{error:+,.1f}")]
        if self._is_located:
            scores = self._localize([entry])
            values.append(share(scores["f1"]))
        return values

    def _localize(self, entries):
        # In pixels of what was read, as the tolerance is.
        scales = [_scale_of(self._model, entry) for entry in entries]
        found, true = (
            [
                scale.points(points(entry))
                for scale, entry in zip(scales, entries, strict=True)
            ]
            for points in (
                points_of,
                lambda entry: self._truth[entry.row["image"]],
            )
        )
        return localization_scores(found, true, self._tolerance)

    def layers(self, entry, files):
        """Give rings around what is true."""
        truth = self._truth.get(entry.row["image"])
        if truth is None:
            return []
        radius = radius_of(self._model, entry)
        return [point_layer("truth", truth, radius, COLORS[0])]

    def tables(self, entries):
        """Give the errors of all images that have a truth."""
        entries = [e for e in entries if e.row["image"] in self._truth]
        if not entries:
            return []
        counts = [entry.row["count"] for entry in entries]
        true = [len(self._truth[entry.row["image"]]) for entry in entries]
        errors = count_errors(counts, true)
        relative = errors["count_relative_error"]
        rows = [
            [(None, "images with a truth"), count(len(entries))],
            [(None, "mean absolute error"), count(errors["count_mae"])],
            [
                (None, "absolute errors over all objects"),
                share(None if np.isnan(relative) else relative),
            ],
        ]
        if self._is_located:
            rows += [
                [(None, f"{name} of places"), share(score)]
                for name, score in self._localize(entries).items()
            ]
        return [SmallTable("Scores of counts", ["Score", ""], rows)]
