"""Points of one image, in a file of any form that is known by its content."""

from keras_patching._faults import fault_of
from keras_patching.data.labels.annotations import annotations_of
from keras_patching.data.labels.forms import describe_json_form
from keras_patching.data.labels.map_labels import are_of_map
from keras_patching.data.labels.point_labels import to_point_labels
from keras_patching.data.labels.points_axes import read_axes
from keras_patching.data.labels.points_csv import read_image_table
from keras_patching.data.labels.points_geojson import is_geojson, read_geojson
from keras_patching.data.labels.points_shapes import points_of_shapes
from keras_patching.data.labels.strict_json import load_any_json

JSON = (".json", ".geojson")
OF_ALL_IMAGES = (
    "A file of all images is the `label_file` of "
    "`load_heatmap_dataset_with_csv_from_directory` and `read_points`."
)


def read_image_points(path, image, names, faults, notes, classes=None):
    """Read the points of one file of one image.

    Args:
        path: `pathlib.Path` of the file.
        image: Path of the image.
        names: `ImageNames` of all images.
        faults, notes: Lists that are added to.
        classes: As for `read_points_files`.

    Returns:
        `PointLabels`.
    """
    try:
        if path.suffix.lower() not in JSON:
            return read_image_table(path, image, names, faults, notes)
        content = load_any_json(path)
    except (ValueError, OSError) as error:
        faults.append(fault_of(error))
        return to_point_labels(path, [])
    points, size = _read_content(path, content, image, names, faults, classes)
    return to_point_labels(path, points, size)


def _read_content(path, content, image, names, faults, classes):
    """Read the points of JSON, and the size that it says the image has."""
    if is_geojson(content) or (path.suffix == ".geojson" and content == []):
        points = read_geojson(path, content, faults, classes)
        if are_of_map(image, [point[:2] for point in points]):
            faults.append(
                f"{path}: its points lie in {image.name} as longitude and "
                "latitude, and a file that is called as its image is read in "
                "pixels. Pass one GeoJSON file of all images, of another name."
            )
        return points, None
    if found := annotations_of(path, content, faults, ("point",)):
        return _read_shapes(path, found[0], image, names, faults, classes)
    if form := describe_json_form(content):
        faults.append(f"{path}: is {form}, which is not read here.")
        return [], None
    return read_axes(path, content, faults), None


def _read_shapes(path, items, image, names, faults, classes):
    """Read the points of what must be one `AnnotatedImage`."""
    if len(items) != 1:
        faults.append(
            f"{path}: names {len(items)} images, expected {image.name} alone. "
            f"{OF_ALL_IMAGES}"
        )
        return [], None
    (item,) = items
    others = {names.find(name) for name in item.names} - {None, image}
    if others:
        faults.append(
            f"{path}: is of {others.pop().name}, as it says, and called as "
            f"{image.name}. Rename it, or correct the name in it."
        )
    return points_of_shapes(item, faults, classes), item.declared_size
