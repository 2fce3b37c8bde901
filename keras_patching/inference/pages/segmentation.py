"""What the page tells of masks: how much of each class is where."""

import numpy as np

from keras_patching.inference.pages.segmentation_scores import (
    SegmentationScores,
    read_classes,
)
from keras_patching.visualization.colors import all_class_colors
from keras_patching.visualization.legends import class_name
from keras_patching.visualization.pages.class_tables import area, class_areas
from keras_patching.visualization.pages.layers import LayerKind, mask_layer
from keras_patching.visualization.pages.page import Column


class SegmentationContents:
    """Class areas and masks; see `inference.pages`.

    Args:
        model: A `SemanticSegmentationModel`.
    """

    def __init__(self, model):
        self._model = model
        names = [
            class_name(i, model.class_names) for i in range(model.num_classes)
        ]
        self._keys = model.class_names or list(range(model.num_classes))
        colors = all_class_colors(model.num_classes, model.class_colors)
        # Class 0 stays transparent.
        self._classes = list(zip([None, *colors[1:]], names, strict=True))
        self.kinds = [
            LayerKind("mask", "Predicted classes", legend=self._classes[1:])
        ]
        self.columns = [
            Column(name, "share, pixels", color)
            for color, name in self._classes
        ]

    def values(self, entry, files):
        """Give the share of each class, with its pixels."""
        return [
            area(entry.row[f"pixels_{key}"], entry.row[f"fraction_{key}"])
            for key in self._keys
        ]

    def layers(self, entry, files):
        """Give the mask."""
        mask = read_classes(self._model, files, files.shown)
        colors = [color for color, _ in self._classes[1:]]
        return [mask_layer("mask", np.maximum(mask, 0), colors)]

    def make_scores(self, truth):
        """Make what compares masks with the truth."""
        return SegmentationScores(self._model, self._classes, truth)

    def tables(self, entries):
        """Give the area of each class in all images."""
        pixels = [
            [entry.row[f"pixels_{key}"] for key in self._keys]
            for entry in entries
        ]
        pixels = np.array(pixels)
        return [class_areas(self._classes, pixels, pixels.sum(), "images")]
