"""Pictures for people: labels over images, panels side by side.

Made with numpy and the Pillow that imageio brings, so that they need no
optional package. Every function returns uint8 `(height, width, 3)`, ready for
`keras_patching.data.write_image`.
"""

import math

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from keras_patching._checks import as_boxes, as_points
from keras_patching.visualization.legends import (
    PAPER,
    heatmap_bar,
    joined,
    legend,
    stacked,
)
from keras_patching.visualization.overlays import (
    COLORS,
    INK,
    checked_mask,
    overlay_boxes,
    overlay_mask,
    overlay_points,
    palette,
    show_heatmap,
    to_uint8,
)

# Darker than the colours of classes, and told apart by colour-blind eyes.
MISSED, FALSE_ALARM, WRONG_CLASS = (178, 24, 43), (40, 20, 160), (20, 20, 20)


def counting_panels(
    image, heatmap, points, true_points=None, height=None, highest=None
):
    """Draw what a counting model found: places, and the heatmap.

    Args:
        image: Array `(height, width[, channels])`, as for `to_uint8`.
        heatmap: Array `(height, width)` or `(height, width, 1)`, objects per
            pixel.
        points: Found points `(n, 2)` of `(y, x)` in pixels.
        true_points: True points, drawn too if given.
        height: Height of each panel in pixels; by default the image's, but at
            most 1024.
        highest: Value of the heatmap that is white; by default its largest.
            Give all pictures that are compared the same one, such as
            `model.peak_density`.

    Returns:
        Dict from caption to uint8 `(height, width, 3)`, for `side_by_side`.

    Raises:
        ValueError: Points are of another shape.
    """
    height = _panel_height(image, height, 1024)
    # Points are drawn at the final size, since scaling would blur the rings.
    picture = _resized(to_uint8(image), height)
    zoom = height / len(image)
    panels = {}
    if true_points is not None:
        panels[f"Truth: {len(true_points)}"] = overlay_points(
            picture, as_points(true_points, "true_points") * zoom, COLORS[0]
        )
    panels[f"Located: {len(points)}"] = overlay_points(
        picture, as_points(points, "points") * zoom
    )
    panels[f"Count: {float(np.sum(heatmap)):.1f}"] = show_heatmap(
        heatmap, highest
    )
    return panels


def counting_figure(
    image, heatmap, points, true_points, height=None, highest=None
):
    """Show an image with true points, with found ones, and the heatmap.

    The scale of the heatmap stands above.

    Args:
        image, heatmap, points, true_points, height, highest: As for
            `counting_panels`.

    Returns:
        uint8 `(height, width, 3)`.
    """
    panels = counting_panels(
        image, heatmap, points, true_points, height, highest
    )
    figure = side_by_side(panels, height)
    white = float(np.max(heatmap)) if highest is None else highest
    return stacked(heatmap_bar(white, figure.shape[1]), figure)


def class_colors(labels):
    """Give each label the colour of its class, as RGB `(n, 3)`."""
    labels = np.asarray(labels, int)
    return np.asarray(palette(labels.max(initial=0) + 1))[labels]


def class_legend(classes, class_names=None):
    """Say which colours `overlay_mask` gives to classes of masks.

    Args:
        classes: Class ids, such as the values of a mask. Class 0, which stays
            transparent, is left out.
        class_names: Names of all classes, that of class 0 first; `None`
            numbers them.

    Returns:
        List of pairs of RGB and text, for `legend`.

    Example:
        >>> class_legend([0, 2, 2], ("soil", "maize", "weed"))
        [((230, 159, 0), 'weed')]
    """
    present = sorted({int(each) for each in np.unique(classes)} - {0})
    colors = palette(max(present, default=0))
    return [
        (colors[each - 1], _class_name(each, class_names)) for each in present
    ]


def _class_name(label, class_names):
    if class_names is None or label >= len(class_names):
        return f"class {label}"
    return str(class_names[label])


def detection_panels(image, found, truth=None, class_names=None, height=None):
    """Draw what a detector found, and what is true.

    Args:
        image: Array `(height, width[, channels])`, as for `to_uint8`.
        found: Dict of `boxes` `(n, 4)`, xyxy in pixels, `scores` `(n,)` and
            `labels` `(n,)`.
        truth: Dict of `boxes` and `labels`, drawn too if given.
        class_names: Names of the classes. Where there are several, boxes
            have the colour of their class, and captions its name; otherwise
            captions are scores only.
        height: Height of each panel in pixels; by default the image's, but at
            most 1024.

    Returns:
        Dict from caption to uint8 `(height, width, 3)`, for `side_by_side`.

    Raises:
        ValueError: Boxes are of another shape.
    """
    height = _panel_height(image, height, 1024)
    # Boxes are drawn at the final size, since scaling would blur the lines.
    picture = _resized(to_uint8(image), height)
    zoom = height / len(image)
    several = class_names is not None and len(class_names) > 1
    panels = {}
    if truth is not None:
        panels[f"Truth: {len(truth['boxes'])}"] = overlay_boxes(
            picture,
            as_boxes(truth["boxes"], "boxes of truth") * zoom,
            color=class_colors(truth["labels"]) if several else COLORS[0],
        )
    boxes = as_boxes(found["boxes"], "boxes of found") * zoom
    panels[f"Found: {len(boxes)}"] = overlay_detections(
        picture, {**found, "boxes": boxes}, class_names
    )
    return panels


