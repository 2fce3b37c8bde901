"""Points of one image in GeoJSON, as QuPath exports them, in pixels.

`{"type": "FeatureCollection", "features": [{"type": "Feature", "geometry":
{"type": "Point", "coordinates": [x, y]}, "properties": {"objectType":
"annotation", "classification": {"name": "Tumor", "color": [200, 0, 0]}}},
...]}`, or the list of features alone. A "MultiPoint" has a list of points.
"""

import math
import reprlib

from keras_patching._faults import few
from keras_patching.data.labels.point_labels import FoundPoint
from keras_patching.data.labels.strict_json import to_dict


def is_geojson(content):
    """Tell whether JSON is a collection or list of features, or one."""
    if isinstance(content, list):
        return bool(content) and all(map(_is_feature, content))
    kind = _fields(content).get("type")
    return kind == "FeatureCollection" or _is_feature(content)


def read_geojson(path, content, faults, classes=None):
    """Read the points of one file.

    Args:
        path: `pathlib.Path` of the file, for messages.
        content: What `strict_json.load_any_json` reads.
        faults: List that what is wrong is added to.
        classes: Names of the classes whose features must be points; `None`
            for all.

    Returns:
        List of `FoundPoint`.
    """
    fields = _fields(content)
    if "crs" in fields:
        faults.append(
            f'{path}: has a "crs", so its coordinates are those of a map, '
            "expected pixels of the image. Export it in pixels."
        )
        return []
    features, where = content, ""
    if fields:
        features, where = fields.get("features", [content]), '["features"]'
    if not isinstance(features, list):
        faults.append(
            f"{path}, {where}: found {reprlib.repr(features)}, expected a list."
        )
        return []
    points, shapes, slips = [], {}, []
    for index, feature in enumerate(features):
        place = f"{where}[{index}]"
        label, kind, coordinates = _read_feature(feature, place, slips)
        if kind in ("Point", "MultiPoint"):
            several = coordinates if kind == "MultiPoint" else [coordinates]
            points += _read_points(several, label, place, slips)
        elif kind is not None and (classes is None or label in classes):
            shapes.setdefault(kind, []).append(place)
    slips += [_describe_shapes(*each) for each in shapes.items()]
    faults += [f"{path}, {slip}" for slip in slips]
    return points


def _is_feature(content):
    return _fields(content).get("type") == "Feature"


def _fields(content):
    return dict(content) if isinstance(content, tuple) else {}


def _read_feature(feature, place, faults):
    """Give the class of a feature, the type of its geometry, and the rest."""
    fields = to_dict(feature, place, faults) or {}
    geometry = _fields(fields.get("geometry"))
    kind = geometry.get("type")
    if fields and not isinstance(kind, str):
        faults.append(
            f'{place}["geometry"]: found {reprlib.repr(geometry)}, expected a '
            "Point or MultiPoint. Correct or remove the feature."
        )
        kind = None
    properties = _fields(fields.get("properties"))
    classification = _fields(properties.get("classification"))
    names = classification.get("names", [classification.get("name")])
    names = names if isinstance(names, list) else [names]
    label = ": ".join(name for name in names if isinstance(name, str))
    return label or None, kind, geometry.get("coordinates")


def _read_points(coordinates, label, place, faults):
    if not isinstance(coordinates, list):
        coordinates = [coordinates]
    wrong = [each for each in coordinates if not _is_point(each)]
    if wrong:
        faults.append(
            f"{place}: found the coordinates {few(wrong, 1, reprlib.repr)}, "
            "expected [x, y], finite numbers. Correct them."
        )
        return []
    return [FoundPoint(y, x, place, label) for x, y, *_ in coordinates]


def _is_point(value):
    return (
        isinstance(value, list)
        and len(value) in (2, 3)
        and all(isinstance(n, float) and math.isfinite(n) for n in value)
    )


def _describe_shapes(kind, places):
    more = f" and {len(places) - 1} more features" if places[1:] else ""
    return (
        f"{places[0]}: found a {kind}{more}, expected points, since a shape "
        "may be an object or a region of many. Export points alone (in QuPath "
        '"Convert detections to points"), or choose the classes of the points '
        "by classes=."
    )
