"""What the page tells of objects: how many of each class, and where."""

import numpy as np

from keras_patching.inference.pages.segmentation import SegmentationContents
from keras_patching.visualization.pages.class_tables import class_counts, count
from keras_patching.visualization.pages.layers import LayerKind, box_layer
from keras_patching.visualization.pages.page import Column

_CORNERS = "x1", "y1", "x2", "y2"


class ObjectContents(SegmentationContents):
    """Class areas, masks, and numbered objects; see `inference.pages`.

    Args:
        model: A `SemanticSegmentationModel`.
    """

    def __init__(self, model):
        super().__init__(model)
        self.kinds = [
            *self.kinds,
            LayerKind("objects", "Numbers of objects", is_on=False),
        ]
        self._kept = [
            i for i in range(model.num_classes) if i not in model._background
        ]
        self.columns = [
            *self.columns,
            Column("Objects", "connected regions"),
        ]

    def values(self, entry, files):
        """Give the share of each class, and the number of objects."""
        return [*super().values(entry, files), count(entry.row["count"])]

    def layers(self, entry, files):
        """Give the mask, and boxes with the numbers of objects."""
        rows = entry.tables["objects.csv"]
        boxes = [[row[corner] for corner in _CORNERS] for row in rows]
        boxes = np.array(boxes, "float64").reshape(-1, 4)
        numbers = [str(row["object"]) for row in rows]
        return [
            *super().layers(entry, files),
            box_layer("objects", boxes, numbers, color=(255, 255, 255)),
        ]

    def tables(self, entries):
        """Give areas, and numbers of objects, in all images."""
        classes = [self._classes[i] for i in self._kept]
        counts = [
            [entry.row[f"count_{self._keys[i]}"] for i in self._kept]
            for entry in entries
        ]
        return [
            *super().tables(entries),
            class_counts(classes, counts, "image"),
        ]
