"""What was found in images as GeoJSON, in map coordinates or in pixels.

In pixels it is as QuPath reads it, with its `objectType`, `classification` and
`measurements`; points of one image are read back from it by `read_points`.
"""

import functools
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_patching._checks import as_boxes, as_points
from keras_patching._types import ArrayLike
from keras_patching.data.images.georeference import (
    import_rasterio,
    read_georeference,
)

# Longitude and latitude, which RFC 7946 asks for.
WGS84 = "EPSG:4326"
OWN = "image"
PIXELS = "pixels"
_DECIMALS_OF_PIXELS = 3
# 0.1 mm, in degrees and in metres.
_DECIMALS_OF_DEGREES, _DECIMALS = 9, 4


def to_geojson(
    image: str | os.PathLike | Any,
    *,
    points: ArrayLike | None = None,
    boxes: ArrayLike | None = None,
    polygons: Sequence[Sequence[ArrayLike]] | None = None,
    properties: Sequence[Mapping[str, Any]] | None = None,
    crs: str = WGS84,
) -> dict[str, Any]:
    """Give what was found in a georeferenced image or a slide as GeoJSON.

    Of the image only tags are read.

    Args:
        image: Path of the image, open rasterio data set, or what `open_image`
            gives: then `points`, `boxes` and `polygons` are in pixels of its
            level.
        points: Array `(n, 2)` of (y, x) in pixels, where pixel `i` reaches
            from `i` to `i + 1`.
        boxes: Or array `(n, 4)` of x1, y1, x2, y2 in pixels.
        polygons: Or a list of polygons, each a list of rings, arrays
            `(m, 2)` of (y, x) in pixels: the outline first, then holes.
        properties: Dict for each of them, of its score or class for example.
        crs: `"pixels"` for QuPath: those of the largest level; `"label"` in
            `properties` is then its class, `"color"` the RGB of that, and
            numbers are measurements. Or the coordinate system of the result:
            `"EPSG:4326"`, longitude and
            latitude, which the standard, RFC 7946, asks for; another that
            rasterio knows; or `"image"`, that of the image. Others than
            longitude and latitude are named by a member `crs`, which GDAL and
            QGIS read.

    Returns:
        Dict to be written by `json.dump`: a `FeatureCollection` of points or
        polygons, in the order that they were given in.

    Raises:
        ImportError: rasterio is not installed.
        ValueError: The image is not georeferenced, or not of a known
            coordinate system; or not one kind of shapes is given.

    Example:

    >>> found = keras_patching.data.to_geojson(
    ...     "ortho.tif", points=[(10.5, 20.5)], properties=[{"score": 0.9}]
    ... )
    >>> found["features"][0]["geometry"]["type"]
    'Point'
    """
    kinds = {"points": points, "boxes": boxes, "polygons": polygons}
    given = [name for name, value in kinds.items() if value is not None]
    if len(given) != 1:
        raise ValueError(
            "Pass one of `points`, `boxes` and `polygons`. Received: "
            f"{', '.join(given) or 'none'}"
        )
    if crs == PIXELS:
        geometries = pixel_geometries(image, **kinds)
        make = functools.partial(to_pixel_feature, kind=given[0])
        features = _features(geometries, properties, given[0], make)
        return to_collection(features, crs=PIXELS)
    down, right = getattr(image, "downsample", (1.0, 1.0))
    is_first = getattr(image, "is_first", True)
    image = getattr(image, "path", image)
    import_rasterio(image)
    reference = read_georeference(image) if is_first else None
    if reference is None or reference.crs is None:
        raise ValueError(
            f"{image}: does not say where on the earth it lies. Expected a "
            "georeferenced image with a coordinate system, as a GeoTIFF."
        )
    geometries = to_geometries(reference.scaled(down, right), crs, **kinds)
    features = _features(geometries, properties, given[0], to_feature)
    return to_collection(features, reference, crs)


def _features(geometries, properties, kind, make):
    if properties is None:
        properties = [{} for _ in geometries]
    if len(properties) != len(geometries):
        raise ValueError(
            "`properties` must have a dict for each shape. Received: "
            f"{len(properties)} for {len(geometries)} {kind}"
        )
    return [
        make(geometry, each)
        for geometry, each in zip(geometries, properties, strict=True)
    ]


