"""What is written of the prediction of a counting model."""

import numpy as np

from keras_patching.inference.pages.counting import CountingContents
from keras_patching.inference.reports.options import (
    FORMATS,
    check_choice,
    suffixes_of,
)
from keras_patching.prediction.resized_results import (
    ResampledTarget,
    moved_objects,
)
from keras_patching.visualization import (
    COLORS,
    legend,
    overlay_points,
    stacked,
)

_MIN_SCORE = 0.3


class Report:
    """Heatmaps, counts, and located objects in overlays and a table.

    Args:
        model: A `HeatmapObjectCountingModel`.
        transform: `"heatmap"` writes only heatmaps and counts; `None` writes
            all.
        format: Of heatmaps: one of `FORMATS`; `None` is `"tif"`.

    Raises:
        ValueError: If an option is none of these.
    """

    OPTIONS = "transform", "format"

    def __init__(self, model, transform=None, format=None):
        check_choice(transform, "transform", (None, "heatmap"))
        self._model = model
        self._is_located = transform is None
        self.transform = model._image_transform("heatmap")
        suffixes = suffixes_of(format, (".tif",), FORMATS)
        self.outputs = {"heatmaps": suffixes}
        self.tables = {}
        self.documents = {}
        self.features = {}
        if self._is_located:
            self.outputs["overlays"] = (".png",)
            # In the long form that the CSV loader reads as labels.
            self.tables["points.csv"] = "image", "x", "y", "score"
            self.features["points.geojson"] = "points.csv", _points_of
        self.page_contents = CountingContents(model, self._is_located)

    def begin(self, scale, files):
        """Begin an image; see `reports`."""
        file = files.open("heatmaps", scale.file_size, np.dtype("float32"))
        if not scale.is_same:
            file = ResampledTarget(file, scale, self.transform.method)
        if self._is_located:
            found = self._model._count_bands(_MIN_SCORE, None)
            return _Located(self._model, file, found, scale)
        return _Counted(self._model, file)


class _Heatmap:
    """The heatmap of one image, on its way into a file."""

    def __init__(self, model, file):
        self._model, self._file = model, file
        self._rows = 0

    def add(self, index, band):
        self._file.write(self._rows, band[..., 0])
        self._rows += len(band)


class _Counted(_Heatmap):
    """And how many objects it has."""

    def __init__(self, model, file):
        super().__init__(model, file)
        self._count = 0.0

    def add(self, index, band):
        self._count += float(self._model.decode_predictions(band[None])[0])
        super().add(index, band)

    def finish(self, picture):
        return None, {"count": round(self._count, 2)}, {}


class _Located(_Heatmap):
    """And where they are."""

    def __init__(self, model, file, found, scale):
        super().__init__(model, file)
        self._found, self._scale = found, scale

    def add(self, index, band):
        self._found.add(index, band)
        super().add(index, band)

    def finish(self, picture):
        found = moved_objects(self._found.finish(), self._scale)
        count, points, scores = (
            found[key] for key in ("count", "points", "scores")
        )
        rows = [
            {"x": float(x), "y": float(y), "score": round(float(score), 4)}
            for (y, x), score in zip(points, scores, strict=True)
        ]
        columns = {"count": round(count, 2), "located": len(points)}
        overlay = self._draw(picture, points, count)
        return overlay, columns, {"points.csv": rows}

    def _draw(self, picture, points, count):
        """Draw a ring around each object, and below how many there are."""
        sigma = self._scale.to_file.length(self._model.density_map_sigma)
        radius = round(2 * sigma / picture.step)
        overlay = overlay_points(
            picture.pixels, points / picture.step, COLORS[1], max(3, radius)
        )
        entries = [
            (COLORS[1], f"located: {len(points)}"),
            (None, f"count: {count:.1f}"),
        ]
        return stacked(overlay, legend(entries, overlay.shape[1]))


def _points_of(rows):
    return {"points": [(row["y"], row["x"]) for row in rows]}
