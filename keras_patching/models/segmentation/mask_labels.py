"""The labels of segmentation, as `data.patched_dataset.Labels`."""

import dataclasses
import functools
import math

import numpy as np

from keras_patching._faults import fault_of
from keras_patching.data.cache.records import facts_of
from keras_patching.data.images.known import known_digest, read_known
from keras_patching.data.images.resampling import resampled
from keras_patching.data.labels.doubts import doubt_classes
from keras_patching.data.labels.drawing import draw_shapes
from keras_patching.data.labels.mask_classes import find_background
from keras_patching.data.labels.mask_colors import colors_of_palettes
from keras_patching.data.labels.mask_shape_places import shape_faults
from keras_patching.data.labels.masks import count_pixels, decode_classes
from keras_patching.data.labels.pairing import pair_faults
from keras_patching.data.labels.summaries import summarize_pixels
from keras_patching.data.patched_dataset import tile_source


class MaskLabels:
    """Masks that are image files.

    Args:
        masks: Dict from the path of an image to that of its mask, or `None`
            where all is of class 0.
        folder: Folder of the masks.
        classes: `MaskClasses`.
        unlabelled: What images without a mask are, as the loader takes it.
    """

    def __init__(self, masks, folder, classes, unlabelled="error"):
        self.path = folder
        self.classes = classes
        self.num_classes = classes.num_classes
        self.ignore_value = classes.ignore_value
        self._unlabelled = unlabelled
        self._masks = masks
        self._patch_size = None
        self._is_resized = False

    @property
    def parameters(self):
        parameters = {
            "num_classes": self.num_classes,
            "ignore_value": self.ignore_value,
        }
        if self._unlabelled != "error":
            parameters["unlabelled"] = self._unlabelled
        return parameters

    def faults(self, headers, cache):
        pairs = [pair for pair in self._masks.items() if pair[1]]
        faults = pair_faults(pairs, headers, cache, "mask")
        if self.classes.colors is None and not faults:
            try:
                colors = self._colors_of_palettes(cache)
            except ValueError as error:
                return [fault_of(error)]
            self.classes = dataclasses.replace(self.classes, colors=colors)
        return faults

    def _colors_of_palettes(self, cache):
        masks = [mask for mask in self._masks.values() if mask]
        if not masks or cache.header(masks[0]).channels < 3:
            return None  # It is of greys, as is known without opening it.
        return colors_of_palettes(masks, self.classes)

    def resize(self, scales):
        self._is_resized = True

    def source(self, image, header, pixels):
        self._patch_size = pixels.patch_size
        shards = functools.partial(self._shards, image, header)
        return tile_source(image, header, pixels, shards)

    def summarize(self, records, headers):
        return summarize_pixels(
            len(records),
            *self._count_classes(records, headers),
            self.classes.names,
        )

    def doubts(self, records, headers):
        pixels, _ = self._count_classes(records, headers)
        return [
            *doubt_classes(pixels, self.ignore_value),
            *self._doubt_padding(records, headers),
        ]

    def _doubt_padding(self, records, headers):
        """Say so if padding is of a class that is not the background."""
        names = self.classes.names or [""]
        place = find_background(names)
        if not place or self.ignore_value is not None:
            return []
        if self._num_cut(records) == _num_inside(headers):
            return []
        return [
            f"Beyond their images patches are of class 0, {names[0]!r}, and "
            f"{names[place]!r} is class {place}. List it first, or pass "
            "ignore_value=255, so that nothing is learned there."
        ]

    def _count_classes(self, records, headers):
        """Count the pixels of each class, and those without, padding apart."""
        pixels = facts_of(records, "pixels").sum(axis=0)
        inside = _num_inside(headers)
        if (self.ignore_value or 0) < self.num_classes:
            pixels[self.ignore_value or 0] -= self._num_cut(records) - inside
        if self.ignore_value is not None and self.ignore_value < len(pixels):
            pixels[self.ignore_value] = 0
        return pixels.tolist(), inside - int(pixels.sum())

    def _num_cut(self, records):
        """Count the pixels of all tiles, padding too."""
        num_patches = sum(len(record.origins) for record in records)
        return num_patches * math.prod(self._patch_size)

    def _shards(self, image, header, shards):
        size, mask = shards.grid.image_size, self._masks[image]
        highest = max(self.num_classes - 1, self.ignore_value or 0)
        dtype = np.min_scalar_type(highest)
        make, path = self._how_made(mask)
        content = self._content(size, mask)
        digest = known_digest(image) if header.lacks_data else None
        if digest is not None:
            content = [*content, digest]
            make = functools.partial(make, image=image)
        plan = shards.plan(
            "masks",
            dtype,
            content,
            functools.partial(
                make, size=size, classes=self.classes, dtype=dtype
            ),
            path=path,
            facts=functools.partial(count_pixels, num_classes=self.num_classes),
            pad_value=self.ignore_value or 0,
        )
        return [plan]

    def _how_made(self, path):
        """Give the function that makes a mask, and the file that it takes."""
        if path is None:
            return _empty_mask, None
        return functools.partial(_read_mask, path=path), path

    def _content(self, size, path):
        """Give what decides a mask of a size, besides its file."""
        size = [int(length) for length in size]
        content = [self.num_classes, self.ignore_value]
        if path is None:
            return [*content, size]
        read_by = self.classes.to_json()
        read_by.pop("names", None)
        if self._is_resized:
            content.append(size)
        return [*content, read_by] if read_by else content