def to_pixel_feature(geometry, properties, kind):
    """Give a feature as QuPath reads it.

    Args:
        geometry: Of GeoJSON, in pixels.
        properties: As for `to_geojson`.
        kind: "points", "boxes" or "polygons".
    """
    fields = dict(properties)
    label, color = fields.pop("label", None), fields.pop("color", None)
    measured = {
        name: float(value)
        for name, value in fields.items()
        if isinstance(value, (int, float, np.number))
        and not isinstance(value, bool)
    }
    known = {k: v for k, v in fields.items() if k not in measured}
    # QuPath counts points of one annotation, and lists detections faster.
    known["objectType"] = "annotation" if kind == "points" else "detection"
    if label is not None:
        known["classification"] = {"name": str(label)}
        if color is not None:
            known["classification"]["color"] = [int(part) for part in color]
    if measured:
        known["measurements"] = measured
    return to_feature(geometry, known)


def pixel_geometries(image, points=None, boxes=None, polygons=None):
    """Give shapes as geometries in pixels of the largest level.

    Args:
        image: What was found in, with `downsample` where it is a level.
        points, boxes, polygons: As for `to_geojson`.
    """
    down, right = getattr(image, "downsample", (1.0, 1.0))

    def place(shapes):
        return shapes[:, ::-1] * (right, down)

    return _geometries(place, _DECIMALS_OF_PIXELS, points, boxes, polygons)


def to_feature(geometry, properties):
    """Give a feature of GeoJSON."""
    return {
        "type": "Feature",
        "geometry": geometry,
        "properties": dict(properties),
    }


def to_collection(features, reference=None, crs=WGS84):
    """Give a collection of features, which names its coordinate system.

    Args:
        features: List of features.
        reference: `Georeference` whose coordinate system `OWN` is.
        crs: As for `to_geojson`.
    """
    collection = {"type": "FeatureCollection", "features": features}
    if crs in (WGS84, PIXELS):
        return collection
    name = _crs_of(reference, crs)
    code = name.to_authority()
    text = f"urn:ogc:def:crs:{code[0]}::{code[1]}" if code else name.to_wkt()
    return {
        **collection,
        "crs": {"type": "name", "properties": {"name": text}},
    }


def to_geometries(reference, crs, points=None, boxes=None, polygons=None):
    """Give shapes in pixels as geometries of GeoJSON.

    Args:
        reference: `Georeference` of the image, with a coordinate system.
        crs, points, boxes, polygons: As for `to_geojson`.

    Returns:
        List of dicts.
    """
    target = _crs_of(reference, crs)
    decimals = _DECIMALS_OF_DEGREES if target.is_geographic else _DECIMALS
    return _geometries(
        lambda shapes: _project(reference, target, shapes),
        decimals,
        points,
        boxes,
        polygons,
    )


def _geometries(place, decimals, points, boxes, polygons):
    """Make geometries; `place` gives `(n, 2)` of (x, y) of those of (y, x)."""
    if points is not None:
        places = place(as_points(points, "points"))
        return [
            {"type": "Point", "coordinates": place}
            for place in places.round(decimals).tolist()
        ]
    if boxes is not None:
        x1, y1, x2, y2 = as_boxes(boxes, "boxes").T
        corners = [(y2, x1), (y2, x2), (y1, x2), (y1, x1)]
        rings = np.array(corners).transpose(2, 0, 1)
        polygons = [[ring] for ring in rings]
    rings = [as_points(ring, "rings") for each in polygons for ring in each]
    lengths = np.cumsum([len(ring) for ring in rings])[:-1]
    places = place(np.concatenate([np.zeros((0, 2)), *rings]))
    placed = iter(np.split(places, lengths) if rings else [])
    return [
        {
            "type": "Polygon",
            "coordinates": [
                _ring(next(placed), index == 0).round(decimals).tolist()
                for index in range(len(each))
            ],
        }
        for each in polygons
    ]


def _ring(places, is_outline):
    """Close a ring; outlines turn to the left, holes to the right."""
    x, y = (places - places[:1]).T
    area = (x * np.roll(y, -1) - y * np.roll(x, -1)).sum()
    if (area > 0) != is_outline:
        places = places[::-1]
    if (places[0] != places[-1]).any():
        places = np.concatenate([places, places[:1]])
    return places


def _project(reference, target, points):
    """Give `(n, 2)` of (x, y) in a coordinate system, of (y, x) in pixels."""
    from rasterio.crs import CRS
    from rasterio.warp import transform

    places = reference.to_map(points)
    source = CRS.from_wkt(reference.crs)
    if source == target or not len(places):
        return places
    return np.stack(transform(source, target, *places.T), axis=1)


def _crs_of(reference, crs):
    from rasterio.crs import CRS
    from rasterio.errors import CRSError

    if crs == OWN:
        return CRS.from_wkt(reference.crs)
    try:
        return CRS.from_user_input(crs)
    except CRSError as error:
        raise ValueError(
            "`crs` must be a coordinate system that rasterio knows, as "
            f"'EPSG:4326', or 'image'. Received: crs={crs!r}"
        ) from error
