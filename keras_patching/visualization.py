"""Pictures for people: masks over images, panels side by side.

Made with numpy and the Pillow that imageio brings, so that they need no
optional package. Every function returns uint8 `(height, width, 3)`, ready for
`keras_patching.data.image_io.write_image`.
"""

import math

import numpy as np
from PIL import Image, ImageDraw, ImageFont

# Distinct to colour-blind eyes: Okabe and Ito, 2008, "Color universal design",
# https://jfly.uni-koeln.de/color/
COLORS = (
    (86, 180, 233),
    (230, 159, 0),
    (204, 121, 167),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (0, 158, 115),
)
MISSED, FALSE_ALARM = (230, 159, 0), (86, 180, 233)
_INK, _PAPER = (40, 40, 40), 255


def to_uint8(image, value_range=None):
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
        >>> to_uint8(np.array([[0.0, 0.5]]), value_range=(0, 1))[0, 1]
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


def overlay_mask(image, mask, alpha=0.5, colors=None):
    """Lay a mask in colours over an image, with a line along its edges.

    Args:
        image: Array `(height, width[, channels])`, as for `to_uint8`.
        mask: Integers `(height, width)`; class 0 stays transparent.
        alpha: Opacity of the colours, 0 to 1; the line is opaque.
        colors: RGB of class 1, 2 and so on, repeated when they run out. By
            default seven that colour-blind people can tell apart.

    Returns:
        uint8 `(height, width, 3)`.

    Raises:
        ValueError: Mask and image differ in size, or the mask is not integer.
    """
    picture = to_uint8(image).astype("float32")
    mask = _checked_mask(mask, picture)
    palette = np.asarray(COLORS if colors is None else colors, "float32")
    color = palette[(mask.astype("int64") - 1) % len(palette)]
    opacity = np.where(_edges(mask), 1, alpha) * (mask != 0)
    picture += opacity[..., None].astype("float32") * (color - picture)
    return np.rint(picture).astype("uint8")


def _checked_mask(mask, picture):
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


def _edges(mask):
    """True in a pixel whose neighbour above, below, left or right differs."""
    down = mask[1:] != mask[:-1]
    right = mask[:, 1:] != mask[:, :-1]
    edges = np.zeros(mask.shape, bool)
    edges[1:] |= down
    edges[:-1] |= down
    edges[:, 1:] |= right
    edges[:, :-1] |= right
    return edges


