"""Files of the results of images, that bands are written into."""

import numpy as np

from keras_patching.data.images.georeference import (
    import_rasterio,
    is_georeferenced,
)
from keras_patching.data.images.image_io import write_whole_image
from keras_patching.inference.pictures import is_large
from keras_patching.models.segmentation.numbered_objects import (
    pixel_size_of_file,
)
from keras_patching.prediction.geotiff_form import geotiff_form
from keras_patching.prediction.known_pixels import (
    KnownObjects,
    KnownRows,
    KnownTarget,
)
from keras_patching.prediction.ome_form import Meaning, ome_form
from keras_patching.prediction.path_target import PathTarget
from keras_patching.prediction.targets import open_target


class ImageFiles:
    """The files of one image.

    Args:
        folder: `ResultFolder`.
        stem: Name of the image without suffix.
        size: `(height, width)` of its results.
        source: `ImageSource` of it.
        scale: Of its results, see `PatchOutputs`.

    Attributes:
        stem, size, source: As given.
        pixel_size: `PixelSize` of its file, or `None`.
    """

    def __init__(self, folder, stem, size, source, scale):
        self.stem, self.size = stem, size
        self.pixel_size = pixel_size_of_file(source)
        self._rows_path = folder.path / f".{stem}.rows.npy"
        self._rows, self._written = None, []
        self._folder = folder
        self.source, self._scale = source, scale
        original = source.original
        self._is_map = original is not None and is_georeferenced(original)
        if self._is_map and folder.report.features:
            import_rasterio(source.name)
        self._files = []
        self._known = self._known_rows(scale)

    def _known_rows(self, scale=None):
        windows = self.source.open_known()
        if windows is None:
            return None
        return KnownRows(windows, None, scale or (1, 1))

    def unknown(self, y, count):
        """Tell which pixels of rows of the results have no data.

        Args:
            y: Index of the first row.
            count: Number of rows.

        Returns:
            Booleans `(count, width)`; `None` where all have some.
        """
        return None if self._known is None else self._known.unknown(y, count)

    def with_data(self, result):
        """Give a result whose objects lie on pixels that have data.

        Args:
            result: As of `KnownObjects`.
        """
        rows = self._known_rows()
        return result if rows is None else KnownObjects(result, rows)

    def open(
        self,
        key,
        shape,
        dtype,
        palette=None,
        values=None,
        unlabelled=None,
        names=None,
    ):
        """Open what bands are written into; as `open_result` does.

        Args:
            key: Key of `outputs` of the report.
            shape, dtype, palette: As there.
            values: The integers that bands may hold, or `None` of floats.
            unlabelled: The one that stands for what is not labelled, or
                `None`.
            names: Names of these integers, or of the channels, or `None`.
        """
        path = self._folder.path_of(
            self.stem, key, shape[:2], is_map=self._is_map
        )
        meaning = _meaning(palette, values, names)
        form = ome_form(self.source, path, self._scale, meaning)
        if form is None and self._is_map:
            chosen = self.source, path, dtype, self._scale, values, unlabelled
            form = geotiff_form(*chosen, palette)
        file = open_result(path, shape, dtype, palette, form)
        if self._known is not None:
            # One for all: each holds a row of tiles of the image.
            file = KnownTarget(file, self._known, file.missing)
        self._files.append(file)
        return file

    def path_of(self, key):
        """Give the path of one more file, that is written as a whole."""
        path = self._folder.path_of(self.stem, key, self.size)
        self._written.append(path)
        return path

    def open_rows(self, shape, dtype):
        """Open what bands are written into that are read again.

        What its `finish` gives may be read until `remove_rows`.

        Args:
            shape, dtype: As for `open_result`.
        """
        out = self._rows_path if is_large(shape) else np.empty(shape, dtype)
        self._rows = open_target(
            out, shape, dtype, self.stem, key="", resume=False, overwrite=True
        )
        return self._rows

    def remove_rows(self):
        """Remove what `open_rows` has written."""
        self._rows.forget()
        self._rows = None
        self._rows_path.unlink(missing_ok=True)

    def finish(self, overlay):
        """Write what is not written yet.

        Args:
            overlay: uint8 picture `(height, width, 3)`, or `None`.

        Returns:
            Dict from path, relative to the folder, to bytes.
        """
        self._close()
        for file in self._files:
            file.finish()
            file.forget()  # The journal notes it, for a run after a kill.
        paths = [*(file.path for file in self._files), *self._written]
        if overlay is not None:
            path = self._folder.path_of(self.stem, "overlays", self.size)
            write_whole_image(path, overlay)
            paths.append(path)
        return {
            path.relative_to(self._folder.path).as_posix(): bytes_of(path)
            for path in paths
        }

    def abandon(self):
        """Leave nothing half-made behind."""
        self._close()
        for file in self._files:
            file.abandon(keep=False)
        if isinstance(self._rows, PathTarget):
            self._rows.abandon(keep=False)
            self.remove_rows()
        for path in self._written:
            path.unlink(missing_ok=True)

    def _close(self):
        if self._known is not None:
            self._known.close()


def _meaning(palette, values, names):
    """Give the `Meaning` of a result; see `ImageFiles.open`."""
    names = tuple(names or ())
    if values is None:
        return Meaning(channels=names)
    shown = [value for value in values if 0 <= value < len(palette or ())]
    return Meaning(
        classes=tuple(zip(values, names, strict=False)),
        colors=tuple((value, tuple(palette[value])) for value in shown),
    )


def open_result(path, shape, dtype, palette=None, form=None):
    """Open what bands of a result are written into.

    Args:
        path: `pathlib.Path` of the file, or of the folder of a zarr array.
        shape: `(height, width)` or `(height, width, channels)`.
        dtype: Dtype of the bands.
        palette: As for `write_image`.
        form: What makes a GeoTIFF of the bands, or `None`.

    Returns:
        `WholeFile`, or the `PathTarget` of what is not held in memory.
    """
    is_written_whole = path.suffix != ".zarr" and not is_large(shape[:2])
    if form is None and (path.suffix == ".png" or is_written_whole):
        return WholeFile(path, shape, dtype, palette)
    return open_target(
        path,
        shape,
        dtype,
        path.stem,
        key="",
        resume=False,
        overwrite=True,
        form=form,
    )


class WholeFile:
    """A file that is written when all its rows are there.

    Args:
        path, shape, dtype, palette: As for `open_result`.

    Attributes:
        path: As given.
        missing: `None`: no value tells that there is no data.
    """

    missing = None

    def __init__(self, path, shape, dtype, palette=None):
        self.path = path
        self._array, self._palette = np.empty(shape, dtype), palette

    def write(self, y, band):
        """Take rows, the first of them row `y`."""
        self._array[y : y + len(band)] = band

    def finish(self):
        """Write the file, in one step."""
        write_whole_image(self.path, self._array, self._palette)

    def forget(self):
        """Do nothing: there is no record of it."""

    def abandon(self, keep=True):
        """Do nothing: there is no file yet."""


def bytes_of(path):
    """Give the bytes of a file, or of all files of a folder."""
    if path.is_dir():
        return sum(
            each.stat().st_size for each in path.rglob("*") if each.is_file()
        )
    return path.stat().st_size
