"""A picture of what a patch cache holds: some patches with their labels."""

import numpy as np

from keras_patching.data.cache.shard_kinds import keys_drawn
from keras_patching.data.inspection.shown_patches import ShownPatches
from keras_patching.visualization import (
    COLORS,
    class_colors,
    legend,
    overlay_boxes,
    overlay_heatmap,
    overlay_mask,
    overlay_points,
    side_by_side,
    stacked,
)
from keras_patching.visualization.colors import (
    PAPER,
    UNLABELLED,
)

_POINT = COLORS[0]
_CELL = 192
_LETTERS = 16
_LONGEST_STEM = 16


def contact_sheet(contents, num_patches=24, columns=6):
    """Show patches of a cache with their labels laid over.

    Every class is among them, and patches with no, few and many objects; of
    detection also patches of each stage that they were planned in, which is
    named above them.

    Args:
        contents: A `CacheContents`.
        num_patches: Number of patches; more where there are more classes.
        columns: Patches per row.

    Returns:
        uint8 `(height, width, 3)`; a patch is about 192 pixels high. Class 0
        stays transparent, pixels without a label are grey. Heatmaps go from
        black, which is transparent, over red to white: the center of an object
        that is alone or, where heatmaps are files, the highest value in the
        picture; points are ringed, boxes drawn in the colour of their class.
        Images that are not uint8 are scaled from the smallest to the largest
        value among them. What the colours stand for is written above.

    Example:

    >>> from keras_patching.data.inspection.contents import CacheContents
    >>> sheet = contact_sheet(CacheContents("field/images_patches"))
    >>> keras_patching.data.write_image("sheet.png", sheet)
    """
    shown = ShownPatches(contents, num_patches)
    cells = [
        (
            _caption(contents.names[index], contents.stages[index]),
            _labelled(picture, patch, contents.manifest.kinds, shown),
        )
        for index, picture, patch in zip(
            shown.indices, shown.pictures, shown.patches, strict=True
        )
    ]
    height = min(len(cells[0][1]), 2 * _CELL)
    sheet = side_by_side(cells, height, min(columns, len(cells)))
    head = [(None, contents.manifest_path.name), *_legend(contents, shown)]
    return stacked(legend(head, sheet.shape[1], _LETTERS), sheet)


def _labelled(picture, patch, kinds, inks):
    # Enlarged before labels are drawn, which keeps their lines thin.
    factor = max(1, round(_CELL / len(picture)))
    picture = _enlarged(picture, factor)
    for drawn, draw in _DRAW.items():
        for key in keys_drawn(kinds, drawn):
            picture = draw(picture, patch, key, factor, inks)
    return picture


def _draw_mask(picture, patch, key, factor, inks):
    mask = _enlarged(patch[key], factor)
    return overlay_mask(picture, mask, colors=inks.colors)


def _draw_heatmap(picture, patch, key, factor, inks):
    heatmap = _enlarged(patch[key], factor)
    return overlay_heatmap(picture, heatmap, inks.highest)


def _draw_points(picture, patch, key, factor, inks):
    radius = max(3, len(picture) // 64)
    return overlay_points(picture, patch[key] * factor, _POINT, radius)


def _draw_boxes(picture, patch, key, factor, inks):
    classes = patch.get("labels", np.zeros(len(patch[key]), int))
    color = class_colors(classes)
    return overlay_boxes(picture, patch[key] * factor, color=color)


# By `ShardKind.drawn`, in this order, over the images.
_DRAW = {
    "mask": _draw_mask,
    "heatmap": _draw_heatmap,
    "points": _draw_points,
    "boxes": _draw_boxes,
}


def _enlarged(array, factor):
    return array.repeat(factor, 0).repeat(factor, 1)


def _caption(name, stage):
    """Name a patch; one that was planned by its stage instead of its origin."""
    *stem, number, y, x = name.split("_")
    stem = _shortened("_".join(stem))
    place = [y, x] if stage == "tile" else [stage]
    return "_".join([stem, number, *place])


def _shortened(stem):
    """Cut out the middle of a long name of an image."""
    if len(stem) <= _LONGEST_STEM:
        return stem
    half = _LONGEST_STEM // 2
    return f"{stem[: half - 1]}…{stem[-half:]}"


def _legend(contents, inks):
    """Pair colours, or none, with what they stand for and how much it is."""
    if contents.class_pixels is not None:
        image_pixels = contents.image_pixels.sum()
        names = contents.manifest.class_names
        pixels = contents.class_pixels
        return _class_legend(pixels, image_pixels, inks.colors, names)
    if contents.class_objects is not None:
        return _box_legend(contents)
    if contents.objects is not None:
        return _object_legend(contents, inks.highest)
    return []


def _object_legend(contents, highest):
    entries = [(None, f"{contents.objects.sum():,.0f} objects")]
    if highest is not None:
        scale = f"heatmaps, white from {highest:.2g} objects per pixel"
        entries.append(((255, 0, 0), scale))
    if keys_drawn(contents.manifest.kinds, "points"):
        entries.append((_POINT, "points"))
    return entries


def _box_legend(contents):
    """Pair the colour of each class with its name and its objects."""
    names = contents.manifest.parameters["class_names"]
    counts = contents.class_objects.tolist()
    colors = class_colors(range(len(names))).tolist()
    return [
        (tuple(color), f"{name}: {count:,}")
        for color, name, count in zip(colors, names, counts, strict=True)
    ]


def _class_legend(pixels, image_pixels, colors, names):
    """Pair the colour of each class with its name and fraction."""
    fractions = pixels.sum(axis=0) / image_pixels
    swatches = [PAPER, *colors][: len(fractions)]
    if names is None:
        names = [f"class {index}" for index in range(len(fractions))]
    entries = [
        (color, f"{name}: {fraction:.2%}")
        for color, name, fraction in zip(
            swatches, names, fractions, strict=True
        )
    ]
    rest = 1 - fractions.sum()
    if rest > 0:
        entries.append((UNLABELLED, f"unlabelled: {rest:.2%}"))
    return entries
