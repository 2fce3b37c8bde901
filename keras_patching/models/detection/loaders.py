"""Loads folders of images with boxes as patches for a YOLO detector.

Sequences yield `(images, targets)`: `(batch, height, width, channels)` in the
files' dtype, and a dict of `boxes`, float32 `(batch, n, 4)` xyxy in pixels of
the patch, and `labels`, int32 `(batch, n)`, both filled up with -1.
"""

import os
from collections.abc import Sequence
from typing import Unpack

from keras_patching._checks import check_integer
from keras_patching._printing import say
from keras_patching.data.feeding.patching_sequence import PatchingSequence
from keras_patching.data.labels.boxes import read_box_labels
from keras_patching.data.loader_options import LoaderOptions, loader
from keras_patching.data.patched_dataset import load_patched_dataset
from keras_patching.data.patches.stores import check_store
from keras_patching.data.patches.yolo_patch_sampler import PLAN_VERSION
from keras_patching.geometry import as_pair
from keras_patching.models.detection.yolo_labels import YoloLabels

TASK = "detection"


@loader
def load_yolo_dataset_from_directory(
    label_file: str | os.PathLike,
    image_dir: str | os.PathLike,
    patch_size: int | Sequence[int],
    *,
    grid_size: int | Sequence[int] = (7, 7),
    class_names: Sequence[str] | None = None,
    objects_key: str = "objects",
    unlabelled: str = "error",
    clip: bool = False,
    empty_patches: int = 0,
    augment: bool = True,
    **options: Unpack[LoaderOptions],
) -> PatchingSequence | tuple[PatchingSequence, ...]:
    """Load images and boxes as patches in which every grid cell sees objects.

    Labels are read as labelling tools export them, and the format is told by
    the content of `label_file`:

    | `label_file` | format |
    |---|---|
    | JSON file | COCO; crowds (`iscrowd`) are left out |
    | JSON file | VGG Image Annotator, project or export |
    | JSON file | `{"<file or id>": {"width": w, "height": h, "file_name": ...,
      "objects": [{"all_points_x": [x1, x2], "all_points_y": [y1, y2],
      "label": "plant"}, ...]}}`, as of Deep Plant Phenomics |
    | GeoJSON file | of all images, georeferenced, in coordinates of the map |
    | CSV file | `image,xmin,ymin,xmax,ymax,label` and other names of columns |
    | folder of JSON | LabelMe, a file for each image |
    | folder of XML | Pascal VOC, whose corners are pixels counted from 1;
      LabelImg, whose corners are where they were drawn |
    | folder of .txt, or data.yaml | YOLO, boxes or polygons |

    Polygons, circles and masks become the boxes around them.

    Patches are planned by `YoloPatchSampler`: one for each cell of the grid
    that can see an object, then augmented ones with objects, then as many
    again at random. They are saved in `<image_dir>_patches`; a second call
    finds them there.

    Args:
        label_file: Name of the file or folder of labels in `image_dir`, or its
            path.
        image_dir: Folder of images. Subfolders are not searched.
        patch_size: `(height, width)` in pixels, or one integer.
        grid_size: `(rows, cols)` of the detector's grid.
        class_names: Names of the classes, which the labels must have. `None`
            takes those of the labels: in the order of COCO and YOLO, else
            sorted; "plant" where labels have no names. The loader prints them.
        objects_key: Key of the list of objects of an image. Where it is
            `"objects"`, an image may have `"plants"` instead, as in files of
            Deep Plant Phenomics.
        unlabelled: What images in the folder are that the file does not name:
            an `"error"`; not labelled, so left out, `"skip"`; or images
            without objects, `"empty"`.
        empty_patches: Number of patches of an image without objects.
        augment: Whether the sampler's augmented patches are turned, flipped
            or brightened, or left as they are cut.
        **options: As in `keras_patching.
            load_dataset_from_directory_with_segmentation_masks`. Foreground is
            a patch with an object. `seed` decides the plan too; `None` plans
            as 0 does. `verbose` also prints the grid cells that no object can
            be put into, and an overlap that suits the boxes.

    Returns:
        A `PatchingSequence`; with `subset="both"` a pair of them, for training
        and validation, and with "all" a third for the test.

    Raises:
        FileNotFoundError: If the folder or the file is missing.
        ValueError: If labels, images or arguments cannot be used; lists the
            files.

    Example:

    >>> train = keras_patching.load_yolo_dataset_from_directory(
    ...     "trays/labels.json", "trays/images", patch_size=64, grid_size=2
    ... )
    >>> images, targets = train[0]
    >>> images.shape[1:], targets["boxes"].shape[2:]
    ((64, 64, 3), (4,))
    """
    store = check_store(options["store"])
    if options["crop_size"] is not None:
        raise ValueError(
            "Detectors are trained on patches, which are planned around boxes: "
            "leave `crop_size` out. Received: crop_size="
            f"{options['crop_size']!r}"
        )
    if not isinstance(augment, bool):
        raise ValueError(
            "`augment` of detection is True or False: the sampler plans what "
            f"is done to each patch. Received: augment={augment!r}"
        )
    found = read_box_labels(
        image_dir, label_file, class_names, objects_key, unlabelled
    )
    seed = options["seed"]
    parameters = {
        "class_names": list(found.class_names),
        "objects_key": objects_key,
        "unlabelled": unlabelled,
        "clip": clip,
        "grid_size": list(as_pair(grid_size, "grid_size")),
        "seed": 0 if seed is None else check_integer(seed, "seed", 0),
        "empty_patches": check_integer(empty_patches, "empty_patches", 0),
        "augment": augment,
        "store": store,
        "plan": PLAN_VERSION,
    }
    yolo_labels = YoloLabels(found.labels, found.path, parameters)
    loaded = load_patched_dataset(
        TASK,
        image_dir,
        list(found.labels),
        yolo_labels,
        patch_size,
        left_out=found.left_out,
        **options,
    )
    if options["verbose"]:
        say("\n".join([*found.notes, yolo_labels.describe()]))
    return loaded
