"""What is written of how much predictions of an image differ."""

import numpy as np

from keras_patching.inference.reports.options import FORMATS, suffixes_of
from keras_patching.prediction.resized_results import ResampledResult


class Report:
    """Maps of doubt, and the mean of each over its pixels that have data.

    Args:
        model: A segmentation or counting model, with test-time augmentation or
            of an ensemble.
        transform: `"doubt"`.
        format: One of `FORMATS`; `None` is `"tif"`.

    Raises:
        ValueError: If the format is none of these, or the model predicts once.
    """

    OPTIONS = "transform", "format"
    page_contents = None

    def __init__(self, model, transform, format=None):
        self.transform = model._image_transform(transform)
        model._engines_for(self.transform)  # Or there is nothing to doubt.
        self.outputs = {"doubts": suffixes_of(format, (".tif",), FORMATS)}
        self.tables, self.documents = {}, {}
        self.features = {}

    def begin(self, scale, files):
        """Begin an image; see `reports`."""
        file = files.open("doubts", scale.file_size, np.dtype("float32"))
        result = _DoubtMap(file, files.unknown)
        if scale.is_same:
            return result
        return ResampledResult(result, scale, self.transform.method)


class _DoubtMap:
    """The doubt of one image, on its way into a file."""

    def __init__(self, file, unknown):
        self._file, self._unknown = file, unknown
        self._rows, self._sum, self._pixels = 0, 0.0, 0

    def add(self, index, band):
        band = band.astype("float32", copy=False)
        self._file.write(self._rows, band)
        unknown = self._unknown(self._rows, len(band))
        self._rows += len(band)
        known = band if unknown is None else band[~unknown]
        self._sum += float(known.sum(dtype="float64"))
        self._pixels += known.size

    def finish(self, picture):
        mean = self._sum / max(self._pixels, 1)
        return None, {"doubt": round(mean, 8)}, {}
