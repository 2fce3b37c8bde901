"""The labels of object detection, as `data.patched_dataset.Labels`."""

import dataclasses
import functools
import math

import numpy as np

from keras_patching.data.cache.shard_builder import ShardPlan, plan_source
from keras_patching.data.images.channels import number_of
from keras_patching.data.images.known import open_known
from keras_patching.data.labels.box_clipping import clip_boxes
from keras_patching.data.labels.box_labels import (
    boxes_without_data,
    check_boxes_inside,
)
from keras_patching.data.labels.doubts import (
    doubt_corner,
    doubt_counts,
    doubt_duplicates,
)
from keras_patching.data.labels.summaries import summarize_objects
from keras_patching.data.patches.planned_patches import (
    coverage,
    cut_planned,
    label_planned,
    plan_patches,
)
from keras_patching.data.patches.stores import plan_whole_image
from keras_patching.data.patches.yolo_patch_sampler import describe_coverage

# Share of the boxes that the advised overlap holds whole.
_HELD_WHOLE = 0.95


class YoloLabels:
    """Boxes, and the patches that a `YoloPatchSampler` plans around them.

    Args:
        labels: Dict from image path to `BoxLabels`.
        path: File that they were read from.
        parameters: Dict of `class_names`, `objects_key`, `clip`, `grid_size`,
            `seed`, `empty_patches` and `augment`.
    """

    def __init__(self, labels, path, parameters):
        self.path = path
        self.parameters = parameters
        self._labels = labels
        self._clipped = []
        self._patch_size = None
        self._coverage = 0

    def faults(self, headers, cache):
        self._labels, self._clipped = clip_boxes(
            self._labels, headers, self.parameters["clip"]
        )
        faults = check_boxes_inside(self._labels, headers)
        return faults + boxes_without_data(self._labels, headers)

    def resize(self, scales):
        self._labels = {
            image: dataclasses.replace(
                each, boxes=scales[image].boxes(each.boxes)
            )
            for image, each in self._labels.items()
        }

    def source(self, image, header, pixels):
        boxes, labels = self._labels[image].boxes, self._labels[image].labels
        self._patch_size = pixels.patch_size
        plan = plan_patches(
            image.name, header.size, boxes, pixels.patch_size, self.parameters
        )
        if header.lacks_data:
            plan = _with_data(plan, image, header.size, pixels.patch_size)
        if pixels.store == "images":
            images = plan_whole_image(image, header, pixels)
        else:
            images = _patches_plan(image, header, pixels, plan)
        self._coverage += coverage(
            header.size, boxes, pixels.patch_size, self.parameters
        )
        return plan_source(
            name=image.name,
            plans=[
                images,
                *_label_plans(boxes, labels, plan, pixels),
                _objects_plan(boxes, labels),
            ],
            origins=[list(patch.origin) for patch in plan],
            stages=[patch.stage for patch in plan],
            augmentations=[patch.augmentation for patch in plan],
        )

    def summarize(self, records, headers):
        found = [each.labels for each in self._labels.values()]
        names = self.parameters["class_names"]
        counts = np.bincount(np.concatenate(found), minlength=len(names))
        return summarize_objects(
            list(map(len, found)), dict(zip(names, counts, strict=True))
        )

    def doubts(self, records, headers):
        boxes = [self._labels[path].boxes[:, ::-1] for path in headers]
        sizes = [header.size for header in headers.values()]
        objects = [
            np.column_stack([each.boxes, each.labels])
            for each in self._labels.values()
        ]
        return (
            _doubt_grid(self.parameters["grid_size"], self._patch_size)
            + doubt_counts(list(map(len, boxes)))
            + doubt_corner(boxes, sizes)
            + doubt_duplicates(objects)
        )

    def describe(self):
        """Say what the patches cover and need, in lines of text."""
        lines = [
            *self._clipped,
            describe_coverage(self._coverage),
            self._describe_overlap(),
        ]
        return "\n".join(lines)

    def _describe_overlap(self):
        sizes = np.concatenate(
            [
                each.boxes[:, 2:] - each.boxes[:, :2]
                for each in self._labels.values()
            ]
        )
        if not len(sizes):
            return "There are no boxes."
        width, height = np.quantile(sizes, _HELD_WHOLE, axis=0)
        overlap = math.ceil(height), math.ceil(width)
        text = (
            f"An overlap of {overlap} would hold {_HELD_WHOLE:.0%} of the "
            "boxes whole in some patch of a predicted image."
        )
        if np.greater_equal(overlap, self._patch_size).any():
            text += (
                " It must be smaller than a patch: make patches larger, by "
                "`patch_size`."
            )
        return text


