"""What is written of the prediction of a segmentation model."""

from typing import Any

import numpy as np

from keras_patching.visualization import (
    class_legend,
    legend,
    overlay_mask,
    palette,
    stacked,
)

OPTIONS = ()
OUTPUTS = {"masks": ".png", "overlays": ".png"}
TABLES: dict[str, Any] = {}
DOCUMENTS: dict[str, Any] = {}


def predict(model, image):
    """Predict one image.

    Args:
        model: A `SemanticSegmentationModel`.
        image: Array `(height, width, channels)`.

    Returns:
        Unsigned integers `(height, width)`, the class of each pixel.
    """
    return model.decode_predictions(model.predict(image[None], verbose=0))[0]


def describe(model, image, mask):
    """Give what is written of a prediction.

    Args:
        model: A `SemanticSegmentationModel`.
        image: Array `(height, width, channels)`.
        mask: What `predict` returned.

    Returns:
        Dict from each key of `OUTPUTS` to what `write_image` takes: class ids
        `(height, width)` with their colours, and a uint8 picture `(height,
        width, 3)` with its legend below; a dict from column to number: pixels,
        and fraction of them, per class; and no tables.
    """
    pixels = np.bincount(mask.ravel(), minlength=model.num_classes)
    overlay = overlay_mask(image, mask)
    entries = class_legend(pixels.nonzero()[0], model.class_names)
    arrays = {
        "masks": (mask, [(0, 0, 0), *palette(model.num_classes - 1)]),
        "overlays": (stacked(overlay, legend(entries, overlay.shape[1])),),
    }
    columns = {
        **{f"pixels_{index}": int(n) for index, n in enumerate(pixels)},
        **{
            f"fraction_{index}": round(float(n / mask.size), 8)
            for index, n in enumerate(pixels)
        },
    }
    return arrays, columns, {}
