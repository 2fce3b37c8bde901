"""Text in pictures: sizes of letters, captions above, tags at boxes."""

import math

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from keras_patching.visualization.colors import INK, PAPER

_SMALLEST, _LARGEST = 12, 40  # of letters that suit a picture, in pixels
_LEAST = 8  # Smaller letters cannot be read.


def suiting_size(length, lines):
    """Give the size of letters that fill a length in so many lines."""
    return min(max(_SMALLEST, length // lines), _LARGEST)


def line_height(size):
    """Give the height of a line of letters, in pixels."""
    return math.ceil(size * 1.7)


def text_width(text, size):
    """Give the width of a text, in pixels."""
    return ImageFont.load_default(size).getlength(text)


def blank_strip(height, width):
    """Make a `PIL` image of paper to write on, and what draws on it."""
    strip = Image.new("RGB", (width, height), PAPER)
    return strip, ImageDraw.Draw(strip)


def write(draw, place, text, size, anchor="lm"):
    """Write a text at `(x, y)`, by default on a line to the right of it."""
    font = ImageFont.load_default(size)
    draw.text(place, text, INK, font, anchor=anchor)


def caption(text, width, size):
    """Write a line in the middle of a strip.

    Args:
        text: A line.
        width: Width of the strip in pixels.
        size: Size of the letters in pixels.

    Returns:
        uint8 `(height, width, 3)` on white.
    """
    height = line_height(size)
    strip, draw = blank_strip(height, width)
    write(draw, (width / 2, height / 2), text, size, anchor="mm")
    return np.asarray(strip)


def caption_size(texts, widths, height):
    """Give the largest size in which all captions fit above their pictures.

    Args:
        texts: The captions.
        widths: Widths of the pictures in pixels.
        height: Height of all of them, which the letters suit.

    Returns:
        Integer, in pixels.
    """
    size = suiting_size(height, 20)
    fitting = [
        math.floor(size * 0.96 * width / max(text_width(text, size), 1))
        for text, width in zip(texts, widths, strict=True)
    ]
    return max(_LEAST, min([size, *fitting]))


def tag_size(boxes, size):
    """Give the size of letters at boxes, smaller where boxes are small.

    Args:
        boxes: Array `(n, 4)`, xyxy in pixels.
        size: `(width, height)` of the picture.

    Returns:
        Integer, in pixels.
    """
    suiting = max(11, min(size) // 70)
    if len(boxes):
        median = float(np.median(boxes[:, 2] - boxes[:, 0]))
        suiting = min(suiting, round(median / 2.5))
    return max(_LEAST, suiting)


def draw_number(draw, place, text, size):
    """Write a text around `(x, y)`, with a bright rim that shows anywhere."""
    font = ImageFont.load_default(size)
    rim = max(1, size // 8)
    draw.text(
        place,
        text,
        INK,
        font,
        anchor="mm",
        stroke_width=rim,
        stroke_fill=PAPER,
    )


def draw_tag(draw, corners, text, color, size):
    """Write on a patch of colour above a box, or in it at the upper edge."""
    font = ImageFont.load_default(size)
    x1, y1, _, _ = corners
    _, top, right, bottom = draw.textbbox((0, 0), text, font)
    height = bottom - top + 4
    y = y1 - height if y1 >= height else y1
    x = max(0, min(x1, draw.im.size[0] - right - 4))
    draw.rectangle((x, y, x + right + 3, y + height), fill=color)
    draw.text((x + 2, y + 2 - top), text, INK, font)
