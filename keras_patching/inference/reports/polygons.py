"""Outlines of objects as GeoJSON: on the map where it is known, else in pixels.

In pixels they are as QuPath reads them, see `data.labels.map_features`.
"""

from keras_patching.data.images.georeference import read_georeference
from keras_patching.data.labels.map_features import (
    PIXELS,
    WGS84,
    pixel_geometries,
    to_collection,
    to_feature,
    to_geometries,
    to_pixel_feature,
)
from keras_patching.visualization.colors import all_class_colors


class Polygons:
    """Makes features of the outlines of objects in an image.

    Args:
        source: `ImageSource` of it.
        names: Name of each class.
        colors: RGB of each class, as of a model, or `None`.

    Attributes:
        collection: What a file of the features holds beside them.
    """

    def __init__(self, source, names, colors):
        self._source = source
        self._reference = _reference_of(source)
        colors = all_class_colors(len(names), colors)
        self._colors = dict(zip(names, colors, strict=True))
        crs = PIXELS if self._reference is None else WGS84
        self.collection = to_collection([], self._reference, crs)

    def features(self, polygons, rows):
        """Give features.

        Args:
            polygons: List of lists of rings `(points, 2)`, `(y, x)` in pixels.
            rows: Dict of each, of what is known of it.
        """
        rows = [
            {name: value for name, value in row.items() if value is not None}
            for row in rows
        ]
        if self._reference is not None:
            geometries = to_geometries(
                self._reference, WGS84, polygons=polygons
            )
            return list(map(to_feature, geometries, rows))
        geometries = pixel_geometries(self._source, polygons=polygons)
        return [
            to_pixel_feature(
                geometry,
                {**row, "color": self._colors[row["label"]]},
                "polygons",
            )
            for geometry, row in zip(geometries, rows, strict=True)
        ]


def _reference_of(source):
    """Give the `Georeference` of an image, or `None` without a use for it."""
    if source.original is None:
        return None
    reference = read_georeference(source.original)
    if reference is None or not reference.tells_places:
        return None
    return reference.scaled(*source.downsample)
