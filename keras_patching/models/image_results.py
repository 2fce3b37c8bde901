"""What takes the results of images, in memory or in files."""

import functools

import keras
import numpy as np

from keras_patching._printing import say
from keras_patching.data.images.resizing import ReadScale
from keras_patching.ops.patches import scaled_length
from keras_patching.prediction.array_target import ArrayTarget
from keras_patching.prediction.geotiff_form import (
    GeoTiffForm,
    describe_lost_place,
    geotiff_form,
)
from keras_patching.prediction.keep import check_fill, key_of, open_keep
from keras_patching.prediction.known_pixels import (
    KnownObjects,
    KnownRows,
    KnownTarget,
)
from keras_patching.prediction.ome_form import Meaning, ome_form
from keras_patching.prediction.resized_results import (
    MovedObjects,
    ResampledTarget,
)
from keras_patching.prediction.results import WrittenResult


class ImageResults:
    """Makes what takes the result of each image, in the form that it has.

    Args:
        model: `PatchedModel`.
        transform: `ImageTransform`.
        spec: What it makes of the outputs of the model, as of `spec_of`.
        outputs: `ImageOutputs`, or `None` for results in memory.
        keep, fill, verbose: As for `PatchedModel.predict_images`.
    """

    def __init__(self, model, transform, spec, outputs, keep, fill, verbose):
        self._model, self._transform = model, transform
        self._spec, self._outputs = spec, outputs
        self._keep, self._fill = keep, fill
        self._verbose = verbose
        self._knows_lost_place = False

    def make(self, number, source):
        """Make what takes the bands of an image.

        Args:
            number: Of the image.
            source: Its `ImageSource`.
        """
        scale = ReadScale.of(source)
        if self._transform.collect is not None:
            return self._collector(number, source, scale)
        scales = self._model.predictor._outputs.scales
        specs = keras.tree.flatten(self._spec)
        targets = [
            self._target(number, source, scale, each)
            for scale, each in zip(scales, specs, strict=True)
        ]
        check = self._transform.check
        return WrittenResult(targets, scales, self._spec, check)

    def _collector(self, number, source, scale):
        """Make what takes the bands of an image and gives no pixels."""
        transform = self._transform
        if self._outputs is None:
            result = transform.collect(source)
            if transform.collect_written is not None:
                return result
            if not scale.is_same:
                result = MovedObjects(result, scale)
            rows = known_rows(source)
            return result if rows is None else KnownObjects(result, rows)
        open_file = functools.partial(self._open_beside, number, source)
        result = transform.collect_written(source, open_file)
        self._outputs.note(result)
        return result

    def _open_beside(self, number, source, shape, dtype, beside=None):
        """Open the pixels of what is collected, or a file beside them."""
        keep = open_keep(self._keep, number, tuple(source.shape[:2]))
        details = [] if keep is None else [key_of(keep)]
        form = None
        if beside is None:
            path = self._outputs.path(number)
            form = ome_form(source, path, (1, 1), Meaning())
            if form is None:
                form = geotiff_form(source, path, dtype, (1, 1))
            self._tell_lost_place(source, path, form)
        return self._outputs.open(
            number, source, shape, dtype, details, form, beside
        )

    def _tell_lost_place(self, source, path, form):
        """Say once that results do not lie where their images do."""
        if isinstance(form, GeoTiffForm) or not self._verbose:
            return
        text = describe_lost_place(source, path)
        if text and not self._knows_lost_place:
            self._knows_lost_place = True
            say(text)

    def _target(self, number, source, scale, spec):
        """Open what an output of an image is written into."""
        shape = self._shape(tuple(source.shape[:2]), scale, spec)
        read = ReadScale.of(source)
        if scale is None or read.is_same:
            return self._open_target(number, source, shape, scale, spec)
        whole = self._shape(read.file_size, scale, spec)
        self._check_resized_fill()
        target = self._open_target(number, source, whole, scale, spec)
        back = ReadScale(whole[:2], shape[:2])
        return ResampledTarget(target, back, self._transform.method)

    def _check_resized_fill(self):
        """Refuse what would be other numbers in pixels of another size."""
        if self._transform.method == "sum" and self._fill != 0:
            raise ValueError(
                "Heatmaps of images that are resized keep their sum, so that "
                "what is left out can be 0 only. Received: "
                f"fill={self._fill}"
            )

    def _open_target(self, number, source, shape, scale, spec):
        dtype = np.dtype(keras.backend.standardize_dtype(spec.dtype))
        check_fill(self._fill, dtype)
        if self._outputs is None:
            return ArrayTarget(
                np.empty(shape, dtype), shape, dtype, source.name
            )
        keep = open_keep(self._keep, number, tuple(source.shape[:2]))
        details = [] if keep is None else [key_of(keep), repr(self._fill)]
        path = self._outputs.path(number)
        form = ome_form(source, path, scale, self._meaning())
        if form is None:
            form = geotiff_form(
                source,
                path,
                dtype,
                scale,
                self._transform.values,
                getattr(self._model, "ignore_value", None),
            )
        if scale is not None:
            self._tell_lost_place(source, path, form)
        target = self._outputs.open(number, source, shape, dtype, details, form)
        rows, missing = None, getattr(form, "missing", None)
        if missing is not None:
            rows = known_rows(source, scale=scale)
        if rows is None:
            return target
        return KnownTarget(target, rows, missing)

    def _meaning(self):
        """Tell what the numbers of a result are called."""
        names = tuple(getattr(self._model, "class_names", None) or ())
        if self._transform.values is None:
            return Meaning(channels=names)
        return Meaning(classes=tuple(enumerate(names)))

    def _shape(self, size, scale, spec):
        """Return the shape of an output of an image, or refuse it."""
        if scale is None:
            grid = self._model.predictor.patch_grid(size)
            return grid.rows, grid.cols, *spec.shape[1:]
        height, width = (scaled_length(length, scale) for length in size)
        return height, width, *spec.shape[3:]


def known_rows(source, size=None, scale=(1, 1)):
    """Open what tells which pixels have data, `None` where all have some.

    Args:
        source: `ImageSource`.
        size: `(height, width)` that it is read at; `None` is that of the file.
        scale: Of a result.
    """
    windows = source.open_known()
    return None if windows is None else KnownRows(windows, size, scale)
