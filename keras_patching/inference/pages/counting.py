"""What the page tells of counts: how many, where, and the heatmap."""

from keras_patching.inference.pages.counting_scores import (
    CountingScores,
    points_of,
    radius_of,
)
from keras_patching.visualization import COLORS
from keras_patching.visualization.pages.class_tables import class_counts, count
from keras_patching.visualization.pages.layers import (
    LayerKind,
    heatmap_layer,
    point_layer,
)
from keras_patching.visualization.pages.page import Column


class CountingContents:
    """Counts, places and heatmaps; see `inference.pages`.

    Args:
        model: A `HeatmapObjectCountingModel`.
        is_located: Whether objects are located too.
    """

    def __init__(self, model, is_located):
        self._model, self._is_located = model, is_located
        self.kinds = [
            LayerKind("heatmap", "Heatmap", is_on=not is_located),
            LayerKind("points", "Located", COLORS[1]),
        ][: 1 + is_located]
        self.columns = [
            Column("Count", "sum of the heatmap"),
            Column("Located", "peaks of the heatmap"),
        ][: 1 + is_located]

    def values(self, entry, files):
        """Give the count, and how many are located."""
        counts = [count(entry.row["count"])]
        if self._is_located:
            counts.append(count(entry.row["located"]))
        return counts

    def layers(self, entry, files):
        """Give the heatmap, and rings around what is located."""
        heatmap = files.shown("heatmaps")[..., 0]
        layers = [heatmap_layer("heatmap", heatmap, self._model.peak_density)]
        if self._is_located:
            radius = radius_of(self._model, entry)
            layers.append(point_layer("points", points_of(entry), radius))
        return layers

    def make_scores(self, truth):
        """Make what compares counts and places with the truth."""
        return CountingScores(self._model, self._is_located, truth)

    def tables(self, entries):
        """Give the count of all images."""
        kinds, columns = [(None, "Count")], ["count"]
        if self._is_located:
            kinds.append((COLORS[1], "Located"))
            columns.append("located")
        counts = [[entry.row[key] for key in columns] for entry in entries]
        return [class_counts(kinds, counts, "image")]