class DrawnMasks(MaskLabels):
    """Masks that are drawn from shapes.

    Args:
        shapes: `MaskShapes`.
        unlabelled: What images are that no file names, as the loader takes it.
    """

    def __init__(self, shapes, unlabelled):
        super().__init__(shapes.drawn, shapes.path, shapes.classes, unlabelled)
        self._items = shapes.images

    def faults(self, headers, cache):
        return shape_faults(self._items, headers)

    def resize(self, scales):
        super().resize(scales)
        self._masks = {
            image: [shape.moved(scales[image]) for shape in shapes]
            for image, shapes in self._masks.items()
        }

    def _content(self, size, shapes):
        size = [int(length) for length in size]
        content = [self.num_classes, self.ignore_value, size]
        return [*content, [shape.content for shape in shapes]]

    def _how_made(self, shapes):
        return functools.partial(_drawn_mask, shapes=shapes), None


def _num_inside(headers):
    return sum(math.prod(header.size) for header in headers.values())


def _drawn_mask(shapes, size, classes, dtype, image=None):
    mask = draw_shapes(shapes, size, dtype)
    return _ignored(mask, image, classes.ignore_value)


def _read_mask(data, path, size, classes, dtype, image=None):
    mask = resampled(decode_classes(data, path, classes), size, "nearest")
    mask = mask.astype(dtype, copy=False)
    return _ignored(mask, image, classes.ignore_value)


def _empty_mask(size, classes, dtype, image=None):
    return _ignored(np.zeros(size, dtype), image, classes.ignore_value)


def _ignored(mask, image, ignore_value):
    """Give pixels without data the value of those that are not labelled.

    Args:
        mask: Integers `(height, width)`.
        image: Path of the image, if it lacks data somewhere, else `None`.
        ignore_value: As of the loaders.
    """
    if image is None:
        return mask
    known = read_known(image).astype("uint8")
    known = resampled(known, mask.shape, "nearest") != 0
    if ignore_value is None:
        raise ValueError(
            f"{image}: {np.count_nonzero(~known):,} of its pixels have no "
            "data (nodata, or a mask), and no class is true there. Pass "
            "ignore_value=255, so that nothing is learned from them."
        )
    mask = mask.copy()
    mask[~known] = ignore_value
    return mask
