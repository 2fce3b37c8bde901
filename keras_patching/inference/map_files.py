"""What was found in georeferenced images, as GeoJSON beside the tables."""

from keras_patching.data.images.georeference import (
    is_georeferenced,
    read_georeference,
)
from keras_patching.data.images.windows import open_windows
from keras_patching.data.labels.map_features import (
    WGS84,
    to_collection,
    to_feature,
    to_geometries,
)

_SHAPE = {"x", "y", "x1", "y1", "x2", "y2"}


def collect_features(entries, table, to_shapes, choice):
    """Give the rows of a table as features in longitude and latitude.

    Args:
        entries: List of `Entry`, of the images that are done.
        table: Name of the table.
        to_shapes: Function from rows to shapes in pixels, a dict of what
            `to_geometries` takes.
        choice: `Choice` of the image and the level that the pixels are of.

    Returns:
        Collection of GeoJSON whose features have as properties image, score
        and what else a row tells; `None` where no image is georeferenced.

    Raises:
        ImportError: One is, and rasterio is not installed.
    """
    features, has_maps = [], False
    for entry in entries:
        reference = _reference_of(entry.source.path, choice)
        if reference is None:
            continue
        has_maps, rows = True, entry.tables[table]
        shapes = to_shapes(rows) if rows else {"points": []}
        geometries = to_geometries(reference, WGS84, **shapes)
        features += [
            to_feature(
                geometry,
                {name: row[name] for name in row if name not in _SHAPE},
            )
            for geometry, row in zip(geometries, rows, strict=True)
        ]
    return to_collection(features) if has_maps else None


def _reference_of(path, choice):
    """Give the `Georeference` of what was read of a file, or `None`."""
    if not is_georeferenced(path):
        return None
    reference = read_georeference(path)
    if reference is None or not reference.tells_places:
        return None
    if choice.is_plain:
        return reference
    windows = open_windows(path, choice)
    try:
        if windows.is_first:
            return reference.scaled(*windows.downsample)
    finally:
        windows.close()
    return None
