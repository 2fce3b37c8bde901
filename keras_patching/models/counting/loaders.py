"""Loads folders of images with points, or with ready heatmaps, for counting.

Sequences of all three loaders yield `(images, heatmaps)`: `(batch, height,
width, channels)` in the files' dtype, and float32 `(batch, height, width)` in
objects per pixel. Heatmaps are drawn on the whole image and then cut, so the
sum over all patches of an image is its number of objects.
"""

import os
from collections.abc import Callable, Sequence
from typing import Unpack

from keras_patching.data.labels.pairing import pair_by_stem
from keras_patching.data.labels.points import (
    read_dot_labels,
    read_point_labels,
)
from keras_patching.data.loader_options import LoaderOptions, loader
from keras_patching.data.patched_dataset import load_patched_dataset
from keras_patching.data.sequence_options import Loaded
from keras_patching.models.counting.heatmap_labels import (
    DrawnHeatmaps,
    ReadyHeatmaps,
)

TASK = "counting"


@loader
def load_heatmap_dataset_with_csv_from_directory(
    dirname: str | os.PathLike,
    label_file: str | os.PathLike,
    patch_size: int | Sequence[int],
    *,
    density_map_sigma: float = 4.0,
    unlabelled: str = "error",
    classes: Sequence[str] | None = None,
    augment: bool | Callable = False,
    random_crops: bool = False,
    **options: Unpack[LoaderOptions],
) -> Loaded:
    """Load images and the points in a table as patches with heatmaps.

    The table has a row per image, without a header:
    `name,x1,y1,x2,y2,...`, where a lone name is an image without objects. Or
    it has the header `image,x,y` (further columns are not read) and a row per
    object, or with empty x and y for an image without. Values are separated by
    commas, by semicolons (then decimals may have commas) or by tabs, and
    columns may be called as Fiji and ImageJ, QuPath or TrackMate do. What was
    read is printed. Points are in pixels, where the center of pixel `i` is at
    `i + 0.5`: to indices of pixels, such as of `np.argwhere`, add 0.5.

    Labels of other tools are known by their content: in the place of the
    table JSON of the VGG Image Annotator (VIA) or of COCO, of which keypoints
    are read; or a folder with a file for each image: a table with the columns
    x and y, GeoJSON of QuPath, or JSON as of
    `load_heatmap_dataset_with_json_files_from_directory`. Shapes that are no
    points are an error.

    Or it is one GeoJSON file of all images, which are georeferenced: of points
    in longitude and latitude, or as its member `crs` says, with the class as
    property `label` or `class`.

    Images and heatmaps are cut into tiles without overlap, padded at the
    bottom and right with black, and saved in `<dirname>_patches`; a second
    call finds them there. Another sigma draws heatmaps only.

    Args:
        dirname: Folder of images. Subfolders are not searched.
        label_file: Name of the file in `dirname`, or its path; or those of a
            folder.
        patch_size: `(height, width)` in pixels, or one integer.
        density_map_sigma: Standard deviation in pixels of the Gaussian that
            stands for an object.
        unlabelled: What images in the folder are that the file does not name:
            an `"error"`; not labelled, so left out, `"skip"`; or images
            without objects, `"empty"`. So two files, one for training and one
            for validation, share a folder by `"skip"`.
        classes: Names of the classes of points that are counted, where the
            labels tell classes: a column `label` or `class`, labels of
            shapes; of COCO also the keypoint that stands for an object. `None`
            counts all, and prints how many there are of each.
        augment: `True` flips, quarter-turns and brightens the training
            patches, image and heatmap together. Or a function from a batch
            `(images, heatmaps)` to the same.
        random_crops, **options: As in `keras_patching.
            load_dataset_from_directory_with_segmentation_masks`. Foreground
            is a patch with an object.

    Returns:
        A `PatchingSequence`, with a `crop_size` an `ImageSequence`; with
        `subset="both"` a pair of them, for training and validation, and with
        "all" a third for the test.

    Raises:
        FileNotFoundError: If the folder or the file is missing.
        ValueError: If rows or images cannot be used; lists them.

    Example:

    >>> train = keras_patching.load_heatmap_dataset_with_csv_from_directory(
    ...     "cells", "points.csv", patch_size=64
    ... )
    >>> images, heatmaps = train[0]
    >>> images.shape[1:], heatmaps.shape[1:]
    ((64, 64, 3), (64, 64))
    """
    data, reading = _read_points(dirname, label_file, unlabelled, classes)
    drawing = patch_size, density_map_sigma, reading
    feeding = {"augment": augment, "random_crops": random_crops}
    return _load_points(dirname, data, *drawing, **feeding, **options)


