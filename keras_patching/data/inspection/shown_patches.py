"""Some patches of a cache that together show what it holds, and their inks."""

import numpy as np

from keras_patching.data.cache.shard_kinds import keys_drawn
from keras_patching.data.feeding.foreground import HAS_OBJECTS
from keras_patching.data.inspection.picking import pick_patches
from keras_patching.data.labels.density_maps import peak_density
from keras_patching.visualization import to_uint8
from keras_patching.visualization.colors import UNLABELLED, all_class_colors


class ShownPatches:
    """Patches of a cache to look at.

    Every class is among them, and patches with no, few and many objects; of
    detection also patches of each stage that they were planned in.

    Args:
        contents: A `CacheContents`.
        num_patches: Number of patches; more where there are more classes.

    Attributes:
        indices: Their numbers.
        patches: Their arrays, as `CacheContents.read_patch` gives them.
        pictures: Their images, uint8 `(height, width, 3)`. What is not uint8
            is scaled from the smallest to the largest value among them, and
            what is normalized from black to white.
        colors: RGB tuples of class 1, 2 and so on of masks.
        highest: Value of heatmaps that is white; `None` without any.
    """

    def __init__(self, contents, num_patches):
        self.indices = pick_patches(_sorts_of_patches(contents), num_patches)
        self.patches = [contents.read_patch(index) for index in self.indices]
        images = [patch["images"] for patch in self.patches]
        self.pictures = _pictures(images, contents.manifest.parameters)
        self.colors = mask_colors(contents.manifest)
        self.highest = _highest(self.patches, contents.manifest)


def mask_colors(manifest):
    """Colours of class 1, 2 and so on, with grey for the ignored value."""
    parameters = manifest.parameters
    ignored = parameters.get("ignore_value") or 0
    count = parameters.get("num_classes", 2)
    colors = all_class_colors(count, manifest.class_colors)[1:]
    if ignored:
        colors += [UNLABELLED] * (ignored - len(colors))
        colors[ignored - 1] = UNLABELLED
    return colors


def _sorts_of_patches(contents):
    """Give what `pick_patches` takes: how much each patch has of each sort."""
    if contents.class_pixels is not None:
        return contents.class_pixels
    if contents.class_boxes is not None:
        return _classes_and_stages(contents)
    if contents.objects is not None:
        return _empty_few_or_many(contents.objects)
    return np.ones((len(contents.names), 1), int)


def _empty_few_or_many(objects):
    has_objects = objects >= HAS_OBJECTS
    median = np.median(objects[has_objects]) if has_objects.any() else 0
    many = has_objects & (objects > median)
    sorts = [~has_objects, has_objects & ~many, many]
    return np.stack(sorts, axis=1).astype(int)


def _classes_and_stages(contents):
    boxes = contents.class_boxes
    stages = np.array(contents.stages)
    is_stage = [stages == stage for stage in np.unique(stages)]
    return np.column_stack([boxes, ~boxes.any(axis=1), *is_stage]).astype(int)


def _highest(patches, manifest):
    """Give one highest value for all heatmaps: they can be compared."""
    sigma = manifest.parameters.get("density_map_sigma")
    if sigma:
        return peak_density(sigma)
    keys = keys_drawn(manifest.kinds, "heatmap")
    highest = [patch[key].max() for patch in patches for key in keys]
    return max(highest, default=None)


def _pictures(images, parameters):
    if parameters.get("normalize") is not None:
        # One hot pixel would leave all others dark.
        value_range = parameters["value_range"]
        return [to_uint8(image, value_range) for image in images]
    if images[0].dtype == np.uint8:
        return [to_uint8(image) for image in images]
    # One range for all, so that they can be compared.
    value_range = (
        min(np.nanmin(image) for image in images),
        max(np.nanmax(image) for image in images),
    )
    return [to_uint8(image, value_range) for image in images]
