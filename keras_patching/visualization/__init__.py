"""Pictures for people: labels over images, panels side by side.

Every function returns uint8 `(height, width, 3)`, ready for
`keras_patching.data.write_image`.
"""

from keras_patching.visualization.figures import (
    FALSE_ALARM,
    MISSED,
    WRONG_CLASS,
    box_captions,
    box_legend,
    class_colors,
    class_legend,
    counting_figure,
    counting_panels,
    detection_figure,
    detection_panels,
    overlay_detections,
    segmentation_figure,
    side_by_side,
)
from keras_patching.visualization.legends import (
    heatmap_bar,
    legend,
    stacked,
)
from keras_patching.visualization.overlays import (
    COLORS,
    overlay_boxes,
    overlay_heatmap,
    overlay_mask,
    overlay_points,
    palette,
    show_heatmap,
    to_uint8,
)

__all__ = [
    "COLORS",
    "FALSE_ALARM",
    "MISSED",
    "WRONG_CLASS",
    "box_captions",
    "box_legend",
    "class_colors",
    "class_legend",
    "counting_figure",
    "counting_panels",
    "detection_figure",
    "detection_panels",
    "heatmap_bar",
    "legend",
    "overlay_boxes",
    "overlay_detections",
    "overlay_heatmap",
    "overlay_mask",
    "overlay_points",
    "palette",
    "segmentation_figure",
    "show_heatmap",
    "side_by_side",
    "stacked",
    "to_uint8",
]
