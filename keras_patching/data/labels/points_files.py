"""Points in files of one image each, beside the images or in a folder.

A file is called as its image without suffix. It is JSON of Deep Plant
Phenomics or LabelMe, GeoJSON, or a table with columns x and y.
"""

import contextlib

from keras_patching._faults import few, raise_faults
from keras_patching.data.images.listing import SUFFIXES
from keras_patching.data.labels.files import (
    check_unlabelled,
    unlabelled_faults,
)
from keras_patching.data.labels.forms import (
    describe_folder_form,
    describe_json_form,
    is_coco,
    is_via,
)
from keras_patching.data.labels.image_names import ImageNames
from keras_patching.data.labels.point_labels import to_point_labels
from keras_patching.data.labels.points_axes import has_axes
from keras_patching.data.labels.points_geojson import is_geojson
from keras_patching.data.labels.points_image import (
    JSON,
    OF_ALL_IMAGES,
    read_image_points,
)
from keras_patching.data.labels.strict_json import load_any_json

EXPECTED_JSON = (
    'Expected {"x": {"p1": x1, ...}, "y": {"p1": y1, ...}} for each image, '
    'and {"x": {}, "y": {}} if it holds no objects; or points of LabelMe or '
    "GeoJSON."
)
_EXPECTED_FILES = f"{EXPECTED_JSON} Or a table with the columns x and y."
_TABLES = (".csv", ".tsv")


def read_points_files(images, unlabelled="error", folder=None, classes=None):
    """Read the points of a folder's images from a file for each.

    `<stem>.json` holds `{"x": {"p1": x1, ...}, "y": {"p1": y1, ...}}`, as Deep
    Plant Phenomics has it; the keys of the points are arbitrary, and the same
    in x and y. Or it is of LabelMe, or GeoJSON, of QuPath for example. JSON
    files that are not called as an image are left out where they hold no
    labels. In a folder that is given, files may be tables with columns x and y
    too.

    Args:
        images: Dict from stem to path, of `list_images`.
        unlabelled: What images without a file are, as for `read_points_csv`.
        folder: `pathlib.Path` of a folder; `None` is that of the images, and
            JSON.
        classes: Names of classes whose shapes must be points; `None` for all.

    Returns:
        Dict from image path to `PointLabels`, in the order of `images`, and a
        list of sentences: what was read, and what was left out.

    Raises:
        ValueError: Lists all files and places that cannot be used, files
            without an image, and images without a file if these are an error.
            Or there is no file at all.

    Example:

    >>> images = keras_patching.data.list_images("cells")
    >>> labels, notes = read_points_files(images)
    >>> labels[pathlib.Path("cells/slide_0.jpg")].points.shape
    (2, 2)
    """
    check_unlabelled(unlabelled)
    suffixes = JSON if folder is None else JSON + _TABLES
    expected = EXPECTED_JSON if folder is None else _EXPECTED_FILES
    image_folder = next(iter(images.values())).parent
    where = "beside it" if folder is None else f"in {image_folder}"
    folder = folder or image_folder
    paths = [
        path
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in suffixes
        and path.is_file()
        and not path.name.startswith(".")
    ]
    if not paths:
        raise ValueError(
            f"{folder}: has no files of points, one for each image: its name, "
            f"and one of {' '.join(suffixes)}. "
            f"{describe_folder_form(folder)}{_describe_dots(folder, images)}"
            f"{expected}"
        )
    names, faults, notes = ImageNames(images), [], []
    files = _pair(paths, names, where, faults, notes)
    missing = [image for image in images.values() if image not in files]
    if unlabelled == "error":
        has_tables = paths[0].suffix.lower() in _TABLES
        remedy = (
            "add tables that are a header alone"
            if has_tables
            else 'add files that hold {"x": {}, "y": {}}'
        )
        faults += unlabelled_faults(folder, missing, images, "file", remedy)
    found = {
        image: read_image_points(path, image, names, faults, notes, classes)
        for image, path in files.items()
    }
    raise_faults(faults, "Points that cannot be used", expected)
    if unlabelled == "empty":
        found |= {image: to_point_labels(folder, []) for image in missing}
    labels = {
        image: found[image] for image in images.values() if image in found
    }
    return labels, list(dict.fromkeys(notes))


def _describe_dots(folder, images):
    """Say how a folder of images in the place of labels may be meant."""
    is_other = folder != next(iter(images.values())).parent
    if is_other and any(path.suffix in SUFFIXES for path in folder.iterdir()):
        return (
            "It holds images: dot images and heatmaps are loaded by "
            "`load_heatmap_dataset_with_heatmap_files_from_directory`, and "
            "dots read by `read_points` with dots=. "
        )
    return ""


def find_image_of_file(path, names, faults):
    """Find the image that a file is called as.

    Args:
        path: Path of the file.
        names: `ImageNames` of all images.
        faults: List that is added to where more than one may be meant.

    Returns:
        Path of the image, or `None`.
    """
    if image := names.find_stem(path.stem):
        return image
    found = names.find_first_part(path.stem)
    if len(found) > 1:
        faults.append(
            f"{path}: may be of {few([image.name for image in found])}, "
            "expected one image. Call it as its image without suffix."
        )
    return found[0] if len(found) == 1 else None


def _pair(paths, names, where, faults, notes):
    """Give the file of each image, and say what others are."""
    files, strays = {}, []
    for path in paths:
        before = len(faults)
        image = find_image_of_file(path, names, faults)
        if len(faults) > before:
            continue
        if image is None:
            strays.append(path)
        elif image in files:
            faults.append(
                f"{path}: is of {image.name}, as is {files[image].name}. "
                "Remove one of them."
            )
        else:
            files[image] = path
    ignored = [path for path in strays if _holds_no_labels(path, names)]
    faults += [
        f"{path}: has no image {where}.{names.hint(path.stem)} "
        f"{_describe_stray(path)}"
        for path in strays
        if path not in ignored
    ]
    if ignored:
        notes.append(
            f"Left out {few([path.name for path in ignored])}, which hold no "
            "points and are not called as an image."
        )
    return files


def _describe_stray(path):
    with contextlib.suppress(ValueError, OSError):
        content = load_any_json(path)
        if is_coco(content) or is_via(content):
            return OF_ALL_IMAGES
    return "Rename it, add the image, or move this file away."


def _holds_no_labels(path, names):
    """Tell a file that only lies there from one whose image is not found."""
    if path.suffix.lower() not in JSON or names.hint(path.stem):
        return False
    try:
        content = load_any_json(path)
    except (ValueError, OSError):
        return False
    is_labels = (
        has_axes(content)
        or is_geojson(content)
        or is_coco(content)
        or describe_json_form(content) is not None
    )
    return not is_labels
