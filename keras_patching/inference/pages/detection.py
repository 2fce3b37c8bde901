"""What the page tells of boxes: how many of each class, and where."""

from keras_patching.inference.pages.detection_scores import (
    DetectionScores,
    boxes_of,
)
from keras_patching.visualization import palette
from keras_patching.visualization.pages.class_tables import class_counts, count
from keras_patching.visualization.pages.layers import LayerKind, box_layer
from keras_patching.visualization.pages.page import Column


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

    def values(self, entry, files):
        """Give the number of boxes, and of those of each class."""
        return [count(number) for number in self._counts(entry)]

    def _counts(self, entry):
        return [entry.row[key] for key, *_ in self._kinds]

    def layers(self, entry, files):
        """Give the boxes of each class, with their scores."""
        return [
            self._boxes_of(f"boxes-{i}", entry, color, name)
            for i, (color, name) in enumerate(self._classes)
        ]

    def _boxes_of(self, key, entry, color, name):
        boxes, scores = boxes_of(entry, name)
        texts = [f"{score:.2f}" for score in scores.tolist()]
        return box_layer(key, boxes, texts, color)

    def make_scores(self, truth):
        """Make what compares boxes with the truth."""
        return DetectionScores(self._classes, truth)

    def tables(self, entries):
        """Give the counts of all images."""
        counts = [self._counts(entry) for entry in entries]
        kinds = [(color, name) for _, color, name in self._kinds]
        return [class_counts(kinds, counts, "image")]
