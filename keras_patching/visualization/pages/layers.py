"""What lies over the pictures of a page, and is switched on and off.

Masks and heatmaps are pixels, transparent where there is nothing. Points and
boxes are shapes of SVG in pixels of the image, which stay sharp however large
they are shown.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence

import numpy as np

from keras_patching._types import Color, NDArray
from keras_patching.visualization.colors import COLORS
from keras_patching.visualization.overlays import edges, show_heatmap

# Browsers become slow with more.
MOST_SHAPES = 2000
_MOST_INDICES = 255  # of a PNG, beside the one that is clear
_LEVELS = 64  # of a heatmap


@dataclasses.dataclass(frozen=True)
class LayerKind:
    """A layer that all pictures of a page may have.

    Attributes:
        key: Letters, digits and hyphens that tell it from others.
        name: What it is called beside its switch.
        color: RGB of a swatch, or `None`.
        is_on: Whether it is seen at first.
        legend: Colours in it, and what each stands for.
    """

    key: str
    name: str
    color: Color | None = None
    is_on: bool = True
    legend: Sequence[tuple[Color, str]] = ()


@dataclasses.dataclass(frozen=True)
class Layer:
    """What lies over one picture.

    Attributes:
        key: That of its `LayerKind`.
        pixels: Gives, of at most so many pixels a side, uint8 indices
            `(height, width)`, and the colours that they stand for, uint8 RGBA
            `(n, 4)`; `None` of shapes.
        shapes: SVG elements, in pixels of the image.
        left_out: How many shapes more there would be.
    """

    key: str
    pixels: Callable[[int], tuple[NDArray, NDArray]] | None = None
    shapes: str = ""
    left_out: int = 0


def mask_layer(
    key: str, mask: NDArray, colors: Sequence[Color], alpha: float = 0.5
) -> Layer:
    """Draw a mask in transparent colours, with an opaque edge.

    Args:
        key: That of the `LayerKind`.
        mask: Integers `(height, width)`; class 0 stays transparent.
        colors: RGB of class 1, 2 and so on; they repeat when they run out.
        alpha: Opacity of the colours, 0 to 1.
    """
    return Layer(key, functools.partial(_draw_mask, mask, colors, alpha))


def _draw_mask(mask, colors, alpha, side):
    mask = _shrunk(np.asarray(mask), side)
    colors = np.asarray(colors[:_MOST_INDICES], "uint8")
    count = len(colors)
    indices = np.where(mask, (mask.astype("int64") - 1) % count + 1, 0)
    table = [_clear(), _with_alpha(colors, alpha)]
    if 2 * count <= _MOST_INDICES:
        indices += count * (edges(mask) & (mask != 0))
        table.append(_with_alpha(colors, 1))
    return indices.astype("uint8"), np.concatenate(table)


def _clear():
    return np.zeros((1, 4), "uint8")


def _with_alpha(colors, alpha):
    alpha = np.rint(255 * np.broadcast_to(alpha, len(colors)))
    return np.column_stack([colors, alpha.astype("uint8")])


def heatmap_layer(key: str, heatmap: NDArray, highest: float) -> Layer:
    """Draw a heatmap, the higher the more opaque.

    Args:
        key: That of the `LayerKind`.
        heatmap: Array `(height, width)`, from 0; NaN where there is no data.
        highest: Value that is white.
    """
    return Layer(key, functools.partial(_draw_heatmap, heatmap, highest))


def _draw_heatmap(heatmap, highest, side):
    share = np.clip(np.nan_to_num(_shrunk(heatmap, side)) / highest, 0, 1)
    ramp = np.linspace(0, 1, _LEVELS)
    (colors,) = show_heatmap(ramp[None], highest=1)
    table = _with_alpha(colors, 0.8 * colors.max(axis=-1) / 255)
    return np.rint(share * (_LEVELS - 1)).astype("uint8"), table


def _shrunk(array, side):
    """Take of so many rows and columns one, that a side is no longer."""
    factor = max(1, max(array.shape) / side)
    rows, columns = (
        ((np.arange(max(1, int(n / factor))) + 0.5) * factor).astype(int)
        for n in array.shape
    )
    rows, columns = (
        np.minimum(places, length - 1)
        for places, length in zip((rows, columns), array.shape, strict=True)
    )
    return array[rows[:, None], columns]


def point_layer(
    key: str, points: NDArray, radius: float, color: Color = COLORS[1]
) -> Layer:
    """Draw a ring around each of the first `MOST_SHAPES` points.

    Args:
        key: That of the `LayerKind`.
        points: Array `(n, 2)` of `(y, x)` in pixels of the image.
        radius: Radius of the rings in pixels of the image.
        color: RGB.
    """
    shapes = [
        f'<circle cx="{x:g}" cy="{y:g}" r="{radius:g}"/>'
        for y, x in np.round(points[:MOST_SHAPES], 1).tolist()
    ]
    return _shape_layer(key, shapes, color, len(points))


def box_layer(
    key: str,
    boxes: NDArray,
    captions: Sequence[str] = (),
    color: Color = COLORS[1],
    dashed: bool = False,
) -> Layer:
    """Draw the first `MOST_SHAPES` boxes.

    Args:
        key: That of the `LayerKind`.
        boxes: Array `(n, 4)`, xyxy in pixels of the image.
        captions: Text per box without marks of HTML, such as its score; or
            none.
        color: RGB.
        dashed: Whether the lines are dashed.
    """
    count = len(boxes)
    boxes = np.round(boxes[:MOST_SHAPES], 1).tolist()
    captions = list(captions)[:MOST_SHAPES]
    shapes = [
        f'<rect x="{x1:g}" y="{y1:g}" width="{x2 - x1:g}" '
        f'height="{y2 - y1:g}"/>'
        for x1, y1, x2, y2 in boxes
    ]
    shapes += [
        f'<text x="{box[0]:g}" y="{box[1]:g}" dy="-3">{text}</text>'
        for box, text in zip(boxes, captions, strict=bool(captions))
    ]
    return _shape_layer(key, shapes, color, count, dashed)


def _shape_layer(key, shapes, color, count, dashed=False):
    style = ' class="dashed"' if dashed else ""
    group = f'<g stroke="{css(color)}"{style}>{"".join(shapes)}</g>'
    return Layer(key, shapes=group, left_out=max(0, count - MOST_SHAPES))


def css(color: Color) -> str:
    """Give a colour as CSS has it: `#56b4e9`."""
    return "#" + "".join(f"{part:02x}" for part in color)
