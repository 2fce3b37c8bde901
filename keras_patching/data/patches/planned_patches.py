"""Patches that a `YoloPatchSampler` planned: their pixels and their labels."""

import dataclasses

import numpy as np

from keras_patching.data.patches.patch_augmentation import (
    augment_boxes,
    augment_pixels,
)
from keras_patching.data.patches.yolo_patch_sampler import (
    YoloPatchSampler,
    boxes_in_patch,
)

# Pads boxes and labels: no object.
NO_OBJECT = -1


def plan_patches(name, image_size, boxes, patch_size, parameters, resample=0):
    """Plan the patches of an image as the parameters of a manifest say.

    Args:
        name: Name of the image.
        image_size: `(height, width)` in pixels.
        boxes: Array `(n, 4)`, xyxy in pixels of the image.
        patch_size: `(height, width)` in pixels.
        parameters: Dict with `grid_size`, `seed`, `empty_patches`, `augment`.
        resample: Number of the draw of the stages after "grid".

    Returns:
        List of `PlannedPatch`.
    """
    sampler = _sampler(patch_size, parameters)
    plan = sampler.plan(image_size, boxes, name, resample)
    if parameters["augment"]:
        return plan
    return [dataclasses.replace(patch, augmentation=None) for patch in plan]


def coverage(image_size, boxes, patch_size, parameters):
    """Tell which grid cells see an object; see `YoloPatchSampler.coverage`."""
    return _sampler(patch_size, parameters).coverage(image_size, boxes)


def _sampler(patch_size, parameters):
    return YoloPatchSampler(
        patch_size,
        parameters["grid_size"],
        parameters["seed"],
        parameters["empty_patches"],
    )


def cut_planned(image, origins, augmentations, patch_size, value_range):
    """Cut patches and augment them.

    Args:
        image: Array `(height, width, channels)`.
        origins: Pairs `(y, x)` per patch.
        augmentations: What is done to each, as in `PlannedPatch`.
        patch_size: `(height, width)` in pixels.
        value_range: `(black, white)`; what lies beyond the image is black.

    Returns:
        Array `(patches, patch height, patch width, channels)` of the image's
        dtype.
    """
    shape = (len(origins), *patch_size, image.shape[2])
    patches = np.empty(shape, image.dtype)
    for patch, origin, augmentation in zip(
        patches, origins, augmentations, strict=True
    ):
        y, x, height, width = visible_window(
            image.shape[:2], origin, patch_size
        )
        patch[:height, :width] = image[y : y + height, x : x + width]
        patch[height:] = value_range[0]
        patch[:height, width:] = value_range[0]
        if augmentation:
            inside_size = height, width
            augment_patch(patch, inside_size, augmentation, value_range)
    return patches


def augment_patch(patch, inside_size, augmentation, value_range):
    """Augment a patch in place.

    Args:
        patch: Array `(height, width, channels)`.
        inside_size: `(height, width)` of the part, from its top-left corner,
            that lies in the image.
        augmentation: What is done to it, as in `PlannedPatch`.
        value_range: `(black, white)`; what lies beyond the image is black.
    """
    moved = augment_pixels(patch.copy(), augmentation, value_range, inside_size)
    # Pixels of a turned view lie apart: a channel at a time is quicker.
    for channel in range(patch.shape[2]):
        patch[..., channel] = moved[..., channel]


def visible_window(image_size, origin, patch_size):
    """Give the part of a patch that lies in its image.

    Args:
        image_size: `(height, width)` in pixels.
        origin: `(y, x)` of the patch, inside the image.
        patch_size: `(height, width)` in pixels.

    Returns:
        `(y, x, height, width)` in pixels of the image.
    """
    y, x = origin
    height = min(patch_size[0], image_size[0] - y)
    width = min(patch_size[1], image_size[1] - x)
    return y, x, height, width


def label_planned(boxes, labels, plan, patch_size):
    """Give the boxes of each patch, clipped, augmented and padded.

    Args:
        boxes: Array `(n, 4)`, xyxy in pixels of the image.
        labels: Integers `(n,)`.
        plan: List of `PlannedPatch`.
        patch_size: `(height, width)` in pixels.

    Returns:
        float32 `(patches, m, 4)`, xyxy in pixels of the patch, and int32
        `(patches, m)`; m is the largest number in a patch, at least 1, and
        the others are filled up with -1.
    """
    found = []
    for patch in plan:
        indices, inside = boxes_in_patch(boxes, patch.origin, patch_size)
        moved = augment_boxes(inside, patch.augmentation, patch_size)
        found.append((moved, labels[indices]))
    most = max([1, *(len(each) for _, each in found)])
    all_boxes = np.full((len(plan), most, 4), NO_OBJECT, "float32")
    all_labels = np.full((len(plan), most), NO_OBJECT, "int32")
    for index, (moved, classes) in enumerate(found):
        all_boxes[index, : len(moved)] = moved
        all_labels[index, : len(moved)] = classes
    return all_boxes, all_labels
