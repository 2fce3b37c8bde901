"""What tells people how to read a picture: colours, and the bar of a scale."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from keras_patching._types import Color, NDArray
from keras_patching.visualization.colors import INK, all_class_colors, palette
from keras_patching.visualization.lettering import (
    blank_strip,
    line_height,
    suiting_size,
    text_width,
    write,
)
from keras_patching.visualization.overlays import show_heatmap

_LINES = 60  # of letters, in the width of a picture


def legend(
    entries: Sequence[tuple[Color | None, str]],
    width: int,
    size: int | None = None,
) -> NDArray:
    """Write what colours stand for, in as many lines as they need.

    Args:
        entries: Pairs of a colour, RGB or `None` for no swatch, and a text.
        width: Width in pixels; more where a text is longer.
        size: Size of the letters in pixels; by default what suits the width.

    Returns:
        uint8 `(height, width, 3)` on white; without entries it has no height.

    Example:

    >>> entries = [((86, 180, 233), "plant"), (None, "2 images")]
    >>> keras_patching.visualization.legend(entries, width=640).shape
    (27, 640, 3)
    """
    if not entries:
        return np.zeros((0, width, 3), "uint8")
    size = suiting_size(width, _LINES) if size is None else size
    swatch, gap, line = size, size // 2, line_height(size)
    places, x, y, widest = [], gap, 0, 0
    for color, text in entries:
        taken = int(text_width(text, size))
        taken += 0 if color is None else swatch + gap
        if x > gap and x + taken > width:
            x, y = gap, y + line
        places.append((x, y))
        widest = max(widest, x + taken + gap)
        x += taken + 3 * gap
    strip, draw = blank_strip(y + line + gap, max(width, widest))
    for (color, text), (x, y) in zip(entries, places, strict=True):
        middle = y + (line + gap) / 2
        if color is not None:
            top = round(middle - swatch / 2)
            corners = (x, top, x + swatch, top + swatch)
            draw.rectangle(corners, tuple(color), outline=INK)
            x += swatch + gap
        write(draw, (x, middle), text, size)
    return np.asarray(strip)


def class_legend(
    classes: NDArray,
    class_names: Sequence[str] | None = None,
    class_colors: Sequence[Color] | None = None,
) -> list[tuple[Color, str]]:
    """Say which colours `overlay_mask` gives to classes of masks.

    Args:
        classes: Class ids, such as the values of a mask. Class 0, which stays
            transparent, is left out.
        class_names: Names of all classes, that of class 0 first; `None`
            numbers them.
        class_colors: Their colours, in the same order; `None` takes those of
            `palette`.

    Returns:
        List of pairs of RGB and text, for `legend`.

    Example:

    >>> names = "soil", "maize", "weed"
    >>> keras_patching.visualization.class_legend([0, 2, 2], names)
    [((230, 159, 0), 'weed')]
    """
    present = sorted({int(each) for each in np.unique(classes)} - {0})
    colors = all_class_colors(max(present, default=0) + 1, class_colors)
    return [(colors[each], class_name(each, class_names)) for each in present]


def box_legend(class_names: Sequence[str] | None) -> list[tuple[Color, str]]:
    """Say which colours the boxes of classes have.

    Args:
        class_names: Names of the classes; `None` explains nothing.

    Returns:
        List of pairs of RGB and text, for `legend`.

    Example:

    >>> keras_patching.visualization.box_legend(("maize", "weed"))
    [((86, 180, 233), 'maize'), ((230, 159, 0), 'weed')]
    """
    names = () if class_names is None else class_names
    return list(zip(palette(len(names)), names, strict=True))


def heatmap_bar(highest: float, width: int, size: int | None = None) -> NDArray:
    """Draw the scale of a heatmap, from 0 to what is white in it.

    Args:
        highest: Value that is white, in objects per pixel.
        width: Width in pixels; more where the texts need it.
        size: Size of the letters in pixels; by default what suits the width.

    Returns:
        uint8 `(height, width, 3)` on white, the bar between its two values.

    Example:

    >>> keras_patching.visualization.heatmap_bar(0.01, width=640).shape
    (27, 640, 3)
    """
    size = suiting_size(width, _LINES) if size is None else size
    texts = ("0", f"{highest:.2g} objects per pixel")
    before, after = (int(text_width(text, size)) + size for text in texts)
    length = max(width - before - after, 3 * size)
    height = line_height(size) + size // 2
    strip, draw = blank_strip(height, before + length + after)
    ramp = np.linspace(0, 1, length, dtype="float32")
    bar = np.repeat(show_heatmap(ramp[None], highest=1), size, axis=0)
    strip.paste(Image.fromarray(bar), (before, (height - size) // 2))
    starts = (size // 2, before + length + size // 2)
    for text, x in zip(texts, starts, strict=True):
        write(draw, (x, height / 2), text, size)
    return np.asarray(strip)


def class_name(label, class_names):
    """Give the name of a class, or its number where it has none."""
    if class_names is None or label >= len(class_names):
        return f"class {label}"
    return str(class_names[label])
