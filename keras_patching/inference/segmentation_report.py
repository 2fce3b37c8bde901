"""What is written of the prediction of a segmentation model."""

import numpy as np

from keras_patching.visualization import overlay_mask

OPTIONS = ()
OUTPUTS = {"masks": ".png", "overlays": ".png"}
TABLES = {}
DOCUMENTS = {}


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
        Dict from each key of `OUTPUTS` to its array: class ids `(height,
        width)` and a uint8 picture `(height, width, 3)`; a dict from column
        to number: pixels, and fraction of them, per class; and no tables.
    """
    pixels = np.bincount(mask.ravel(), minlength=model.num_classes)
    arrays = {"masks": mask, "overlays": overlay_mask(image, mask)}
    columns = {
        **{f"pixels_{index}": int(n) for index, n in enumerate(pixels)},
        **{
            f"fraction_{index}": round(float(n / mask.size), 8)
            for index, n in enumerate(pixels)
        },
    }
    return arrays, columns, {}
