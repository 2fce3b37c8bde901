"""Pictures for people: labels over images, panels side by side, legends.

Pictures are uint8 `(height, width, 3)`, ready for
`keras_patching.data.write_image`. A new figure goes into `figures`, a new kind
of label into `overlays`; both are made with numpy and the Pillow that imageio
brings, so that they need no optional package. Plots of numbers, `plot_*`, are
figures of matplotlib: `pip install "keras-patching[plot]"`. `pages` are HTML.
"""

from keras_patching.visualization.colors import (
    COLORS,
    FALSE_ALARM,
    MISSED,
    WRONG_CLASS,
    class_colors,
    palette,
)
from keras_patching.visualization.figures import (
    box_captions,
    counting_figure,
    counting_panels,
    detection_figure,
    detection_panels,
    overlay_detections,
    segmentation_figure,
)
from keras_patching.visualization.layout import side_by_side, stacked
from keras_patching.visualization.legends import (
    box_legend,
    class_legend,
    heatmap_bar,
    legend,
)
from keras_patching.visualization.overlays import (
    overlay_boxes,
    overlay_heatmap,
    overlay_mask,
    overlay_points,
    show_heatmap,
    to_uint8,
)
from keras_patching.visualization.plots.confusion import plot_confusion_matrix
from keras_patching.visualization.plots.counts import plot_counts
from keras_patching.visualization.plots.coverage import plot_coverage
from keras_patching.visualization.plots.history import plot_history
from keras_patching.visualization.plots.precision_recall import (
    plot_precision_recall,
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
    "plot_confusion_matrix",
    "plot_counts",
    "plot_coverage",
    "plot_history",
    "plot_precision_recall",
    "segmentation_figure",
    "show_heatmap",
    "side_by_side",
    "stacked",
    "to_uint8",
]
