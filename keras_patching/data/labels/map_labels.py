"""Labels of all images in one GeoJSON file, in map coordinates.

The file's coordinate system is that of its member `crs`, or longitude and
latitude, as RFC 7946 says. Points go to the image that they lie in, shapes to
those that they reach into. Files of one image in pixels, as QuPath writes them,
are called as their image, and are read by `points_geojson`.
"""

import dataclasses
import warnings

import numpy as np

from keras_patching._faults import few
from keras_patching.data.images.georeference import (
    import_rasterio,
    read_georeference,
)
from keras_patching.data.images.image_io import read_header
from keras_patching.data.labels.shapes import AnnotatedImage, Shape, open_ring

_LABELS = ("label", "class", "class_name")
_KINDS = {
    "Point": "point",
    "MultiPoint": "point",
    "Polygon": "polygon",
    "MultiPolygon": "polygon",
}


def read_map_labels(path, content, images, faults, kinds):
    """Read the features of a file as the shapes of georeferenced images.

    Args:
        path: `pathlib.Path` of the file.
        content: What `strict_json.load_any_json` reads.
        images: List of the paths of all images.
        faults: List that what is wrong is added to, with its place.
        kinds: Kinds of shapes that are wanted: where boxes are, each goes to
            the image that its center lies in; else it is cut off at the edges
            of each that it reaches into.

    Returns:
        List of `AnnotatedImage`, of images with shapes.

    Raises:
        ImportError: rasterio is not installed.
        ValueError: No image says where it lies.
    """
    import_rasterio(path)
    references = {image: read_georeference(image) for image in images}
    unplaced = [
        image.name
        for image, reference in references.items()
        if reference is None or reference.crs is None
    ]
    if unplaced:
        raise ValueError(
            f"{path}: is GeoJSON of all images, so in coordinates of a map, "
            f"and {few(unplaced)} of the {len(images)} images do not say where "
            "on the earth they lie. Pass georeferenced images; of GeoJSON in "
            "pixels, as of QuPath, the folder of a file for each image."
        )
    crs = _crs_of(path, content)
    shapes = list(_shapes_of(content, faults))
    found, placed = [], np.zeros(len(shapes), bool)
    for image, reference in references.items():
        size = read_header(image).size
        inside = []
        for index, shape in enumerate(_moved(shapes, crs, reference)):
            part = _part_inside(shape, size, kinds)
            if part is not None:
                inside.append(part)
                placed[index] = True
        if inside:
            found.append(
                AnnotatedImage(
                    label_file=path, names=(image.name,), shapes=inside
                )
            )
    outside = np.count_nonzero(~placed)
    if shapes and outside == len(shapes):
        faults.append(
            f"none of its {len(shapes)} shapes lies in an image. They were "
            f"read in the coordinate system {crs}: name that of the file in a "
            'member "crs" (QGIS and GDAL write it); of GeoJSON in pixels, as '
            "of QuPath, pass the folder of a file for each image."
        )
    elif outside:
        warnings.warn(
            f"{path}: {outside} of its {len(shapes)} shapes lie in no image.",
            stacklevel=4,
        )
    return found


def are_of_map(image, points):
    """Tell whether points called pixels are longitude and latitude.

    Args:
        image: Path of the image.
        points: Array `(n, 2)` of (y, x).
    """
    points = np.asarray(points, "float64").reshape(-1, 2)
    if not len(points) or (abs(points) > (90, 180)).any():
        return False
    reference = read_georeference(image)
    if reference is None or reference.crs is None:
        return False
    y, x = reference.to_pixels(_project(points, "EPSG:4326", reference)).T
    height, width = read_header(image).size
    return bool(((y >= 0) & (y < height) & (x >= 0) & (x < width)).all())


def _fields(content):
    return dict(content) if isinstance(content, tuple) else {}


def _crs_of(path, content):
    """Give the coordinate system of a file, as rasterio has it."""
    from rasterio.crs import CRS
    from rasterio.errors import CRSError

    name = _crs_name(path, content)
    try:
        return CRS.from_user_input(name)
    except (CRSError, ValueError) as error:
        raise ValueError(
            f'{path}: its "crs" {name!r} is not known to rasterio. Save it in '
            "longitude and latitude."
        ) from error


def _crs_name(path, content):
    member = _fields(_fields(content).get("crs"))
    if not member:
        return "EPSG:4326"
    name = _fields(member.get("properties")).get("name")
    if not isinstance(name, str):
        raise ValueError(
            f'{path}: its "crs" has no name, expected one as '
            '{"type": "name", "properties": {"name": "EPSG:25832"}}.'
        )
    return "EPSG:4326" if "CRS84" in name else name


