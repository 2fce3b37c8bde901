"""Whole masks that are drawn from shapes, each when it is asked for."""

import os

import numpy as np

from keras_patching._faults import raise_faults
from keras_patching.data.images.image_io import read_headers
from keras_patching.data.labels.drawing import draw_shapes
from keras_patching.data.labels.mask_shape_places import shape_faults
from keras_patching.data.labels.mask_shapes import (
    are_shapes,
    read_mask_shapes,
)


class DrawnTarget:
    """A mask that `np.asarray` draws.

    Args:
        shapes: List of `DrawnShape`.
        shape: `(height, width)`.
        dtype: Dtype of the mask.
    """

    def __init__(self, shapes, shape, dtype):
        self._shapes, self._dtype = shapes, dtype
        self.shape = tuple(shape)

    def __array__(self, dtype=None, copy=None):
        mask = draw_shapes(self._shapes, self.shape, self._dtype)
        return mask if dtype is None else mask.astype(dtype)


def with_drawn_targets(images, targets, classes, unlabelled="error"):
    """Give targets as they are, or those that are shapes as masks.

    Args:
        images, targets: As of `evaluate_full_images`.
        classes: `MaskClasses` of the model.
        unlabelled: What images are that no file of shapes names.

    Returns:
        `targets`; of shapes a dict from the name of an image to `DrawnTarget`.

    Raises:
        ValueError: Lists shapes that cannot be drawn.
    """
    paths = (str, os.PathLike)
    is_folder = isinstance(images, paths) and isinstance(targets, paths)
    if not is_folder or not are_shapes(images, targets):
        return targets
    shapes = read_mask_shapes(
        images,
        targets,
        classes.num_classes,
        classes.ignore_value,
        classes.names,
        classes.colors,
        classes.ids,
        unlabelled=unlabelled,
    )
    headers, faults = read_headers(shapes.drawn)
    faults += shape_faults(shapes.images, headers)
    raise_faults(faults, "Shapes that cannot be used", "Correct the labels.")
    highest = max(classes.num_classes - 1, classes.ignore_value or 0)
    dtype = np.min_scalar_type(highest)
    return {
        image.name: DrawnTarget(drawn, headers[image].size, dtype)
        for image, drawn in shapes.drawn.items()
    }