@loader
def load_heatmap_dataset_with_json_files_from_directory(
    dirname: str | os.PathLike,
    patch_size: int | Sequence[int],
    *,
    density_map_sigma: float = 4.0,
    unlabelled: str = "error",
    classes: Sequence[str] | None = None,
    augment: bool | Callable = False,
    random_crops: bool = False,
    **options: Unpack[LoaderOptions],
) -> Loaded:
    """Load images and a JSON file of points each as patches with heatmaps.

    Beside `leaf.png` lies `leaf.json`: `{"x": {"p1": 10, ...}, "y": {"p1": 20,
    ...}}`, with the same keys, whatever they are, in both. Or it is of LabelMe,
    or GeoJSON of QuPath, in pixels, which may be called `leaf.geojson`; shapes
    that are no points are an error. The image `1.tif.png` may have `1.json`.
    JSON files that are not called as an image are an error if they hold
    labels, else they are left out, and named.

    Args:
        dirname: Folder of images and JSON files.
        patch_size: `(height, width)` in pixels, or one integer.
        density_map_sigma: As for
            `load_heatmap_dataset_with_csv_from_directory`, as are all others.
        unlabelled: What images without a JSON file are, as there.
        classes, augment, random_crops, **options: As there.

    Returns:
        As there; the same points give the same cache.

    Raises:
        FileNotFoundError: If the folder is missing.
        ValueError: If labels or images cannot be used; lists them.

    Example:

    >>> train = (
    ...     keras_patching.load_heatmap_dataset_with_json_files_from_directory(
    ...         "cells", patch_size=64
    ...     )
    ... )
    >>> images, heatmaps = train[0]
    >>> images.shape[1:], heatmaps.shape[1:]
    ((64, 64, 3), (64, 64))
    """
    data, reading = _read_points(dirname, None, unlabelled, classes)
    drawing = patch_size, density_map_sigma, reading
    feeding = {"augment": augment, "random_crops": random_crops}
    return _load_points(dirname, data, *drawing, **feeding, **options)


@loader
def load_heatmap_dataset_with_heatmap_files_from_directory(
    dirname: str | os.PathLike,
    seg_dirname: str | os.PathLike,
    patch_size: int | Sequence[int],
    *,
    heatmap_unit: float | None = None,
    dots: str | None = None,
    density_map_sigma: float = 4.0,
    augment: bool | Callable = False,
    random_crops: bool = False,
    **options: Unpack[LoaderOptions],
) -> Loaded:
    """Load images and a folder of ready heatmaps, or dot images, as patches.

    They are paired by name without suffix. Dot images are black but for a dot
    on each object.

    Args:
        dirname: Folder of images. Subfolders are not searched.
        seg_dirname: Folder of heatmaps: grey PNG, BMP or TIFF, or float TIFF
            or npy.
        patch_size: `(height, width)` in pixels, or one integer.
        heatmap_unit: Objects per pixel that a value of 1 in the files stands
            for. The sum of a file times this is the number of its objects.
            `None` is 1 for floats; integers need it, such as `1 / 255` for
            8-bit images whose white is one object per pixel.
        dots: What stands for an object where files are dot images: each of the
            `"pixels"` that are not black, or each of the `"blobs"` of such
            pixels that touch. `None` for heatmaps.
        density_map_sigma: As for
            `load_heatmap_dataset_with_csv_from_directory`, of dot images.
        augment, random_crops, **options: As for
            `load_heatmap_dataset_with_csv_from_directory`.

    Returns:
        As there.

    Raises:
        FileNotFoundError: If a folder is missing.
        ValueError: If images and heatmaps do not fit together or cannot be
            read; lists the files.

    Example:

    >>> import keras_patching as kp
    >>> load = kp.load_heatmap_dataset_with_heatmap_files_from_directory
    >>> train = load("field/images", "field/heatmaps", patch_size=64)
    >>> images, heatmaps = train[0]
    >>> images.shape[1:], heatmaps.shape[1:]
    ((64, 64, 3), (64, 64))
    """
    feeding = {"augment": augment, "random_crops": random_crops}
    if dots is not None:
        if heatmap_unit is not None:
            raise ValueError(
                "Files are heatmaps with a `heatmap_unit`, or dot images with "
                f"`dots`. Received: heatmap_unit={heatmap_unit}, dots={dots!r}"
            )
        data = read_dot_labels(dirname, seg_dirname, dots)
        drawing = patch_size, density_map_sigma, {"dots": dots}
        return _load_points(dirname, data, *drawing, **feeding, **options)
    pairs = pair_by_stem(dirname, seg_dirname, "heatmap")
    return load_patched_dataset(
        TASK,
        dirname,
        [image for image, _ in pairs],
        ReadyHeatmaps(pairs, seg_dirname, heatmap_unit),
        patch_size,
        **feeding,
        **options,
    )


def _read_points(dirname, label_file, unlabelled, classes):
    """Read points, and say in a dict how they were read."""
    data = read_point_labels(dirname, label_file, unlabelled, classes)
    reading = {"unlabelled": unlabelled}
    if classes is not None:
        reading["classes"] = sorted(classes)
    return data, reading


def _load_points(dirname, data, patch_size, sigma, reading, **options):
    return load_patched_dataset(
        TASK,
        dirname,
        list(data.labels),
        DrawnHeatmaps(data, sigma, reading),
        patch_size,
        left_out=data.left_out,
        **options,
    )
