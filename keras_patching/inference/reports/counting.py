"""What is written of the prediction of a counting model."""

from typing import Any

from keras_patching.visualization import (
    COLORS,
    legend,
    overlay_points,
    stacked,
)

OPTIONS = ()
OUTPUTS = {"heatmaps": ".tif", "overlays": ".png"}
# In the long form that the CSV loader reads as labels.
TABLES = {"points.csv": ("image", "x", "y", "score")}
DOCUMENTS: dict[str, Any] = {}


def predict(model, image):
    """Predict one image.

    Args:
        model: A `HeatmapObjectCountingModel`.
        image: Array `(height, width, channels)`.

    Returns:
        float32 `(height, width)`, objects per pixel; the number of objects;
        and `(points, scores)` as `model.locate` gives them.
    """
    heatmaps = model.predict(image[None], verbose=0)
    counts, places = model.decode_predictions(heatmaps), model.locate(heatmaps)
    return heatmaps[0, ..., 0], float(counts[0]), places[0]


def describe(model, image, prediction):
    """Give what is written of a prediction.

    Args:
        model: A `HeatmapObjectCountingModel`.
        image: Array `(height, width, channels)`.
        prediction: What `predict` returned.

    Returns:
        Dict from each key of `OUTPUTS` to what `write_image` takes: the
        heatmap, and a uint8 picture `(height, width, 3)` with a ring around
        each located object, and below it how many there are; a dict from
        column to number: the count, which is a sum of densities, and the
        number of located objects; and a dict from each key of `TABLES` to
        rows: pixels and score of these.
    """
    heatmap, count, (points, scores) = prediction
    radius = max(3, round(2 * model.density_map_sigma))
    overlay = overlay_points(image, points, COLORS[1], radius)
    entries = [
        (COLORS[1], f"located: {len(points)}"),
        (None, f"count: {count:.1f}"),
    ]
    strip = legend(entries, overlay.shape[1])
    arrays = {"heatmaps": (heatmap,), "overlays": (stacked(overlay, strip),)}
    rows = [
        {"x": float(x), "y": float(y), "score": round(float(score), 4)}
        for (y, x), score in zip(points, scores, strict=True)
    ]
    columns = {"count": round(count, 2), "located": len(points)}
    return arrays, columns, {"points.csv": rows}
