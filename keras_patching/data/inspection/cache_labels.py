"""What a page says of the labels of a cache, whatever they are."""

import numpy as np

from keras_patching.data.inspection.shown_patches import mask_colors
from keras_patching.visualization import COLORS, palette
from keras_patching.visualization.colors import UNLABELLED
from keras_patching.visualization.legends import class_name
from keras_patching.visualization.pages.class_tables import (
    area,
    class_areas,
    class_counts,
    count,
)
from keras_patching.visualization.pages.layers import (
    LayerKind,
    box_layer,
    heatmap_layer,
    mask_layer,
    point_layer,
)
from keras_patching.visualization.pages.page import Column, SmallTable


def labels_of(contents):
    """Choose what tells of the labels of a `CacheContents`."""
    if contents.class_pixels is not None:
        return MaskLabels(contents)
    if contents.class_objects is not None:
        return BoxLabels(contents)
    if contents.objects is not None:
        return ObjectLabels(contents)
    return NoLabels()


class NoLabels:
    """Nothing to tell; the others have the same attributes and methods.

    Attributes:
        kinds: List of `LayerKind`.
        columns: List of `Column`.
        tables: List of `SmallTable`.
    """

    kinds, columns, tables = (), (), ()

    def values(self, index):
        """Give a `Value` per column, of a patch."""
        return []

    def layers(self, patch, shown):
        """Give the layers of a patch, of its arrays and a `ShownPatches`."""
        return []


class MaskLabels(NoLabels):
    """Class areas, and masks."""

    def __init__(self, contents):
        manifest = contents.manifest
        pixels, self._totals = contents.class_pixels, contents.image_pixels
        number = pixels.shape[1]
        # Class 0 stays transparent.
        colors = [None, *mask_colors(manifest)][:number]
        classes = [
            (color, class_name(i, manifest.class_names))
            for i, color in enumerate(colors)
        ]
        unlabelled = self._totals - pixels.sum(axis=1)
        if unlabelled.any():
            classes.append((UNLABELLED, "unlabelled"))
            pixels = np.column_stack([pixels, unlabelled])
        self._pixels = pixels
        self.kinds = [LayerKind("masks", "Masks", legend=classes[1:])]
        self.columns = [
            Column(name, "share, pixels", color) for color, name in classes
        ]
        total = self._totals.sum()
        self.tables = [class_areas(classes, pixels, total, "patches")]

    def values(self, index):
        total = max(1, self._totals[index])
        return [area(n, n / total) for n in self._pixels[index].tolist()]

    def layers(self, patch, shown):
        return [mask_layer("masks", patch["masks"], shown.colors)]


class BoxLabels(NoLabels):
    """Boxes, and how many there are of each class."""

    def __init__(self, contents):
        names = contents.manifest.parameters["class_names"]
        classes = list(zip(palette(len(names)), names, strict=True))
        self._boxes = contents.class_boxes
        self._colors = [color for color, _ in classes]
        self.kinds = [
            LayerKind(f"boxes-{i}", name, color)
            for i, (color, name) in enumerate(classes)
        ]
        self.columns = [Column(name, "boxes", color) for color, name in classes]
        rows = [
            [each, count(objects), count(boxes.sum()), count((boxes > 0).sum())]
            for each, objects, boxes in zip(
                classes, contents.class_objects, self._boxes.T, strict=True
            )
        ]
        head = ["Class", "Objects", "Boxes in patches", "Patches with some"]
        self.tables = [SmallTable("Objects", head, rows)]

    def values(self, index):
        return [count(n) for n in self._boxes[index].tolist()]

    def layers(self, patch, shown):
        boxes, labels = patch["boxes"], patch["labels"]
        return [
            box_layer(f"boxes-{i}", boxes[labels == i], color=color)
            for i, color in enumerate(self._colors)
        ]


class ObjectLabels(NoLabels):
    """Points or heatmaps, and how many objects there are."""

    def __init__(self, contents):
        self._objects = contents.objects
        has_points = "points" in contents.manifest.kinds
        self.kinds = [
            LayerKind("heatmaps", "Heatmaps"),
            LayerKind("points", "Points", COLORS[0]),
        ][: 1 + has_points]
        self.columns = [Column("Objects")]
        counts = self._objects[:, None]
        self.tables = [class_counts([(None, "Objects")], counts, "patch")]

    def values(self, index):
        return [count(self._objects[index])]

    def layers(self, patch, shown):
        heatmap = patch["heatmaps"]
        layers = [heatmap_layer("heatmaps", heatmap, shown.highest or 1)]
        if "points" in patch:
            radius = max(2, len(heatmap) / 64)
            layers.append(
                point_layer("points", patch["points"], radius, COLORS[0])
            )
        return layers
