"""Points in JSON files, one beside each image."""

import math
import reprlib

from keras_patching._faults import few, raise_faults
from keras_patching.data.labels.files import (
    check_unlabelled,
    describe_unlabelled,
)
from keras_patching.data.labels.forms import describe_folder_form, is_coco
from keras_patching.data.labels.image_names import ImageNames
from keras_patching.data.labels.point_labels import to_point_labels
from keras_patching.data.labels.strict_json import (
    load_json,
    to_dict,
)

EXPECTED_JSON = (
    'Expected {"x": {"p1": x1, ...}, "y": {"p1": y1, ...}} for each image, '
    'and {"x": {}, "y": {}} if it holds no objects.'
)


def read_points_json(images, unlabelled="error"):
    """Read the points of a folder's images from the JSON files beside them.

    `<stem>.json` holds `{"x": {"p1": x1, ...}, "y": {"p1": y1, ...}}`; the
    keys of the points are arbitrary, and the same in x and y.

    Args:
        images: Dict from stem to path, of `list_images`.
        unlabelled: What images without a JSON file are, as for
            `read_points_csv`.

    Returns:
        Dict from image path to `PointLabels`, in the order of `images`.

    Raises:
        ValueError: Lists all files and keys that cannot be used, JSON files
            without an image, and images without a JSON file if these are an
            error. Or there is no JSON file at all.

    Example:

    >>> labels = read_points_json(keras_patching.data.list_images("cells"))
    >>> labels[pathlib.Path("cells/slide_0.jpg")].points.shape
    (2, 2)
    """
    check_unlabelled(unlabelled)
    folder = next(iter(images.values())).parent
    paths = [
        path
        for path in sorted(folder.glob("*.json"))
        if path.is_file() and not path.name.startswith(".")
    ]
    if not paths:
        raise ValueError(
            f"{folder}: has no JSON files beside its images. "
            f"{describe_folder_form(folder)}{EXPECTED_JSON}"
        )
    names, files, faults = ImageNames(images), {}, []
    for path in paths:
        image = names.find_stem(path.stem)
        if image is None:
            faults.append(
                f"{path}: has no image beside it.{names.hint(path.stem)} "
                "Rename it, add the image, or move this file away."
            )
        elif image in files:
            faults.append(
                f"{path}: is of {image.name}, as is {files[image].name}. "
                "Remove one of them."
            )
        else:
            files[image] = path
    missing = [image for image in images.values() if image not in files]
    if unlabelled == "error":
        remedy = 'add files that hold {"x": {}, "y": {}}'
        faults += [
            f"{folder}: {fault}"
            for fault in describe_unlabelled(
                missing, images, "JSON file", remedy
            )
        ]
    points = {image: _read_json(path, faults) for image, path in files.items()}
    raise_faults(faults, "Points that cannot be used", EXPECTED_JSON)
    if unlabelled == "empty":
        files |= {image: folder for image in missing}
    return {
        image: to_point_labels(files[image], points.get(image, []))
        for image in images.values()
        if image in files
    }


def _read_json(path, faults):
    """Read `(y, x, place)` of all points; what is wrong goes to `faults`."""
    try:
        content = load_json(path)
    except (ValueError, OSError) as error:
        faults.append(str(error))
        return []
    if is_coco(content):
        faults.append(f"{path}: is a file of COCO, which holds boxes.")
        return []
    axes = to_dict(content, path, faults)
    if axes is None:
        return []
    xs, ys = (_read_axis(axes, axis, path, faults) for axis in "xy")
    if xs is None or ys is None:
        return []
    for axis, keys, others in (("x", xs, ys), ("y", ys, xs)):
        if lone := [key for key in keys if key not in others]:
            faults.append(
                f"{path}: found the keys {few(lone)} in {axis} alone, "
                "expected the same keys in x and y. Add or remove them."
            )
    return [(ys[key], xs[key], f"key {key!r}") for key in xs if key in ys]


def _read_axis(axes, axis, path, faults):
    if axis not in axes:
        found = few(list(axes)) or "none"
        faults.append(f"{path}: has no key {axis!r}, found {found}. Add it.")
        return None
    values = to_dict(axes[axis], f"{path}, key {axis!r}", faults)
    for key, value in (values or {}).items():
        if not isinstance(value, float) or not math.isfinite(value):
            faults.append(
                f"{path}, key {axis}[{key!r}]: found {reprlib.repr(value)}, "
                "expected a finite number, without quotation marks. Mend it."
            )
            values[key] = math.nan
    return values
