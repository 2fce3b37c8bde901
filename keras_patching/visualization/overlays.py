"""Pictures of one image: as a screen shows it, and with labels laid over.

Points are in pixels of the image, `(y, x)`, boxes too, xyxy.
"""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from keras_patching._checks import as_boxes, as_points
from keras_patching._types import ArrayLike, Color, NDArray
from keras_patching.visualization.colors import COLORS, INK, palette
from keras_patching.visualization.lettering import (
    draw_number,
    draw_tag,
    tag_size,
    text_width,
)


def to_uint8(
    image: NDArray, value_range: Sequence[float] | None = None
) -> NDArray:
    """Scale an image of any dtype to what a screen shows.

    Args:
        image: Array `(height, width)` or `(height, width, channels)`. Grey is
            repeated to RGB; of more than three channels the first three are
            shown.
        value_range: `(black, white)`. If `None`, uint8 is taken as it is and
            anything else from its smallest to its largest finite value.

    Returns:
        uint8 `(height, width, 3)`; what is not a number is black.

    Raises:
        ValueError: The image has another rank or no pixels.

    Example:

    >>> image = np.array([[0.0, 0.5]])
    >>> shown = keras_patching.visualization.to_uint8(image, value_range=(0, 1))
    >>> shown[0, 1]
    array([128, 128, 128], dtype=uint8)
    """
    image = np.asarray(image)
    if image.ndim not in (2, 3) or image.size == 0:
        raise ValueError(
            "An image must be (height, width) or (height, width, channels). "
            f"Received: shape={image.shape}"
        )
    if image.ndim == 2:
        image = image[..., None]
    image = image[..., :3] if image.shape[2] >= 3 else image[..., :1]
    if image.dtype != np.uint8 or value_range is not None:
        image = _scaled(image, value_range)
    return np.broadcast_to(image, (*image.shape[:2], 3)).copy()


def _scaled(image, value_range):
    image = image.astype("float64")
    finite = np.isfinite(image)
    if value_range is None:
        values = image[finite]
        value_range = (values.min(), values.max()) if values.size else (0, 1)
    black, white = value_range
    span = white - black or 1
    scaled = np.where(finite, image - black, 0) * (255 / span)
    return np.clip(np.rint(scaled), 0, 255).astype("uint8")


def overlay_mask(
    image: NDArray,
    mask: NDArray,
    alpha: float = 0.5,
    colors: Sequence[Color] | None = None,
) -> NDArray:
    """Lay a mask in colours over an image, with a line along its edges.

    Args:
        image: Array `(height, width[, channels])`, as for `to_uint8`.
        mask: Integers `(height, width)`; class 0 stays transparent.
        alpha: Opacity of the colours, 0 to 1; the line is opaque.
        colors: RGB of class 1, 2 and so on, repeated when they run out. By
            default those of `palette`, of which colour-blind people can tell
            the first seven apart.

    Returns:
        uint8 `(height, width, 3)`.

    Raises:
        ValueError: Mask and image differ in size, or the mask is not integer.

    Example:

    >>> image = np.zeros((48, 64, 3), "uint8")
    >>> mask = np.zeros((48, 64), "uint8")
    >>> mask[10:20, 10:20] = 1
    >>> picture = keras_patching.visualization.overlay_mask(image, mask)
    >>> picture[10, 10], picture[0, 0]
    (array([ 86, 180, 233], dtype=uint8), array([0, 0, 0], dtype=uint8))
    """
    picture = to_uint8(image).astype("float32")
    mask = checked_mask(mask, picture)
    if colors is None:
        colors = palette(min(max(1, int(mask.max())), 255))
    colors = np.asarray(colors, "float32")
    color = colors[(mask.astype("int64") - 1) % len(colors)]
    opacity = np.where(edges(mask), 1, alpha) * (mask != 0)
    picture += opacity[..., None].astype("float32") * (color - picture)
    return np.rint(picture).astype("uint8")