def _doubt_grid(grid_size, patch_size):
    """Say so if a grid divides a patch with rows and columns swapped alone."""
    rows, cols = grid_size
    height, width = patch_size
    if rows == cols or not (height % rows or width % cols):
        return []
    if height % cols or width % rows:
        return []
    return [
        f"`grid_size` is (rows, cols), and {rows} rows and {cols} columns do "
        f"not divide patches of (height, width) {(height, width)}, as {cols} "
        f"and {rows} would. If it was given as (cols, rows), swap it."
    ]


def _with_data(plan, image, size, patch_size):
    """Leave out patches in which the image has no data; one stays."""
    with open_known(image) as windows:
        if windows is None:
            return plan
        scale = np.divide(windows.shape[:2], size)
        kept = [
            patch
            for patch in plan
            if _has_data(windows, scale, patch.origin, patch_size)
        ]
    return kept or plan[:1]


def _has_data(windows, scale, origin, patch_size):
    """Tell whether the image has data in a patch, which may reach beyond."""
    first = np.maximum(np.floor(np.multiply(origin, scale)), 0).astype(int)
    stop = np.ceil(np.add(origin, patch_size) * scale).astype(int)
    height, width = np.minimum(stop, windows.shape[:2]) - first
    if height <= 0 or width <= 0:
        return False
    y, x = first.tolist()
    known = windows.known(y, int(height), x, int(width))
    return known is None or bool(known.any())


def _patches_plan(image, header, pixels, plan):
    origins = [patch.origin for patch in plan]
    augmentations = [patch.augmentation for patch in plan]
    return ShardPlan(
        kind="images",
        shape=(
            len(plan),
            *pixels.patch_size,
            number_of(pixels.channels, header.channels),
        ),
        dtype=pixels.dtype(header.dtype),
        parameters=[
            pixels.patch_size,
            *pixels.content(header.size),
            origins,
            augmentations,
        ],
        path=image,
        make=functools.partial(
            _cut,
            path=image,
            pixels=pixels,
            origins=origins,
            augmentations=augmentations,
        ),
    )


def _label_plans(boxes, labels, plan, pixels):
    arrays = label_planned(boxes, labels, plan, pixels.patch_size)
    content = [
        boxes.tolist(),
        labels.tolist(),
        [[*patch.origin, patch.augmentation] for patch in plan],
        pixels.patch_size,
    ]
    facts = (_count_boxes, None)
    return [
        ShardPlan(
            kind=kind,
            shape=array.shape,
            dtype=array.dtype,
            parameters=content,
            make=functools.partial(np.copy, array),
            facts=fact,
        )
        for kind, array, fact in zip(
            ("boxes", "box_labels"), arrays, facts, strict=True
        )
    ]


def _objects_plan(boxes, labels):
    """Plan what is kept of the whole image: float32 x1, y1, x2, y2, label."""
    objects = np.column_stack([boxes, labels]).astype("float64")[None]
    if not objects.size:
        objects = np.full((1, 1, 5), -1.0)
    return ShardPlan(
        kind="objects",
        shape=objects.shape,
        dtype=objects.dtype,
        parameters=objects.tolist(),
        make=functools.partial(np.copy, objects),
    )


def _cut(data, path, pixels, origins, augmentations):
    return cut_planned(
        pixels.decode(data, path),
        origins,
        augmentations,
        pixels.patch_size,
        pixels.value_range,
    )


def _count_boxes(boxes):
    return {"objects": (boxes[..., 2] > 0).sum(axis=1).tolist()}
