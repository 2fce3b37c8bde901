"""Patches that a `YoloPatchSampler` planned: their pixels and their labels."""

import dataclasses

import numpy as np

from keras_patching._checks import as_boxes
from keras_patching.box_geometry import box_centers
from keras_patching.data.cache.pieces import Pieces
from keras_patching.data.patches.patch_augmentation import (
    augment_boxes,
    augment_pixels,
)
from keras_patching.data.patches.yolo_patch_sampler import YoloPatchSampler

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
        `Pieces` of an array `(patches, patch height, patch width, channels)`
        of the image's dtype.
    """
    shape = (*patch_size, image.shape[2])

    def cut():
        patch, spare = np.empty((2, *shape), image.dtype)
        for origin, augmentation in zip(origins, augmentations, strict=True):
            target = spare if augmentation else patch
            inside_size = _cut_one(target, image, origin, value_range[0])
            if augmentation:
                how = augmentation, value_range, inside_size
                _copy(augment_pixels(spare, *how), patch)
            yield patch

    return Pieces((len(origins), *shape), image.dtype, cut)


def _cut_one(patch, image, origin, black):
    y, x, height, width = visible_window(
        image.shape[:2], origin, patch.shape[:2]
    )
    patch[:height, :width] = image[y : y + height, x : x + width]
    patch[height:] = black
    patch[:height, width:] = black
    return height, width


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
    _copy(moved, patch)


def _copy(moved, patch):
    if moved.strides[1:] == patch.strides[1:]:
        patch[...] = moved
        return
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
    boxes = as_boxes(boxes, "boxes")
    origins = np.array([patch.origin for patch in plan]).reshape(-1, 2)
    patches, indices = _boxes_in_patches(boxes, origins, patch_size)
    corners = origins[patches][:, [1, 0, 1, 0]]
    height, width = patch_size
    moved = np.clip(boxes[indices] - corners, 0, (width, height) * 2)
    for augmentation, of_patches in _moves(plan):
        rows = of_patches[patches]
        moved[rows] = augment_boxes(moved[rows], augmentation, patch_size)
    counts = np.bincount(patches, minlength=len(plan))
    most = max(1, counts.max(initial=0))
    places = np.arange(len(patches)) - (np.cumsum(counts) - counts)[patches]
    all_boxes = np.full((len(plan), most, 4), NO_OBJECT, "float32")
    all_labels = np.full((len(plan), most), NO_OBJECT, "int32")
    all_boxes[patches, places] = moved
    all_labels[patches, places] = labels[indices]
    return all_boxes, all_labels


def _boxes_in_patches(boxes, origins, patch_size):
    """Tell which boxes belong to which patches, as `boxes_in_patch` does.

    Returns:
        Integer arrays: number of the patch and number of the box for each
        pair of them, in order.
    """
    y, x = box_centers(boxes).T
    (top, left), (height, width) = origins.T[..., None], patch_size
    inside = (y >= top) & (y < top + height)
    inside &= (x >= left) & (x < left + width)
    return np.nonzero(inside)


def _moves(plan):
    """Give each augmentation of a plan, with which patches it is done to."""
    moves = {}
    for number, patch in enumerate(plan):
        for move in (patch.augmentation or {}).items():
            mask = moves.setdefault(move, np.zeros(len(plan), bool))
            mask[number] = True
    return [(dict([move]), mask) for move, mask in moves.items()]