def checked_mask(mask, picture):
    """Give a mask `(height, width)` of the size of its picture, or refuse."""
    mask = np.asarray(mask)
    if mask.ndim == 3 and mask.shape[2] == 1:
        mask = mask[..., 0]
    if mask.shape != picture.shape[:2] or mask.dtype.kind not in "uib":
        raise ValueError(
            "A mask must hold integers (height, width) of the image's size "
            f"{picture.shape[:2]}. Received: shape={mask.shape}, "
            f"dtype={mask.dtype}"
        )
    return mask


def edges(mask):
    """True in a pixel whose neighbour above, below, left or right differs."""
    down = mask[1:] != mask[:-1]
    right = mask[:, 1:] != mask[:, :-1]
    edges = np.zeros(mask.shape, bool)
    edges[1:] |= down
    edges[:-1] |= down
    edges[:, 1:] |= right
    edges[:, :-1] |= right
    return edges


def overlay_points(
    image: NDArray,
    points: ArrayLike,
    color: Color = COLORS[1],
    radius: int | None = None,
) -> NDArray:
    """Mark points on an image with rings.

    Args:
        image: Array `(height, width[, channels])`, as for `to_uint8`.
        points: Array `(n, 2)` of `(y, x)` in pixels, where the center of pixel
            `i` is at `i + 0.5`.
        color: RGB of the rings.
        radius: Their radius in pixels; by default what suits the image.

    Returns:
        uint8 `(height, width, 3)`.

    Raises:
        ValueError: The points are of another shape.

    Example:

    >>> image = np.zeros((48, 64, 3), "uint8")
    >>> keras_patching.visualization.overlay_points(image, [[10, 20]]).shape
    (48, 64, 3)
    """
    picture = to_uint8(image)
    points = as_points(points, "points")
    if radius is None:
        radius = max(3, min(picture.shape[:2]) // 130)
    width = max(2, radius // 5)
    canvas = Image.fromarray(picture)
    draw = ImageDraw.Draw(canvas)
    # Pillow draws around centers of pixels, which it counts from 0.
    for y, x in (points - 0.5).tolist():
        # A dark rim shows on bright images, where colours do not.
        draw.circle((x, y), radius + 1, outline=INK, width=width + 1)
        draw.circle((x, y), radius, outline=tuple(color), width=width)
    return np.asarray(canvas)


def show_heatmap(heatmap: NDArray, highest: float | None = None) -> NDArray:
    """Draw a heatmap from black over red to white.

    Args:
        heatmap: Array `(height, width)` or `(height, width, 1)`, from 0.
        highest: Value that is white; by default the largest.

    Returns:
        uint8 `(height, width, 3)`.

    Example:

    >>> heatmap = np.array([[0.0, 0.01]])
    >>> keras_patching.visualization.show_heatmap(heatmap)[0, 1]
    """
    heatmap = np.asarray(heatmap, "float32").reshape(heatmap.shape[:2])
    if highest is None:
        highest = heatmap.max()
    highest = highest if highest > 0 else 1  # A map of zeros is black.
    share = 3 * np.clip(heatmap / highest, 0, 1)
    ramps = [np.clip(share - start, 0, 1) for start in range(3)]
    return np.rint(255 * np.stack(ramps, axis=-1)).astype("uint8")


def overlay_heatmap(
    image: NDArray, heatmap: NDArray, highest: float | None = None
) -> NDArray:
    """Lay a heatmap over an image, the higher the more opaque.

    Args:
        image: Array `(height, width[, channels])`, as for `to_uint8`.
        heatmap: Array `(height, width)` or `(height, width, 1)`, from 0.
        highest: Value that is most opaque; by default the largest.

    Returns:
        uint8 `(height, width, 3)`.

    Example:

    >>> image, heatmap = np.zeros((48, 64, 3), "uint8"), np.zeros((48, 64))
    >>> heatmap[10, 20] = 0.01
    >>> keras_patching.visualization.overlay_heatmap(image, heatmap).shape
    (48, 64, 3)
    """
    picture = to_uint8(image).astype("float32")
    glow = show_heatmap(heatmap, highest).astype("float32")
    opacity = 0.6 * glow.max(axis=-1, keepdims=True) / 255
    return np.rint(picture + opacity * (glow - picture)).astype("uint8")


def overlay_boxes(
    image: NDArray,
    boxes: ArrayLike,
    captions: Sequence[str] = (),
    color: Color | Sequence[Color] = COLORS[1],
    width: int | None = None,
) -> NDArray:
    """Draw boxes on an image.

    Args:
        image: Array `(height, width[, channels])`, as for `to_uint8`.
        boxes: Array `(n, 4)` of x1, y1, x2, y2 in pixels; pixel `i` reaches
            from `i` to `i + 1`. The first are drawn over the others.
        captions: Text per box, drawn above it; or none.
        color: RGB of the lines, of all or per box.
        width: Their width in pixels; by default what suits the image.

    Returns:
        uint8 `(height, width, 3)`.

    Raises:
        ValueError: The boxes are of another shape.

    Example:

    >>> image = np.zeros((48, 64, 3), "uint8")
    >>> picture = keras_patching.visualization.overlay_boxes(
    ...     image, [[12, 8, 40, 31]], ["0.97"]
    ... )
    >>> picture.shape
    (48, 64, 3)
    """
    boxes = as_boxes(boxes, "boxes")
    canvas = Image.fromarray(to_uint8(image))
    if width is None:
        width = max(2, min(canvas.size) // 300)
    corners = _drawn_corners(boxes, canvas.size, width)
    colors = np.broadcast_to(color, (len(boxes), 3)).tolist()
    draw = ImageDraw.Draw(canvas)
    for corner, each in zip(corners[::-1], colors[::-1], strict=True):
        _frame(draw, corner, tuple(each), width)
    size = tag_size(boxes, canvas.size)
    written = list(zip(corners, captions, colors, strict=bool(len(captions))))
    for corner, text, each in written[::-1]:
        draw_tag(draw, corner, text, tuple(each), size)
    return np.asarray(canvas)


def overlay_numbers(picture, centers, boxes):
    """Write the number of each object in its middle, where there is room.

    Args:
        picture: uint8 `(height, width, 3)`.
        centers: Array `(n, 2)` of `(y, x)` in pixels, of the objects 1, 2 and
            so on.
        boxes: Array `(n, 4)` of their boxes, xyxy in pixels.

    Returns:
        uint8 `(height, width, 3)`.
    """
    canvas = Image.fromarray(picture)
    draw = ImageDraw.Draw(canvas)
    size = max(11, min(canvas.size) // 70)
    widths, heights = (boxes[:, 2:] - boxes[:, :2]).T
    (fitting,) = np.nonzero((heights > size) & (widths > size))
    for place in fitting.tolist():
        text = str(place + 1)
        if text_width(text, size) < widths[place]:
            y, x = centers[place].tolist()
            draw_number(draw, (x, y), text, size)
    return np.asarray(canvas)


def _drawn_corners(boxes, size, width):
    """Give the outermost pixels of boxes, inside the picture, as lists."""
    corners = np.rint(boxes).astype(int) - (0, 0, 1, 1)
    corners = np.clip(corners, 0, np.tile(size, 2) - 1)
    # A box is never thinner than its lines, which Pillow refuses.
    corners[:, 2:] = np.maximum(corners[:, 2:], corners[:, :2] + width)
    return corners.tolist()


def _frame(draw, corners, color, width):
    x1, y1, x2, y2 = corners
    # A dark rim shows on bright images, where colours do not.
    draw.rectangle((x1 - 1, y1 - 1, x2 + 1, y2 + 1), outline=INK)
    draw.rectangle((x1, y1, x2, y2), outline=color, width=width)
