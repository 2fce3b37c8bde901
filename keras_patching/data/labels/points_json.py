"""Points in one JSON file."""

from keras_patching._faults import raise_faults
from keras_patching.data.labels.files import (
    check_unlabelled,
    describe_unlabelled,
)
from keras_patching.data.labels.image_names import ImageNames
from keras_patching.data.labels.point_labels import to_point_labels
from keras_patching.data.labels.points_files import (
    find_image_of_file,
    read_image_points,
)


def read_points_json(path, images, unlabelled="error", classes=None):
    """Read the points of a folder's images from one JSON file.

    It is of a form of one image, as `points_files` reads them, and called as
    that.

    Args:
        path: `pathlib.Path` of the file.
        images: Dict from stem to path, of `list_images`.
        unlabelled: What images are that the file does not name, as for
            `read_points_csv`.
        classes: Names of classes whose shapes must be points; `None` for all.

    Returns:
        Dict from image path to `PointLabels`, in the order of `images`, and a
        list of sentences: what was read.

    Raises:
        ValueError: Lists everything in the file that cannot be used, and
            images without points if these are an error.
    """
    check_unlabelled(unlabelled)
    names, faults, notes = ImageNames(images), [], []
    points = _read_one_image(path, names, faults, notes, classes)
    missing = [image for image in images.values() if image not in points]
    if unlabelled == "error" and not faults:
        remedy = "pass the folder of a file for each"
        faults += [
            f"{path}: {fault}"
            for fault in describe_unlabelled(missing, images, "entry", remedy)
        ]
    raise_faults(faults, "Points that cannot be used", "Correct them.")
    used = [
        image
        for image in images.values()
        if image in points or unlabelled == "empty"
    ]
    labels = {
        image: to_point_labels(path, points.get(image, [])) for image in used
    }
    return labels, notes


def _read_one_image(path, names, faults, notes, classes):
    """Give a dict from the path of one image to its points."""
    image = find_image_of_file(path, names, faults)
    if image is None and not faults:
        faults.append(
            f"{path}: does not name its image.{names.hint(path.stem)} Call it "
            "as its image without suffix; of several, pass their folder."
        )
    if faults:
        return {}
    return {
        image: read_image_points(path, image, names, faults, notes, classes)
    }