def _shapes_of(content, faults):
    """Yield a `Shape` in map coordinates (y, x) of each piece of a feature."""
    features = content  # a list of them
    if isinstance(content, tuple):
        features = _fields(content).get("features", [content])
    if not isinstance(features, list):
        faults.append('its "features" are no list. Correct them.')
        return
    for index, feature in enumerate(features):
        place = f'["features"][{index}]'
        fields = _fields(feature)
        geometry = _fields(fields.get("geometry"))
        properties = _fields(fields.get("properties"))
        kind = geometry.get("type")
        if not isinstance(kind, str) or kind not in _KINDS:
            faults.append(
                f"{place}: is a {kind}, expected points or polygons. Remove "
                "it, or convert it."
            )
            continue
        pieces = geometry.get("coordinates")
        if not kind.startswith("Multi"):
            pieces = [pieces]
        label = next((properties[n] for n in _LABELS if n in properties), None)
        try:
            for piece in pieces:
                if _KINDS[kind] == "polygon" and len(piece) > 1:
                    faults.append(
                        f"{place}: has a hole, which is not read. Cut the "
                        "polygon in two that have none."
                    )
                rings = piece[:1] if _KINDS[kind] == "polygon" else [[piece]]
                places = np.array([each[:2] for each in rings[0]], "float64")
                if places.ndim != 2 or places.shape[1] != 2:
                    raise ValueError("They are no pairs.")
                yield Shape(
                    kind=_KINDS[kind],
                    points=places[:, ::-1],
                    label=None if label is None else str(label),
                    place=place,
                    instance=index,
                    attributes={
                        name: value
                        for name, value in properties.items()
                        if isinstance(value, str)
                    },
                )
        except (TypeError, ValueError, IndexError):
            faults.append(
                f"{place}: has coordinates that are no pairs of numbers. "
                "Correct them."
            )


def _moved(shapes, crs, reference):
    """Yield the shapes in pixels of an image."""
    if not shapes:
        return
    places = np.concatenate([shape.points for shape in shapes])
    pixels = reference.to_pixels(_project(places, crs, reference))
    ends = np.cumsum([len(shape.points) for shape in shapes])[:-1]
    for shape, points in zip(shapes, np.split(pixels, ends), strict=True):
        yield dataclasses.replace(shape, points=points)


def _project(places, crs, reference):
    """Give `(n, 2)` of (x, y) as an image has them, of (y, x) in `crs`."""
    from rasterio.crs import CRS
    from rasterio.warp import transform

    source = CRS.from_user_input(crs)
    target = CRS.from_wkt(reference.crs)
    moved = places[:, ::-1].copy()
    if source == target:
        return moved
    # PROJ refuses all where one is no place on the earth.
    is_place = np.isfinite(places).all(axis=1)
    if source.is_geographic:
        is_place &= (abs(places) <= (90, 360)).all(axis=1)
    moved[~is_place] = np.nan
    if is_place.any():
        moved[is_place] = np.transpose(
            transform(source, target, *moved[is_place].T)
        )
    return moved


def _part_inside(shape, size, kinds):
    """Give the part of a shape in an image, or `None`."""
    points = shape.points
    if not np.isfinite(points).all():
        return None
    if shape.kind == "point" or "box" in kinds:
        center = (points.min(axis=0) + points.max(axis=0)) / 2
        is_inside = ((center >= 0) & (center < size)).all()
        ring = points if shape.kind == "point" else open_ring(points)
        return dataclasses.replace(shape, points=ring) if is_inside else None
    points = clip_polygon(open_ring(points), size)
    return dataclasses.replace(shape, points=points) if len(points) else None


def clip_polygon(points, size):
    """Cut a polygon off at the edges of an image (Sutherland and Hodgman).

    Args:
        points: Array `(n, 2)` of (y, x), a ring that is not closed.
        size: `(height, width)`.

    Returns:
        Such an array; empty where it does not reach into the image.
    """
    for axis, limit, sign in (
        (0, 0, 1),
        (0, size[0], -1),
        (1, 0, 1),
        (1, size[1], -1),
    ):
        if not len(points):
            break
        before = np.roll(points, 1, axis=0)
        depth = sign * (points[:, axis] - limit)
        last = sign * (before[:, axis] - limit)
        kept = []
        for here, there, inner, outer in zip(
            points, before, depth, last, strict=True
        ):
            if (inner >= 0) != (outer >= 0):
                cut = there + (here - there) * (outer / (outer - inner))
                cut[axis] = limit
                kept.append(cut)
            if inner >= 0:
                kept.append(here)
        points = np.array(kept).reshape(-1, 2)
    is_flat = len(points) < 3 or (np.ptp(points, axis=0) == 0).any()
    return np.zeros((0, 2)) if is_flat else points
