"""Points in one JSON file: of all images, or called as its image."""

from keras_patching._faults import raise_faults
from keras_patching.data.labels.annotations import read_annotations
from keras_patching.data.labels.files import (
    check_unlabelled,
    unlabelled_faults,
)
from keras_patching.data.labels.image_names import ImageNames
from keras_patching.data.labels.point_labels import to_point_labels
from keras_patching.data.labels.points_files import find_image_of_file
from keras_patching.data.labels.points_image import read_image_points
from keras_patching.data.labels.points_shapes import points_of_shapes


def read_points_json(path, images, unlabelled="error", classes=None):
    """Read the points of a folder's images from one JSON file.

    It is of the VGG Image Annotator (points), of COCO (keypoints), or of a
    form of one image as `points_files` reads them, and called as that.

    Args:
        path: `pathlib.Path` of the file.
        images: Dict from stem to path, of `list_images`.
        unlabelled: What images are that the file does not name, as for
            `read_points_csv`.
        classes: Names of classes whose shapes must be points; `None` for all.

    Returns:
        Dict from image path to `PointLabels`, in the order of `images`.

    Raises:
        ValueError: Lists everything in the file that cannot be used, and
            images without points if these are an error.
    """
    check_unlabelled(unlabelled)
    found = read_annotations(path, images, unlabelled, ("point",))
    if found is None:
        return _read_one_image(path, images, unlabelled, classes)
    faults = []
    labels = {
        image: to_point_labels(
            path, points_of_shapes(item, faults, classes), item.declared_size
        )
        for image, item in found.images.items()
    }
    raise_faults(faults, "Points that cannot be used", "Correct them.")
    return labels


def _read_one_image(path, images, unlabelled, classes):
    names, faults = ImageNames(images), []
    image = find_image_of_file(path, names, faults)
    if image is None and not faults:
        faults.append(
            f"{path}: does not name its image.{names.hint(path.stem)} Call it "
            "as its image without suffix; of several, pass their folder."
        )
    missing = [each for each in images.values() if each != image]
    if unlabelled == "error" and not faults:
        remedy = "pass the folder of a file for each"
        faults += unlabelled_faults(path, missing, images, "file", remedy)
    label = image and read_image_points(path, image, names, faults, [], classes)
    raise_faults(faults, "Points that cannot be used", "Correct them.")
    used = images.values() if unlabelled == "empty" else [image]
    empty = to_point_labels(path, [])
    return {each: label if each == image else empty for each in used}