def overlay_detections(image, found, class_names=None):
    """Draw the boxes that a detector found on an image, with their scores.

    Args:
        image, found, class_names: As for `detection_panels`.

    Returns:
        uint8 `(height, width, 3)`.

    Raises:
        ValueError: Boxes are of another shape.
    """
    if class_names is None or len(class_names) < 2:
        return overlay_boxes(image, found["boxes"], box_captions(found))
    return overlay_boxes(
        image,
        found["boxes"],
        box_captions(found, class_names),
        class_colors(found["labels"]),
    )


def box_captions(found, class_names=None):
    """Give the score of each box, after the name of its class if given."""
    captions = [f"{score:.2f}" for score in found["scores"]]
    if class_names is None:
        return captions
    return [
        f"{class_names[label]} {caption}"
        for label, caption in zip(found["labels"], captions, strict=True)
    ]


def detection_figure(image, found, truth, class_names=None, height=None):
    """Show an image with its true boxes, and with those that were found.

    Args:
        image, found, truth, class_names, height: As for `detection_panels`.

    Returns:
        uint8 `(height, width, 3)`; where there are several classes, their
        colours are explained above.
    """
    panels = detection_panels(image, found, truth, class_names, height)
    figure = side_by_side(panels, height)
    return stacked(legend(box_legend(class_names), figure.shape[1]), figure)


def box_legend(class_names):
    """Say which colours boxes of classes have, if there are several.

    Args:
        class_names: Names of the classes, or `None`.

    Returns:
        List of pairs of RGB and text, for `legend`.
    """
    if class_names is None or len(class_names) < 2:
        return []
    return list(zip(palette(len(class_names)), class_names, strict=True))


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
    if height is None:
        height = min(len(picture) for picture in pictures.values())
    font = _font(pictures, height)
    cells = [
        np.concatenate([_caption(caption, picture.shape[1], font), picture])
        for caption, picture in _at_height(pictures, height).items()
    ]
    columns = len(cells) if columns is None else columns
    gutter = max(4, height // 50)
    rows = [
        joined(cells[first : first + columns], axis=1, gutter=gutter)
        for first in range(0, len(cells), columns)
    ]
    return joined(rows, axis=0, gutter=gutter)


def segmentation_figure(
    image, truth, prediction, height=None, columns=None, class_names=None
):
    """Show an image, its true mask, the predicted one, and where they differ.

    What the colours stand for is written above.

    Args:
        image: Array `(height, width[, channels])`, as for `to_uint8`.
        truth: Integers `(height, width)`.
        prediction: Integers `(height, width)`.
        height: Height of each panel in pixels; by default the image's, but at
            most 512.
        columns: Panels per row; by default all four in one row.
        class_names: Names of all classes, that of class 0 first; `None`
            numbers them.

    Returns:
        uint8 `(height, width, 3)`.

    Raises:
        ValueError: The three differ in size.

    Example:
        >>> figure = segmentation_figure(image, truth, prediction)
        >>> image_io.write_image("field.png", figure)
    """
    picture = to_uint8(image)
    truth = checked_mask(truth, picture)
    prediction = checked_mask(prediction, picture)
    height = _panel_height(picture, height, 512)
    # Masks are drawn at the final size, since scaling would blur their edges.
    picture = _resized(picture, height)
    truth = _nearest(truth, picture.shape)
    prediction = _nearest(prediction, picture.shape)
    panels = {
        "Input": picture,
        "Truth": overlay_mask(picture, truth),
        "Prediction": overlay_mask(picture, prediction),
        "Errors": _errors(picture, truth, prediction),
    }
    figure = side_by_side(panels, height, columns)
    classes = np.union1d(truth, prediction)
    entries = class_legend(classes, class_names)
    entries += [(MISSED, "missed"), (FALSE_ALARM, "false alarm")]
    if len(set(classes.tolist()) - {0}) > 1:
        entries.append((WRONG_CLASS, "wrong class"))
    return stacked(legend(entries, figure.shape[1]), figure)


def _errors(picture, truth, prediction):
    """Draw the differences of two masks over a pale grey picture."""
    grey = 120 + 0.5 * picture.mean(axis=-1)
    kind = np.select([prediction == 0, truth == 0], [1, 2], 3)
    return overlay_mask(
        np.minimum(grey, 255).astype("uint8"),
        kind * (truth != prediction),
        alpha=0.9,
        colors=(MISSED, FALSE_ALARM, WRONG_CLASS),
    )


def _panel_height(image, height, most):
    if height is None:
        return min(len(image), most)
    _check_positive(height, "height")
    return height


def _check_layout(panels, height, columns):
    if not panels:
        raise ValueError("There must be at least one panel. Received: {}")
    for name, number in (("height", height), ("columns", columns)):
        if number is not None:
            _check_positive(number, name)


def _check_positive(number, name):
    if number < 1:
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
    strip = Image.new("RGB", (width, height), PAPER)
    ImageDraw.Draw(strip).text(
        (width / 2, height / 2), text, INK, font, anchor="mm"
    )
    return np.asarray(strip)
