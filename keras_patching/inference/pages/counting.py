"""What the page tells of counts: how many, where, and the heatmap."""

import numpy as np

from keras_patching.visualization import COLORS
from keras_patching.visualization.pages.class_tables import class_counts, count
from keras_patching.visualization.pages.layers import (
    LayerKind,
    heatmap_layer,
    point_layer,
)
from keras_patching.visualization.pages.page import Column

_POINTS = "points.csv"


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

    def values(self, entry):
        """Give the count, and how many are located."""
        counts = [count(entry.row["count"])]
        if self._is_located:
            counts.append(count(entry.row["located"]))
        return counts

    def layers(self, entry, files):
        """Give the heatmap, and rings around what is located."""
        heatmap = files("heatmaps")[..., 0]
        layers = [heatmap_layer("heatmap", heatmap, self._model.peak_density)]
        if self._is_located:
            points = [(row["y"], row["x"]) for row in entry.tables[_POINTS]]
            points = np.reshape(points, (-1, 2))
            radius = max(2.0, 2 * self._model.density_map_sigma)
            layers.append(point_layer("points", points, radius))
        return layers

    def tables(self, entries):
        """Give the count of all images."""
        kinds, columns = [(None, "Count")], ["count"]
        if self._is_located:
            kinds.append((COLORS[1], "Located"))
            columns.append("located")
        counts = [[entry.row[key] for key in columns] for entry in entries]
        return [class_counts(kinds, counts, "image")]
