"""What is written of the prediction of a segmentation model."""

import numpy as np

from keras_patching.inference.pages.objects import ObjectContents
from keras_patching.inference.pages.segmentation import SegmentationContents
from keras_patching.inference.pictures import Picture, step_of
from keras_patching.inference.reports.objects import COLUMNS, Objects
from keras_patching.inference.reports.options import (
    FORMATS,
    check_choice,
    suffixes_of,
)
from keras_patching.prediction.resized_results import ResampledResult
from keras_patching.visualization import (
    class_legend,
    legend,
    overlay_mask,
    stacked,
)
from keras_patching.visualization.colors import UNLABELLED, all_class_colors


class Report:
    """Masks or probabilities, overlays, and how much is of each class.

    Masks hold the values of the files that the model learned of, where these
    are not the classes, and columns bear the names of classes that have some.

    Args:
        model: A `SemanticSegmentationModel`.
        transform: `"classes"`, which `None` is too, writes masks of class ids,
            `"probabilities"` instead of them what the model predicts,
            `"instances"` numbers, measures and outlines of objects.
        format: Of these: `"png"` (of masks), or one of `FORMATS`.
            `None` writes masks as PNG, of large images as TIFF, and
            probabilities as TIFF.

    Raises:
        ValueError: If an option is none of these.
    """

    OPTIONS = "transform", "format"

    def __init__(self, model, transform=None, format=None):
        transform = "classes" if transform is None else transform
        kinds = "classes", "probabilities", "instances"
        check_choice(transform, "transform", kinds)
        self._model, self._kind = model, transform
        # Objects are made of the classes.
        chosen = None if transform == "probabilities" else "classes"
        self.transform = model._image_transform(chosen)
        self.tables = {}
        if transform == "classes":
            formats, default = ("png", *FORMATS), (".png", ".tif")
            if _values_of(model).dtype not in ("uint8", "uint16"):
                formats, default = formats[1:], (".tif",)  # PNG holds no other.
            files = {"masks": suffixes_of(format, default, formats)}
        else:
            suffixes = suffixes_of(format, (".tif",), FORMATS)
            files = {transform: suffixes}
        self.outputs = {**files, "overlays": (".png",)}
        self.documents = {}
        self.features = {}
        self.page_contents = SegmentationContents(model)
        if transform == "instances":
            self.outputs["polygons"] = (".geojson",)
            self.tables["objects.csv"] = COLUMNS
            self.page_contents = ObjectContents(model)

    def begin(self, scale, files):
        """Begin an image; see `reports`."""
        result = self._begin(scale.file_size, files)
        if scale.is_same:
            return result
        return ResampledResult(result, scale, self.transform.method)

    def _begin(self, size, files):
        if self._kind == "classes":
            return _Masks(self._model, size, files)
        if self._kind == "probabilities":
            return _Probabilities(self._model, size, files)
        classes = _Classes(self._model, size, files.unknown)
        return Objects(self._model, size, files, classes)


class _Masks:
    """The mask of one image."""

    def __init__(self, model, size, files):
        self._model = model
        self._values = _values_of(model)
        colors = _palette_of(model, self._values)
        known = self._values.tolist(), model.ignore_value
        self._file = files.open(
            "masks",
            size,
            self._values.dtype,
            colors,
            *known,
            names=model.class_names,
        )
        self._classes = _Classes(model, size, files.unknown)
        self._check = model._image_transform("classes").check

    def add(self, index, band):
        self._check(band)
        self._file.write(self._classes.rows, self._values[band])
        self._classes.add(band)

    def finish(self, picture):
        return self._classes.describe(picture)


def _values_of(model):
    """Give the value in files of each class, in the smallest dtype."""
    values = np.array(model._mask_classes.values)
    lowest, highest = int(values.min()), int(values.max())
    smallest = np.min_scalar_type(highest)
    if lowest < 0:
        smallest = np.promote_types(smallest, np.min_scalar_type(lowest))
    return values.astype(smallest)


def _palette_of(model, values):
    """Give the colours of the values 0, 1 and so on; others are grey."""
    colors = all_class_colors(model.num_classes, model.class_colors)
    shown = dict(zip(values.tolist(), colors, strict=True))
    count = min(int(values.max()), 255) + 1
    return [shown.get(value, UNLABELLED) for value in range(count)]


class _Probabilities:
    """What is predicted of one image."""

    def __init__(self, model, size, files):
        self._model = model
        known = model.predictor._outputs.spec
        dtype = np.dtype(known.dtype)
        shape = *size, known.shape[-1]
        self._file = files.open(
            "probabilities", shape, dtype, names=model.class_names
        )
        self._classes = _Classes(model, size, files.unknown)

    def add(self, index, band):
        (classes,) = self._model.decode_predictions(band[None])
        self._file.write(self._classes.rows, band)
        self._classes.add(classes)

    def finish(self, picture):
        return self._classes.describe(picture)


class _Classes:
    """How many pixels are of each class, and a picture of them.

    Attributes:
        size: `(height, width)` of the mask.
        rows: How many rows have come.
    """

    def __init__(self, model, size, unknown):
        self.size, self.rows = size, 0
        self._model, self._unknown = model, unknown
        self._counts = np.zeros(model.num_classes, "int64")
        self._shown = Picture(size, step_of(size))

    def add(self, band):
        """Take the next rows of the mask."""
        self._shown.add(band, self.rows)
        unknown = self._unknown(self.rows, len(band))
        self.rows += len(band)
        counted = band.ravel() if unknown is None else band[~unknown]
        self._counts += np.bincount(counted, minlength=self._model.num_classes)

    def describe(self, picture, draw=None):
        """Give the overlay, the columns and the tables of the image.

        Args:
            picture: `Picture` of it.
            draw: Function of the overlay, to draw more; or `None`.
        """
        model = self._model
        colors = all_class_colors(model.num_classes, model.class_colors)
        overlay = overlay_mask(
            picture.pixels, self._shown.pixels, colors=colors[1:]
        )
        if draw is not None:
            overlay = draw(overlay)
        present = self._counts.nonzero()[0]
        entries = class_legend(present, model.class_names, colors)
        strip = legend(entries, overlay.shape[1])
        total = max(self._counts.sum(), 1)
        names = model.class_names or range(model.num_classes)
        named = list(zip(names, self._counts, strict=True))
        columns = {
            **{f"pixels_{name}": int(n) for name, n in named},
            **{
                f"fraction_{name}": round(float(n / total), 8)
                for name, n in named
            },
        }
        return stacked(overlay, strip), columns, {}
