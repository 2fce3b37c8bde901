"""The figures: what a model of each task found, beside the truth.

A figure has panels side by side, and a legend or a scale above: `*_panels`
gives a dict from captions to pictures, `*_figure` sets them. That of a new task
goes here and is listed in `visualization/__init__.py`; `overlays` draws labels,
`layout` sets panels, `legends` explains colours.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_patching._checks import as_boxes, as_points
from keras_patching._types import Color, NDArray
from keras_patching.visualization.colors import (
    COLORS,
    FALSE_ALARM,
    MISSED,
    WRONG_CLASS,
    class_colors,
)
from keras_patching.visualization.layout import (
    panel_height,
    resized,
    side_by_side,
    stacked,
)
from keras_patching.visualization.legends import (
    box_legend,
    class_legend,
    heatmap_bar,
    legend,
)
from keras_patching.visualization.overlays import (
    checked_mask,
    overlay_boxes,
    overlay_mask,
    overlay_points,
    show_heatmap,
    to_uint8,
)


def counting_panels(
    image: NDArray,
    heatmap: NDArray,
    points: NDArray,
    true_points: NDArray | None = None,
    height: int | None = None,
    highest: float | None = None,
) -> dict[str, NDArray]:
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

    Example:

    >>> image, heatmap = np.zeros((48, 64, 3), "uint8"), np.zeros((48, 64))
    >>> panels = keras_patching.visualization.counting_panels(
    ...     image, heatmap, points=[[10, 20]]
    ... )
    >>> list(panels)
    ['Located: 1', 'Count: 0.0']
    """
    height = panel_height(image, height, 1024)
    # Points are drawn at the final size, since scaling would blur the rings.
    picture = resized(to_uint8(image), height)
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
    image: NDArray,
    heatmap: NDArray,
    points: NDArray,
    true_points: NDArray,
    height: int | None = None,
    highest: float | None = None,
) -> NDArray:
    """Show an image with true points, with found ones, and the heatmap.

    The scale of the heatmap stands above.

    Args:
        image, heatmap, points, true_points, height, highest: As for
            `counting_panels`.

    Returns:
        uint8 `(height, width, 3)`.

    Example:

    >>> image, heatmap = np.zeros((48, 64, 3), "uint8"), np.zeros((48, 64))
    >>> figure = keras_patching.visualization.counting_figure(
    ...     image, heatmap, points=[[10, 20]], true_points=[[12, 20], [30, 5]]
    ... )
    >>> keras_patching.data.write_image("counted.png", figure)
    """
    panels = counting_panels(
        image, heatmap, points, true_points, height, highest
    )
    figure = side_by_side(panels, height)
    white = float(np.max(heatmap)) if highest is None else highest
    return stacked(heatmap_bar(white, figure.shape[1]), figure)


def detection_panels(
    image: NDArray,
    found: Mapping[str, Any],
    truth: Mapping[str, Any] | None = None,
    class_names: Sequence[str] | None = None,
    height: int | None = None,
) -> dict[str, NDArray]:
    """Draw what a detector found, and what is true.

    Args:
        image: Array `(height, width[, channels])`, as for `to_uint8`.
        found: Dict of `boxes` `(n, 4)`, xyxy in pixels, `scores` `(n,)` and
            `labels` `(n,)`.
        truth: Dict of `boxes` and `labels`, drawn too if given.
        class_names: Names of the classes, whose colours boxes then have.
            Where there are several, captions say the name too, and not the
            score alone. `None` gives all that is true one colour, and all that
            was found another.
        height: Height of each panel in pixels; by default the image's, but at
            most 1024.

    Returns:
        Dict from caption to uint8 `(height, width, 3)`, for `side_by_side`.

    Raises:
        ValueError: Boxes are of another shape.

    Example:

    >>> image = np.zeros((48, 64, 3), "uint8")
    >>> found = {"boxes": [[11, 8, 41, 30]], "labels": [0], "scores": [0.9]}
    >>> panels = keras_patching.visualization.detection_panels(image, found)
    >>> list(panels)
    ['Found: 1']
    """
    height = panel_height(image, height, 1024)
    # Boxes are drawn at the final size, since scaling would blur the lines.
    picture = resized(to_uint8(image), height)
    zoom = height / len(image)
    panels = {}
    if truth is not None:
        panels[f"Truth: {len(truth['boxes'])}"] = overlay_boxes(
            picture,
            as_boxes(truth["boxes"], "boxes of truth") * zoom,
            color=_box_colors(truth, class_names, COLORS[0]),
        )
    boxes = as_boxes(found["boxes"], "boxes of found") * zoom
    panels[f"Found: {len(boxes)}"] = overlay_detections(
        picture, {**found, "boxes": boxes}, class_names
    )
    return panels


