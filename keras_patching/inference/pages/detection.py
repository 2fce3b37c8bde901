"""What the page tells of boxes: how many of each class, and where."""

import numpy as np

from keras_patching.visualization import palette
from keras_patching.visualization.pages.class_tables import class_counts, count
from keras_patching.visualization.pages.layers import LayerKind, box_layer
from keras_patching.visualization.pages.page import Column

_BOXES, _CORNERS = "boxes.csv", ("x1", "y1", "x2", "y2")


class DetectionContents:
    """Counts and boxes of each class; see `inference.pages`.

    Args:
        model: An `ObjectDetectionModel`.
    """

    def __init__(self, model):
        names = model.class_names
        colors = palette(len(names))
        self._classes = list(zip(colors, names, strict=True))
        self.kinds = [
            LayerKind(f"boxes-{i}", name, color)
            for i, (color, name) in enumerate(self._classes)
        ]
        self._kinds = [("count", None, "All classes")]
        if len(names) == 1:  # It has all.
            self._kinds = []
        self._kinds += [
            (f"count_{name}", color, name) for color, name in self._classes
        ]
        self.columns = [
            Column(name, "boxes", color) for _, color, name in self._kinds
        ]

    def values(self, entry):
        """Give the number of boxes, and of those of each class."""
        return [count(number) for number in self._counts(entry)]

    def _counts(self, entry):
        return [entry.row[key] for key, *_ in self._kinds]

    def layers(self, entry, files):
        """Give the boxes of each class, with their scores."""
        return [
            self._boxes_of(f"boxes-{i}", entry.tables[_BOXES], color, name)
            for i, (color, name) in enumerate(self._classes)
        ]

    def _boxes_of(self, key, rows, color, name):
        rows = [row for row in rows if row["label"] == name]
        boxes = [[row[corner] for corner in _CORNERS] for row in rows]
        scores = [f"{row['score']:.2f}" for row in rows]
        return box_layer(key, np.reshape(boxes, (-1, 4)), scores, color)

    def tables(self, entries):
        """Give the counts of all images."""
        counts = [self._counts(entry) for entry in entries]
        kinds = [(color, name) for _, color, name in self._kinds]
        return [class_counts(kinds, counts, "image")]
