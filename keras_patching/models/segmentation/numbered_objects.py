"""Objects of an image, numbered and measured, of classes that come in bands."""

import dataclasses

import numpy as np

from keras_patching._whole_files import OutputError, whole_file
from keras_patching.data.images.pixel_size import PixelSize
from keras_patching.data.images.resizing import ReadScale
from keras_patching.models.segmentation.regions import RegionFinder, Regions
from keras_patching.prediction.path_target import PathTarget, record_path
from keras_patching.prediction.resized_results import (
    BandResampler,
    ResampledTarget,
)
from keras_patching.prediction.sources import open_source

_BAND_PIXELS = 2**20
_ROWS = "classes.npy"  # what a file beside the numbers ends in


def as_objects(regions, pixel_size=None):
    """Give what `SemanticSegmentationModel.predict_images` tells of objects.

    Args:
        regions: `Regions`.
        pixel_size: `PixelSize`, or `None`.
    """
    found = {
        "labels": regions.classes.astype("int32"),
        "areas": regions.areas,
        "perimeters": regions.sides.sum(axis=1),
        "centers": regions.centers,
        "boxes": regions.boxes,
        "physical": None,
    }
    if pixel_size is not None:
        size = np.array([pixel_size.height, pixel_size.width])
        found["physical"] = {
            "unit": pixel_size.unit,
            "areas": regions.areas * size.prod(),
            "perimeters": regions.sides @ size,
            "centers": regions.centers * size,
            "boxes": regions.boxes * np.tile(size[::-1], 2),
        }
    return found


class MeasuredObjects:
    """Takes the classes of one image, and gives the objects in it.

    Args:
        source: `ImageSource`. Objects are in pixels of its file, also where it
            is resized.
        background: Classes that are of no object.
        check: Function of a band, which refuses what is of no class.
    """

    def __init__(self, source, background, check):
        self._scale = ReadScale.of(source)
        _, width = self._scale.file_size
        self._finder = RegionFinder(width, background)
        self._pixel_size = pixel_size_of_file(source)
        self._row, self._bands = 0, None
        if not self._scale.is_same:
            self._bands = BandResampler(self._scale.to_file, "nearest")
        self.check = check

    def add(self, index, band):
        """Take the next rows, classes `(rows, width)`."""
        bands = [(self._row, band)]
        if self._bands is not None:
            bands = self._bands.add(self._row, band)
        for _, each in bands:
            self._finder.add(each)
        self._row += len(band)

    def finish(self):
        """Give what `as_objects` does."""
        return as_objects(self._finder.finish(), self._pixel_size)

    def abandon(self):
        """Leave the image: nothing was made that would have to go."""


def pixel_size_of_file(source):
    """Give the `PixelSize` of a file, of an `ImageSource` that may be resized.

    `None` where it is not known.
    """
    size, scale = source.pixel_size, ReadScale.of(source)
    if size is None or scale.is_same:
        return size
    height, width = np.divide(scale.size, scale.file_size).tolist()
    return PixelSize(size.height * height, size.width * width, size.unit)


class NumberedMap:
    """A map of classes that is there, and the numbers of its objects.

    It is read twice, since its last row may join what its first begins.

    Args:
        classes: What holds the classes, as for `open_source`.
        background: Classes that are of no object.

    Attributes:
        regions: `Regions`, in the order of the numbers.
    """

    def __init__(self, classes, background):
        self._classes, self._background = classes, background
        finder = self._finder()
        for _, band in self._bands():
            finder.add(band)
        self.regions, self._numbers = finder.finish(), finder.numbers()

    def bands(self):
        """Yield the first row of each band, and its uint32 `(rows, width)`.

        They are the numbers of objects, from 1 on, and 0 for the background;
        they may take the place of what they were read from.
        """
        finder = self._finder()
        for y, band in self._bands():
            lengths, names = finder.add(band)
            numbers = np.repeat(self._numbers[names], lengths)
            yield y, numbers.reshape(band.shape)

    def _finder(self):
        width = self._classes.shape[1]
        return RegionFinder(width, self._background)

    def _bands(self):
        height, width = self._classes.shape[:2]
        rows = max(1, _BAND_PIXELS // width)
        for y in range(0, height, rows):
            window = self._classes.read(y, min(rows, height - y))
            yield y, window[..., 0]


class WrittenObjects:
    """Takes the classes of one image, and writes the numbers of its objects.

    Classes are written as they come, so that a killed run goes on; numbers
    when all classes are there.

    Args:
        source, background, check: As for `MeasuredObjects`.
        dtype: Dtype of the classes.
        open_file: As of `ImageTransform.collect_written`.

    Attributes:
        rows_done: Rows whose classes are there already.
        is_done: Whether all are.
    """

    def __init__(self, source, background, check, dtype, open_file):
        self._background, self.check = background, check
        self._pixel_size = pixel_size_of_file(source)
        scale = ReadScale.of(source)
        size = scale.file_size
        self._numbers = self._rows = open_file(size, "uint32")
        self._table = None
        if isinstance(self._numbers, PathTarget):
            path = self._numbers.path
            # A run after a kill gives the objects of what is whole, too.
            self._table = path.with_name(f".{path.name}.objects.npz")
            self._rows_path = path.with_name(f".{path.name}.{_ROWS}")
            self._rows = self._open_rows(size, dtype, open_file)
        if not scale.is_same:
            self._rows = ResampledTarget(self._rows, scale, "nearest")
        self.rows_done = self._row = self._rows.rows_done
        self.is_done = self._rows.is_done

    def _open_rows(self, size, dtype, open_file):
        if self._numbers.is_done:
            return self._numbers
        try:
            return open_file(size, dtype, beside=_ROWS)
        except BaseException:
            self._numbers.abandon()
            raise

    def add(self, index, band):
        """Take the next rows, classes `(rows, width)`."""
        self._rows.write(self._row, band)
        self._row += len(band)

    def finish(self):
        """Give what `as_objects` does, and at "map" what was written."""
        if self._numbers.is_done:
            regions, written = _read_table(self._table), self._numbers.finish()
        else:
            regions, written = self._number()
        return {**as_objects(regions, self._pixel_size), "map": written}

    def _number(self):
        classes = open_source(self._rows.finish(), 0)
        try:
            numbered = NumberedMap(classes, self._background)
            # First: where there are numbers it is there, too.
            if self._table is not None:
                _write_table(self._table, numbered.regions)
            for y, band in numbered.bands():
                self._numbers.write(y, band)
        finally:
            classes.close()
        written = self._numbers.finish()
        if self._table is not None:
            self._remove_rows()
        return numbered.regions, written

    def _remove_rows(self):
        for path in self._rows_path, record_path(self._rows_path):
            path.unlink(missing_ok=True)

    def abandon(self):
        """Leave nothing half-made behind."""
        self._rows.abandon()
        self._numbers.abandon()

    def forget(self):
        """Remove what a run after a kill would need."""
        if self._numbers.is_done and self._table is not None:
            self._remove_rows()  # of a run that was killed just then
            self._table.unlink(missing_ok=True)


def _write_table(path, regions):
    with whole_file(path) as temporary:
        np.savez(temporary, **dataclasses.asdict(regions))


def _read_table(path):
    try:
        with np.load(path) as found:
            return Regions(**found)
    except FileNotFoundError as error:
        raise OutputError(
            f"{path}: is missing, which holds the measures of objects that "
            "are numbered already. Pass `overwrite=True, resume=False`."
        ) from error
