"""What tells people how to read a picture: legends, and the bar of a scale.

Parts that `keras_patching.visualization` is made of, which is where they are
imported from.
"""

import math

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from keras_patching.visualization.overlays import INK, show_heatmap

_WHITE = 255
PAPER = (_WHITE,) * 3


def legend(entries, width, size=None):
    """Write what colours stand for, in as many lines as they need.

    Args:
        entries: Pairs of a colour, RGB or `None` for no swatch, and a text.
        width: Width in pixels; more where a text is longer.
        size: Size of the letters in pixels; by default what suits the width.

    Returns:
        uint8 `(height, width, 3)` on white; without entries it has no height.

    Example:
        >>> legend([((86, 180, 233), "plant"), (None, "2 images")], 640).shape
        (38, 640, 3)
    """
    if not entries:
        return np.zeros((0, width, 3), "uint8")
    if size is None:
        size = _letters(width)
    font = ImageFont.load_default(size)
    swatch, gap, line = size, size // 2, math.ceil(size * 1.7)
    places, x, y, widest = [], gap, 0, 0
    for color, text in entries:
        taken = int(font.getlength(text)) + (color is not None) * (swatch + gap)
        if x > gap and x + taken > width:
            x, y = gap, y + line
        places.append((x, y))
        widest = max(widest, x + taken + gap)
        x += taken + 3 * gap
    strip = Image.new("RGB", (max(width, widest), y + line + gap), PAPER)
    draw = ImageDraw.Draw(strip)
    for (color, text), (x, y) in zip(entries, places, strict=True):
        middle = y + (line + gap) / 2
        if color is not None:
            top = round(middle - swatch / 2)
            corners = (x, top, x + swatch, top + swatch)
            draw.rectangle(corners, tuple(color), outline=INK)
            x += swatch + gap
        draw.text((x, middle), text, INK, font, anchor="lm")
    return np.asarray(strip)


def heatmap_bar(highest, width, size=None):
    """Draw the scale of a heatmap, from 0 to what is white in it.

    Args:
        highest: Value that is white, in objects per pixel.
        width: Width in pixels; more where the texts need it.
        size: Size of the letters in pixels; by default what suits the width.

    Returns:
        uint8 `(height, width, 3)` on white, the bar between its two values.
    """
    if size is None:
        size = _letters(width)
    font = ImageFont.load_default(size)
    texts = ("0", f"{highest:.2g} objects per pixel")
    before, after = (int(font.getlength(text)) + size for text in texts)
    length = max(width - before - after, 3 * size)
    height = math.ceil(size * 1.7) + size // 2
    strip = Image.new("RGB", (before + length + after, height), PAPER)
    ramp = np.linspace(0, 1, length, dtype="float32")
    bar = np.repeat(show_heatmap(ramp[None], highest=1), size, axis=0)
    strip.paste(Image.fromarray(bar), (before, (height - size) // 2))
    draw = ImageDraw.Draw(strip)
    for text, x in zip(
        texts, (size // 2, before + length + size // 2), strict=True
    ):
        draw.text((x, height / 2), text, INK, font, anchor="lm")
    return np.asarray(strip)


def stacked(*blocks):
    """Set pictures below each other, on white.

    Args:
        *blocks: uint8 `(height, width, 3)`, of any sizes.

    Returns:
        The same, as wide as the widest.
    """
    return joined(blocks, axis=0)


def joined(blocks, axis, gutter=0):
    """Join on white along one axis, padding the other to the longest.

    Args:
        blocks: Arrays uint8 `(height, width, 3)`.
        axis: 0 sets them below each other, 1 side by side.
        gutter: Pixels between two of them.

    Returns:
        uint8 `(height, width, 3)`.
    """
    longest = max(block.shape[1 - axis] for block in blocks)
    padded = []
    for block in blocks:
        widths = [(0, 0)] * 3
        widths[1 - axis] = (0, longest - block.shape[1 - axis])
        widths[axis] = (gutter if padded else 0, 0)
        padded.append(np.pad(block, widths, constant_values=_WHITE))
    return np.concatenate(padded, axis)


def _letters(width):
    return min(max(12, width // 60), 40)
