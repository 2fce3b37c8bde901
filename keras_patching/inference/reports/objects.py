"""What is written of the objects that a segmentation model finds."""

import json

import numpy as np

from keras_patching._whole_files import whole_file
from keras_patching.inference.reports.polygons import Polygons
from keras_patching.models.segmentation.numbered_objects import (
    NumberedMap,
    as_objects,
)
from keras_patching.models.segmentation.outlines import OutlineTracer
from keras_patching.prediction.sources import open_source
from keras_patching.visualization.overlays import overlay_numbers

_MEASURES = "area", "perimeter", "x", "y", "x1", "y1", "x2", "y2"
COLUMNS = (
    "image",
    "object",
    "label",
    *_MEASURES,
    "unit",
    *(f"physical_{name}" for name in _MEASURES),
)


class Objects:
    """The objects of one image.

    Args:
        model: A `SemanticSegmentationModel`.
        size: `(height, width)` of what is written.
        files: `ImageFiles`.
        classes: Takes bands of classes, and tells how many pixels are of each.
    """

    def __init__(self, model, size, files, classes):
        self._model, self._files, self._classes = model, files, classes
        self._dtype = np.min_scalar_type(model.num_classes)
        self._rows = files.open_rows(size, self._dtype)
        self._file = files.open("instances", size, np.dtype("uint32"))
        self._row = 0

    def add(self, index, band):
        """Take the next rows of the classes."""
        self._model._check_classes(band)
        self._rows.write(self._row, band.astype(self._dtype))
        self._row += len(band)
        self._classes.add(band)

    def finish(self, picture):
        """Give overlay, columns and tables; see `reports`."""
        pixel_size = self._files.pixel_size
        classes = open_source(self._rows.finish(), 0)
        try:
            numbered = NumberedMap(classes, self._model._background)
            found = as_objects(numbered.regions, pixel_size)
            rows = rows_of(found, self._names)
            self._write(numbered, rows)
        finally:
            classes.close()
        self._files.remove_rows()
        overlay, columns, _ = self._classes.describe(
            picture, lambda drawn: _with_numbers(drawn, found, picture.step)
        )
        columns = {**columns, **self._counts(found, pixel_size)}
        return overlay, columns, {"objects.csv": rows}

    @property
    def _names(self):
        names = self._model.class_names or range(self._model.num_classes)
        return list(map(str, names))

    def _counts(self, found, pixel_size):
        """Give how many objects are of each class, and their area."""
        count = self._model.num_classes
        numbers = np.bincount(found["labels"], minlength=count)
        pixels = np.bincount(found["labels"], found["areas"], count)
        objects = [
            (name, int(number), float(area))
            for i, (name, number, area) in enumerate(
                zip(self._names, numbers, pixels, strict=True)
            )
            if i not in self._model._background
        ]
        area, unit = None, None
        if pixel_size is not None:
            area = pixel_size.height * pixel_size.width
            unit = pixel_size.unit
        return {
            "count": int(numbers.sum()),
            **{f"count_{name}": number for name, number, _ in objects},
            "unit": unit,
            **{
                f"physical_area_{name}": area and pixels * area
                for name, _, pixels in objects
            },
        }

    def _write(self, numbered, rows):
        """Write the numbers of objects, and their outlines beside them."""
        width = self._classes.size[1]
        tracer = OutlineTracer(width, numbered.regions.boxes[:, 3])
        path = self._files.path_of("polygons")
        polygons = Polygons(
            self._files.source, self._names, self._model.class_colors
        )
        with (
            whole_file(path) as temporary,
            open(temporary, "w", encoding="utf-8") as stream,
        ):
            written = _FeatureFile(stream, polygons, rows)
            for y, band in numbered.bands():
                self._file.write(y, band)
                written.add(tracer.add(band))
            written.add(tracer.finish())
            written.finish()


class _FeatureFile:
    """A file of GeoJSON, written feature by feature."""

    def __init__(self, stream, polygons, rows):
        self._stream, self._polygons, self._rows = stream, polygons, rows
        text = json.dumps({**polygons.collection, "features": []})
        head, self._tail = text.rsplit("[]", 1)
        stream.write(f"{head}[")
        self._comma = ""

    def add(self, outlines):
        """Write pairs of the number of an object and its rings."""
        rows = [self._rows[number - 1] for number, _ in outlines]
        rings = [each for _, each in outlines]
        for feature in self._polygons.features(rings, rows):
            text = json.dumps(feature, ensure_ascii=False)
            self._stream.write(f"{self._comma}\n{text}")
            self._comma = ","

    def finish(self):
        """Write what comes behind the features."""
        self._stream.write(f"]{self._tail}\n")


def rows_of(found, names):
    """Give the rows of `objects.csv`, without the image.

    Args:
        found: As of `as_objects`.
        names: Name of each class.
    """
    pixels = _measures(found)
    rows = [
        {"object": i, "label": names[label], **measures}
        for i, (label, measures) in enumerate(
            zip(found["labels"].tolist(), pixels, strict=True), 1
        )
    ]
    physical = found["physical"]
    if physical is None:
        missing = dict.fromkeys(("unit", *COLUMNS[-len(_MEASURES) :]))
        return [{**row, **missing} for row in rows]
    return [
        {
            **row,
            "unit": physical["unit"],
            **{f"physical_{name}": value for name, value in measures.items()},
        }
        for row, measures in zip(rows, _measures(physical), strict=True)
    ]


def _measures(found):
    columns = (
        found["areas"],
        found["perimeters"],
        *found["centers"].T[::-1].round(6),
        *found["boxes"].T,
    )
    columns = [_without_noise(column) for column in columns]
    return [
        dict(zip(_MEASURES, values, strict=True))
        for values in zip(*columns, strict=True)
    ]


def _without_noise(column):
    """Give a list of numbers that are short: 2.3 for 23 times 0.1."""
    values = column.tolist()
    if column.dtype.kind != "f":
        return values
    return [float(f"{value:.12g}") for value in values]


def _with_numbers(drawn, found, step):
    boxes = found["boxes"] / step
    return overlay_numbers(drawn, found["centers"] / step, boxes)
