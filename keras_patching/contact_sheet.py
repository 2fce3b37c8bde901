"""A picture of what a patch cache holds: some patches with their labels."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from keras_patching.data.inspecting import pick_patches
from keras_patching.visualization import (
    COLORS,
    overlay_mask,
    side_by_side,
    to_uint8,
)

_UNLABELLED = (128, 128, 128)
_INK, _PAPER = (40, 40, 40), (255, 255, 255)
_CELL, _GUTTER, _LINE = 192, 8, 28
_LONGEST_STEM = 16


def contact_sheet(contents, num_patches=24, columns=6):
    """Show patches of a cache with their masks laid over, every class among.

    Args:
        contents: A `CacheContents`.
        num_patches: Number of patches; more where there are more classes.
        columns: Patches per row.

    Returns:
        uint8 `(height, width, 3)`. Class 0 stays transparent, pixels without
        a label are grey; a patch is about 192 pixels high. Images that are
        not uint8 are scaled from the smallest to the largest value among
        them.

    Example:
    >>> sheet = contact_sheet(CacheContents("field/images_patches"))
    >>> image_io.write_image("sheet.png", sheet)
    """
    pixels = contents.class_pixels
    # Without classes, all patches are of one.
    counts = np.ones((len(contents.names), 1)) if pixels is None else pixels
    indices = pick_patches(counts, num_patches)
    patches = [contents.read_patch(index) for index in indices]
    pictures = _pictures([patch["images"] for patch in patches])
    colors = _colors(contents.manifest.parameters)
    cells = [
        _cell(contents.names[index], picture, patch.get("masks"), colors)
        for index, picture, patch in zip(
            indices, pictures, patches, strict=True
        )
    ]
    sheet = _grid(cells, min(columns, len(cells)))
    head = [(None, contents.path.name)]
    if pixels is not None:
        head += _legend(pixels, contents.image_pixels.sum(), colors)
    return np.concatenate([_headline(head, sheet.shape[1]), sheet])


def stack(sheets):
    """Set contact sheets below each other, on white."""
    width = max(sheet.shape[1] for sheet in sheets)
    return np.concatenate(
        [
            np.pad(
                sheet,
                ((0, 0), (0, width - sheet.shape[1]), (0, 0)),
                constant_values=255,
            )
            for sheet in sheets
        ]
    )


def _pictures(images):
    if images[0].dtype == np.uint8:
        return [to_uint8(image) for image in images]
    # One range for all, so that they can be compared.
    value_range = (
        min(np.nanmin(image) for image in images),
        max(np.nanmax(image) for image in images),
    )
    return [to_uint8(image, value_range) for image in images]


def _colors(parameters):
    """Colours of class 1, 2 and so on, with grey for the ignored value."""
    ignored = parameters.get("ignore_value") or 0
    highest = max(ignored, parameters.get("num_classes", 2) - 1)
    colors = [COLORS[index % len(COLORS)] for index in range(highest)]
    if ignored:
        colors[ignored - 1] = _UNLABELLED
    return colors


def _cell(name, picture, mask, colors):
    # Enlarged before the mask is drawn, which keeps its edges thin.
    factor = max(1, round(_CELL / len(picture)))
    picture = picture.repeat(factor, 0).repeat(factor, 1)
    if mask is not None:
        mask = mask.repeat(factor, 0).repeat(factor, 1)
        picture = overlay_mask(picture, mask, colors=colors)
    height = min(len(picture), 2 * _CELL)
    return side_by_side({_shortened(name): picture}, height)


def _shortened(name):
    """Cut out the middle of a long image's name, not the number or origin."""
    *stem, number, y, x = name.split("_")
    stem = "_".join(stem)
    if len(stem) > _LONGEST_STEM:
        half = _LONGEST_STEM // 2
        stem = f"{stem[: half - 1]}…{stem[-half:]}"
    return "_".join([stem, number, y, x])


def _grid(cells, columns):
    height, width = cells[0].shape[:2]
    rows = (len(cells) + columns - 1) // columns
    shape = (rows * (height + _GUTTER), columns * (width + _GUTTER) + _GUTTER)
    sheet = np.full((*shape, 3), _PAPER, "uint8")
    for index, cell in enumerate(cells):
        y = index // columns * (height + _GUTTER)
        x = index % columns * (width + _GUTTER) + _GUTTER
        sheet[y : y + height, x : x + width] = cell
    return sheet


def _legend(pixels, image_pixels, colors):
    """Pair the colour of each class with its name and fraction."""
    fractions = pixels.sum(axis=0) / image_pixels
    swatches = [_PAPER, *colors][: len(fractions)]
    entries = [
        (color, f"class {index}: {fraction:.2%}")
        for index, (color, fraction) in enumerate(
            zip(swatches, fractions, strict=True)
        )
    ]
    rest = 1 - fractions.sum()
    if rest > 0:
        entries.append((_UNLABELLED, f"unlabelled: {rest:.2%}"))
    return entries


def _headline(entries, width):
    """Draw pairs of colour and text, in as many lines as they need."""
    font = ImageFont.load_default(16)
    lengths = [int(font.getlength(text)) for _, text in entries]
    places, x, y = [], _GUTTER, 0
    for (color, _), length in zip(entries, lengths, strict=True):
        taken = length + 24 * (color is not None)
        if x > _GUTTER and x + taken > width:
            x, y = _GUTTER, y + _LINE
        places.append((x, y))
        x += taken + 24
    image = Image.new("RGB", (width, y + _LINE + _GUTTER), _PAPER)
    draw = ImageDraw.Draw(image)
    for (color, text), (x, y) in zip(entries, places, strict=True):
        if color is not None:
            draw.rectangle((x, y + 8, x + 16, y + 24), color, outline=_INK)
            x += 24
        draw.text((x, y + 16), text, _INK, font, anchor="lm")
    return np.asarray(image)