def overlay_detections(
    image: NDArray,
    found: Mapping[str, Any],
    class_names: Sequence[str] | None = None,
) -> NDArray:
    """Draw the boxes that a detector found on an image, with their scores.

    Args:
        image, found, class_names: As for `detection_panels`.

    Returns:
        uint8 `(height, width, 3)`.

    Raises:
        ValueError: Boxes are of another shape.

    Example:

    >>> image = np.zeros((48, 64, 3), "uint8")
    >>> found = {"boxes": [[11, 8, 41, 30]], "labels": [0], "scores": [0.9]}
    >>> keras_patching.visualization.overlay_detections(image, found).shape
    (48, 64, 3)
    """
    several = class_names is not None and len(class_names) > 1
    return overlay_boxes(
        image,
        found["boxes"],
        box_captions(found, class_names if several else None),
        _box_colors(found, class_names, COLORS[1]),
    )


def _box_colors(objects, class_names, color):
    return color if class_names is None else class_colors(objects["labels"])


def box_captions(
    found: Mapping[str, Any], class_names: Sequence[str] | None = None
) -> list[str]:
    """Give the score of each box, after the name of its class if given.

    Example:

    >>> found = {"scores": [0.97, 0.5], "labels": [1, 0]}
    >>> keras_patching.visualization.box_captions(found, ("maize", "weed"))
    ['weed 0.97', 'maize 0.50']
    """
    captions = [f"{score:.2f}" for score in found["scores"]]
    if class_names is None:
        return captions
    return [
        f"{class_names[label]} {caption}"
        for label, caption in zip(found["labels"], captions, strict=True)
    ]


def detection_figure(
    image: NDArray,
    found: Mapping[str, Any],
    truth: Mapping[str, Any],
    class_names: Sequence[str] | None = None,
    height: int | None = None,
) -> NDArray:
    """Show an image with its true boxes, and with those that were found.

    Args:
        image, found, truth, class_names, height: As for `detection_panels`.

    Returns:
        uint8 `(height, width, 3)`; the colours of classes that have names are
        explained above.

    Example:

    >>> image = np.zeros((48, 64, 3), "uint8")
    >>> truth = {"boxes": [[12, 8, 40, 31]], "labels": [0]}
    >>> found = {"boxes": [[11, 8, 41, 30]], "labels": [0], "scores": [0.9]}
    >>> figure = keras_patching.visualization.detection_figure(
    ...     image, found, truth
    ... )
    >>> keras_patching.data.write_image("found.png", figure)
    """
    panels = detection_panels(image, found, truth, class_names, height)
    figure = side_by_side(panels, height)
    return stacked(legend(box_legend(class_names), figure.shape[1]), figure)


def segmentation_figure(
    image: NDArray,
    truth: NDArray,
    prediction: NDArray,
    height: int | None = None,
    columns: int | None = None,
    class_names: Sequence[str] | None = None,
    class_colors: Sequence[Color] | None = None,
) -> NDArray:
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
        class_colors: RGB of all classes, in the same order; `None` takes
            those of `palette`.

    Returns:
        uint8 `(height, width, 3)`.

    Raises:
        ValueError: The three differ in size.

    Example:

    >>> image = keras_patching.data.read_image("field/images/field_0.jpg")
    >>> truth = keras_patching.data.read_mask("field/masks/field_0.png")
    >>> figure = keras_patching.visualization.segmentation_figure(
    ...     image, truth, np.zeros_like(truth)
    ... )
    >>> keras_patching.data.write_image("field.png", figure)
    """
    picture = to_uint8(image)
    truth = checked_mask(truth, picture)
    prediction = checked_mask(prediction, picture)
    height = panel_height(picture, height, 512)
    # Masks are drawn at the final size, since scaling would blur their edges.
    picture = resized(picture, height)
    truth = _nearest(truth, picture.shape)
    prediction = _nearest(prediction, picture.shape)
    colors = None if class_colors is None else class_colors[1:]
    panels = {
        "Input": picture,
        "Truth": overlay_mask(picture, truth, colors=colors),
        "Prediction": overlay_mask(picture, prediction, colors=colors),
        "Errors": _errors(picture, truth, prediction),
    }
    figure = side_by_side(panels, height, columns)
    classes = np.union1d(truth, prediction)
    entries = class_legend(classes, class_names, class_colors)
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


def _nearest(mask, shape):
    rows, columns = (
        ((np.arange(new) + 0.5) * old / new).astype(int)
        for new, old in zip(shape, mask.shape, strict=False)
    )
    return mask[rows[:, None], columns]