def overlay_points(image, points, color=COLORS[1], radius=None):
    """Mark points on an image with rings.

    Args:
        image: Array `(height, width[, channels])`, as for `to_uint8`.
        points: Array `(n, 2)` of `(y, x)` in pixels.
        color: RGB of the rings.
        radius: Their radius in pixels; by default what suits the image.

    Returns:
        uint8 `(height, width, 3)`.

    Raises:
        ValueError: The points are of another shape.
    """
    picture = to_uint8(image)
    points = _checked_points(points)
    radius = radius or max(3, min(picture.shape[:2]) // 130)
    width = max(2, radius // 5)
    canvas = Image.fromarray(picture)
    draw = ImageDraw.Draw(canvas)
    for y, x in points.tolist():
        # A dark rim shows on bright images, where colours do not.
        draw.circle((x, y), radius + 1, outline=_INK, width=width + 1)
        draw.circle((x, y), radius, outline=tuple(color), width=width)
    return np.asarray(canvas)


def _checked_points(points):
    points = np.asarray(points)
    if points.size == 0:  # also of an empty list, which has no second axis
        points = np.zeros((0, 2))
    if (
        points.ndim != 2
        or points.shape[1] != 2
        or points.dtype.kind not in "iuf"
    ):
        raise ValueError(
            "Points must be an array (n, 2) of (y, x) in pixels. "
            f"Received: shape={points.shape}, dtype={points.dtype}"
        )
    return points


def show_heatmap(heatmap, highest=None):
    """Draw a heatmap from black over red to white.

    Args:
        heatmap: Array `(height, width)` or `(height, width, 1)`, from 0.
        highest: Value that is white; by default the largest.

    Returns:
        uint8 `(height, width, 3)`.
    """
    heatmap = np.asarray(heatmap, "float32").reshape(heatmap.shape[:2])
    highest = highest or heatmap.max() or 1
    share = 3 * np.clip(heatmap / highest, 0, 1)
    ramps = [np.clip(share - start, 0, 1) for start in range(3)]
    return np.rint(255 * np.stack(ramps, axis=-1)).astype("uint8")


def overlay_heatmap(image, heatmap, highest=None):
    """Lay a heatmap over an image, the higher the more opaque.

    Args:
        image: Array `(height, width[, channels])`, as for `to_uint8`.
        heatmap: Array `(height, width)` or `(height, width, 1)`, from 0.
        highest: Value that is most opaque; by default the largest.

    Returns:
        uint8 `(height, width, 3)`.
    """
    picture = to_uint8(image).astype("float32")
    glow = show_heatmap(heatmap, highest).astype("float32")
    opacity = 0.6 * glow.max(axis=-1, keepdims=True) / 255
    return np.rint(picture + opacity * (glow - picture)).astype("uint8")


def counting_panels(image, heatmap, points, true_points=None, height=None):
    """Draw what a counting model found: places, and the heatmap.

    Args:
        image: Array `(height, width[, channels])`, as for `to_uint8`.
        heatmap: Array `(height, width)` or `(height, width, 1)`, objects per
            pixel.
        points: Found points `(n, 2)` of `(y, x)` in pixels.
        true_points: True points, drawn too if given.
        height: Height of each panel in pixels; by default the image's, but at
            most 1024.

    Returns:
        Dict from caption to uint8 `(height, width, 3)`, for `side_by_side`.

    Raises:
        ValueError: Points are of another shape.
    """
    height = height or min(len(image), 1024)
    # Points are drawn at the final size, since scaling would blur the rings.
    picture = _resized(to_uint8(image), height)
    zoom = height / len(image)
    panels = {}
    if true_points is not None:
        panels[f"Truth: {len(true_points)}"] = overlay_points(
            picture, _checked_points(true_points) * zoom, COLORS[0]
        )
    panels[f"Located: {len(points)}"] = overlay_points(
        picture, _checked_points(points) * zoom
    )
    panels[f"Count: {float(np.sum(heatmap)):.1f}"] = show_heatmap(heatmap)
    return panels


def counting_figure(image, heatmap, points, true_points, height=None):
    """Show an image with true points, with found ones, and the heatmap.

    Args:
        image, heatmap, points, true_points, height: As for `counting_panels`.

    Returns:
        uint8 `(height, width, 3)`.
    """
    return side_by_side(
        counting_panels(image, heatmap, points, true_points, height), height
    )


def overlay_boxes(image, boxes, captions=(), color=COLORS[1], width=None):
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
        >>> overlay_boxes(image, [[12, 8, 40, 31]], ["0.97"]).shape
        (480, 640, 3)
    """
    boxes = _checked_boxes(boxes)
    canvas = Image.fromarray(to_uint8(image))
    width = width or max(2, min(canvas.size) // 300)
    corners = _drawn_corners(boxes, canvas.size, width)
    colors = np.broadcast_to(color, (len(boxes), 3)).tolist()
    draw = ImageDraw.Draw(canvas)
    for corner, each in zip(corners[::-1], colors[::-1], strict=True):
        _frame(draw, corner, tuple(each), width)
    font = _tag_font(boxes, canvas.size)
    written = list(zip(corners, captions, colors, strict=bool(len(captions))))
    for corner, text, each in written[::-1]:
        _tag(draw, corner, text, tuple(each), font)
    return np.asarray(canvas)


def _checked_boxes(boxes):
    boxes = np.asarray(boxes)
    if boxes.size == 0:  # also of an empty list, which has no second axis
        boxes = np.zeros((0, 4))
    if boxes.ndim != 2 or boxes.shape[1] != 4 or boxes.dtype.kind not in "iuf":
        raise ValueError(
            "Boxes must be an array (n, 4) of x1, y1, x2, y2 in pixels. "
            f"Received: shape={boxes.shape}, dtype={boxes.dtype}"
        )
    return boxes


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
    draw.rectangle((x1 - 1, y1 - 1, x2 + 1, y2 + 1), outline=_INK)
    draw.rectangle((x1, y1, x2, y2), outline=color, width=width)


def _tag_font(boxes, size):
    """Give a font that suits the picture, smaller where boxes are small."""
    suiting = max(11, min(size) // 70)
    if len(boxes):
        median = float(np.median(boxes[:, 2] - boxes[:, 0]))
        suiting = min(suiting, round(median / 2.5))
    return ImageFont.load_default(max(8, suiting))


def _tag(draw, corners, text, color, font):
    """Write on a patch of colour above a box, or in it at the upper edge."""
    x1, y1, _, _ = corners
    _, top, right, bottom = draw.textbbox((0, 0), text, font)
    height = bottom - top + 4
    y = y1 - height if y1 >= height else y1
    x = max(0, min(x1, draw.im.size[0] - right - 4))
    draw.rectangle((x, y, x + right + 3, y + height), fill=color)
    draw.text((x + 2, y + 2 - top), text, _INK, font)


def class_colors(labels):
    """Give each label the colour of its class, as RGB `(n, 3)`."""
    labels = np.asarray(labels, int)
    return np.asarray(COLORS)[labels % len(COLORS)]


def detection_panels(image, found, truth=None, names=None, height=None):
    """Draw what a detector found, and what is true.

    Args:
        image: Array `(height, width[, channels])`, as for `to_uint8`.
        found: Dict of `boxes` `(n, 4)`, xyxy in pixels, `scores` `(n,)` and
            `labels` `(n,)`.
        truth: Dict of `boxes` and `labels`, drawn too if given.
        names: Names of the classes. Where there are several, boxes have the
            colour of their class, and captions its name; otherwise captions
            are scores only.
        height: Height of each panel in pixels; by default the image's, but at
            most 1024.

    Returns:
        Dict from caption to uint8 `(height, width, 3)`, for `side_by_side`.

    Raises:
        ValueError: Boxes are of another shape.
    """
    height = height or min(len(image), 1024)
    # Boxes are drawn at the final size, since scaling would blur the lines.
    picture = _resized(to_uint8(image), height)
    zoom = height / len(image)
    several = names is not None and len(names) > 1
    panels = {}
    if truth is not None:
        panels[f"Truth: {len(truth['boxes'])}"] = overlay_boxes(
            picture,
            _checked_boxes(truth["boxes"]) * zoom,
            color=class_colors(truth["labels"]) if several else COLORS[0],
        )
    panels[f"Found: {len(found['boxes'])}"] = overlay_boxes(
        picture,
        _checked_boxes(found["boxes"]) * zoom,
        box_captions(found, names if several else None),
        class_colors(found["labels"]) if several else COLORS[1],
    )
    return panels


def box_captions(found, names=None):
    """Give the score of each box, after the name of its class if given."""
    captions = [f"{score:.2f}" for score in found["scores"]]
    if names is None:
        return captions
    return [
        f"{names[label]} {caption}"
        for label, caption in zip(found["labels"], captions, strict=True)
    ]


def detection_figure(image, found, truth, names=None, height=None):
    """Show an image with its true boxes, and with those that were found.

    Args:
        image, found, truth, names, height: As for `detection_panels`.

    Returns:
        uint8 `(height, width, 3)`.
    """
    return side_by_side(
        detection_panels(image, found, truth, names, height), height
    )


def side_by_side(panels, height=None, columns=None):
    """Set pictures of equal height side by side, each below its caption.

    Args:
        panels: Dict from caption to array, as for `to_uint8`.
        height: Height of each picture in pixels; by default that of the
            lowest one.
        columns: Pictures per row; by default all in one row.

    Returns:
        uint8 `(height, width, 3)` on white.

    Raises:
        ValueError: There are no panels, or a number is below 1.
    """
    _check_layout(panels, height, columns)
    pictures = {caption: to_uint8(array) for caption, array in panels.items()}
    height = height or min(len(picture) for picture in pictures.values())
    font = _font(pictures, height)
    cells = [
        np.concatenate([_caption(caption, picture.shape[1], font), picture])
        for caption, picture in _at_height(pictures, height).items()
    ]
    columns = columns or len(cells)
    gutter = max(4, height // 50)
    rows = [
        _joined(cells[first : first + columns], gutter, axis=1)
        for first in range(0, len(cells), columns)
    ]
    return _joined(rows, gutter, axis=0)


def segmentation_figure(image, truth, prediction, height=None, columns=None):
    """Show an image, its true mask, the predicted one, and where they differ.

    Args:
        image: Array `(height, width[, channels])`, as for `to_uint8`.
        truth: Integers `(height, width)`.
        prediction: Integers `(height, width)`.
        height: Height of each panel in pixels; by default the image's, but at
            most 512.
        columns: Panels per row; by default all four in one row.

    Returns:
        uint8 `(height, width, 3)`.

    Raises:
        ValueError: The three differ in size.

    Example:
        >>> figure = segmentation_figure(image, truth, prediction)
        >>> image_io.write_image("field.png", figure)
    """
    picture = to_uint8(image)
    truth = _checked_mask(truth, picture)
    prediction = _checked_mask(prediction, picture)
    height = height or min(len(picture), 512)
    # Masks are drawn at the final size, since scaling would blur their edges.
    picture = _resized(picture, height)
    truth = _nearest(truth, picture.shape)
    prediction = _nearest(prediction, picture.shape)
    panels = {
        "Input": picture,
        "Truth": overlay_mask(picture, truth),
        "Prediction": overlay_mask(picture, prediction),
        "Missed (orange), false alarm (blue)": _errors(
            picture, truth, prediction
        ),
    }
    return side_by_side(panels, height, columns)


def _errors(picture, truth, prediction):
    """Differences over a pale grey picture; a wrong class counts as missed."""
    grey = 120 + 0.5 * picture.mean(axis=-1)
    wrong = np.where(truth != 0, 1, 2) * (truth != prediction)
    return overlay_mask(
        np.minimum(grey, 255).astype("uint8"),
        wrong,
        alpha=0.9,
        colors=(MISSED, FALSE_ALARM),
    )


def _check_layout(panels, height, columns):
    if not panels:
        raise ValueError("There must be at least one panel. Received: {}")
    for name, number in (("height", height), ("columns", columns)):
        if number is not None and number < 1:
            raise ValueError(
                f"{name} must be at least 1. Received: {name}={number}"
            )


def _at_height(pictures, height):
    return {
        caption: _resized(picture, height)
        for caption, picture in pictures.items()
    }


def _resized(picture, height):
    if len(picture) == height:
        return picture
    width = max(1, round(picture.shape[1] * height / len(picture)))
    resample = Image.Resampling.LANCZOS
    return np.asarray(
        Image.fromarray(picture).resize((width, height), resample)
    )


def _nearest(mask, shape):
    rows, columns = (
        ((np.arange(new) + 0.5) * old / new).astype(int)
        for new, old in zip(shape, mask.shape, strict=False)
    )
    return mask[rows[:, None], columns]


def _font(pictures, height):
    """The largest font, up to a size that suits the height, that fits all."""
    size = min(max(12, height // 20), 40)
    fitting = [size]
    for caption, picture in pictures.items():
        width = picture.shape[1] * height / len(picture)
        length = ImageFont.load_default(size).getlength(caption)
        fitting.append(math.floor(size * 0.96 * width / max(length, 1)))
    return ImageFont.load_default(max(8, min(fitting)))


def _caption(text, width, font):
    height = math.ceil(font.size * 1.7)
    strip = Image.new("RGB", (width, height), (_PAPER,) * 3)
    ImageDraw.Draw(strip).text(
        (width / 2, height / 2), text, _INK, font, anchor="mm"
    )
    return np.asarray(strip)


def _joined(blocks, gutter, axis):
    """Join on white along one axis, padding the other to the longest."""
    longest = max(block.shape[1 - axis] for block in blocks)
    padded = []
    for block in blocks:
        widths = [(0, 0)] * 3
        widths[1 - axis] = (0, longest - block.shape[1 - axis])
        widths[axis] = (gutter if padded else 0, 0)
        padded.append(np.pad(block, widths, constant_values=_PAPER))
    return np.concatenate(padded, axis)
