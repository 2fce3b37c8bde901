"""Rows that are made into a GeoTIFF: tiles, compressed, with overviews."""

import hashlib
import json
import os
import pathlib
import warnings

import numpy as np

from keras_patching._faults import ImageFileError
from keras_patching.data.images.georeference import (
    import_rasterio,
    is_georeferenced,
    read_georeference,
)
from keras_patching.prediction.ome_form import ome_suffix

_TILE = 512
# GDAL holds what it writes: a twentieth of all memory, if nobody asks.
_CACHE_MEGABYTES = 64
# A source's own value for no data is kept where results of floats never come:
# probabilities and densities not below 0, logits not so far.
FAR = -100


class GeoTiffForm:
    """Makes a GeoTIFF of the rows of a result, by windows.

    Tiles are compressed with deflate. Overviews hold every so many pixels of
    integers, which are classes, and means of floats.

    Args:
        reference: `Georeference` of the result.
        missing: Value of pixels without data; `None` where all have some.
        palette: RGB `(n, 3)` of the values 0, 1 and so on of a result of
            uint8; `None` for others.

    Attributes:
        missing: As given.
        key: String that tells it from others.
    """

    def __init__(self, reference, missing=None, palette=None):
        self._reference, self.missing = reference, missing
        self._palette = palette
        # As the source says it: by a mask where it has no value for it.
        self._by_mask = missing is not None and reference.nodata is None
        known = [repr(reference), repr(missing), repr(palette), self._by_mask]
        self.key = hashlib.sha256(json.dumps(known).encode()).hexdigest()

    def __call__(self, rows, path):
        """Write the file.

        Args:
            rows: What windows of the result are read from, see `FormedRows`.
            path: `pathlib.Path` to write to.
        """
        rasterio = import_rasterio(path)
        options = {
            "GDAL_CACHEMAX": _CACHE_MEGABYTES,
            "GDAL_TIFF_INTERNAL_MASK": True,
        }
        with rasterio.Env(**options), warnings.catch_warnings():
            # Of results that lie by control points alone.
            warnings.simplefilter(
                "ignore", rasterio.errors.NotGeoreferencedWarning
            )
            with rasterio.open(path, "w", **self._profile(rows)) as file:
                self._describe(file, rasterio)
                self._write(file, rows, rasterio)
            self._add_overviews(path, rows, rasterio)

    def _profile(self, rows):
        height, width, *channels = rows.shape
        reference = self._reference
        tile = _TILE if min(height, width) >= _TILE else _TILE // 2
        profile = {
            "driver": "GTiff",
            "height": height,
            "width": width,
            "count": channels[0] if channels else 1,
            "dtype": rows.dtype.name,
            "crs": reference.crs,
            "tiled": True,
            "blockxsize": tile,
            "blockysize": tile,
            "compress": "deflate",
            "bigtiff": "if_safer",
        }
        if rows.dtype.kind == "f":
            profile["predictor"] = 3
        if reference.transform is not None:
            from rasterio.transform import Affine

            profile["transform"] = Affine(*reference.transform)
        if reference.gcps:
            profile["gcps"] = reference.ground_control_points()
        if reference.rpcs is not None:
            from rasterio.rpc import RPC

            profile["rpcs"] = RPC.from_gdal(reference.rpcs)
        if self.missing is not None and not self._by_mask:
            profile["nodata"] = self.missing
        if self._palette is not None:
            profile["photometric"] = "palette"
        elif profile["count"] in (3, 4):
            profile["photometric"] = "minisblack"  # They are no colours.
        return profile

    def _describe(self, file, rasterio):
        if self._reference.area_or_point:
            file.update_tags(AREA_OR_POINT=self._reference.area_or_point)
        if self._palette is not None:
            colours = {
                value: (*map(int, colour), 255)
                for value, colour in enumerate(self._palette)
            }
            file.write_colormap(1, colours)

    def _write(self, file, rows, rasterio):
        for _, window in file.block_windows(1):
            block = rows.read(
                window.row_off, window.height, window.col_off, window.width
            )
            bands = block.reshape(*block.shape[:2], -1).transpose(2, 0, 1)
            file.write(np.ascontiguousarray(bands), window=window)
            if self._by_mask:
                known = ~_is(bands, self.missing).all(axis=0)
                file.write_mask(known, window=window)

    def _add_overviews(self, path, rows, rasterio):
        factors, factor = [], 2
        while max(rows.shape[:2]) > _TILE * factor // 2:
            factors.append(factor)
            factor *= 2
        if not factors:
            return
        is_float = rows.dtype.kind == "f"
        how = rasterio.enums.Resampling["average" if is_float else "nearest"]
        with rasterio.open(path, "r+") as file:
            file.build_overviews(factors, how)


def _is(array, value):
    return np.isnan(array) if np.isnan(value) else array == value


def geotiff_form(
    source, path, dtype, scale, values=None, preferred=None, palette=None
):
    """Give what makes a GeoTIFF of the result of a georeferenced image.

    Args:
        source: `ImageSource`.
        path: Path or array that the result is written into.
        dtype: NumPy dtype of the result.
        scale: Of the output, see `PatchOutputs`.
        values, preferred: As for `missing_value`.
        palette: RGB `(n, 3)` of the values 0, 1 and so on, or `None`; only
            results of uint8 show it.

    Returns:
        `GeoTiffForm`; `None` where the image lies nowhere, or the result is
        no image or no TIFF.

    Raises:
        ImportError: The reference would be lost, since rasterio is not
            installed.
    """
    original = getattr(source, "original", None)
    if original is None or scale is None or not _is_tiff(path):
        return None
    instead = "; or write .npy, without the place on the earth"
    reference = read_georeference(original, instead)
    if reference is None:
        return None
    import_rasterio(source.name, instead)
    missing = missing_value(reference, np.dtype(dtype), values, preferred)
    numerator, denominator = scale
    if np.dtype(dtype) != "uint8":
        palette = None
    down, right = getattr(source, "downsample", (1.0, 1.0))
    factor = denominator / numerator
    reference = reference.scaled(factor * down, factor * right)
    return GeoTiffForm(reference, missing, palette)


def describe_lost_place(source, path):
    """Say that a result does not keep where its image lies; else "".

    Args:
        source: As for `geotiff_form`.
        path: Path or array that the result is written into, as no GeoTIFF.
    """
    original = getattr(source, "original", None)
    if original is None or not isinstance(path, (str, os.PathLike)):
        return ""
    is_file = isinstance(original, (str, os.PathLike))
    tells = is_georeferenced if is_file else read_georeference
    try:
        is_map = bool(tells(original))
    except ImageFileError:
        is_map = True
    if not is_map:
        return ""
    return (
        f"{path}: does not keep where on the earth {source.name} lies, as .tif "
        "does."
    )


def _is_tiff(path):
    is_path = isinstance(path, (str, os.PathLike)) and not ome_suffix(path)
    return is_path and pathlib.Path(path).suffix.lower() in (".tif", ".tiff")


def missing_value(reference, dtype, values=None, preferred=None):
    """Choose the value of pixels without data, which results never have.

    Args:
        reference: `Georeference` of the source.
        dtype: NumPy dtype of the result.
        values: The integers that the result may hold; `None` for any.
        preferred: Value that stands for unlabelled pixels already, or `None`.

    Returns:
        The source's own where that can be; of integers else the preferred
        one, or the highest that is free; of floats NaN. `None` where the
        source has data everywhere, or no value is known to be free.
    """
    own = reference.nodata
    if own is None and not reference.has_mask:
        return None
    if dtype.kind == "f":
        is_far = own is not None and not own > FAR  # also NaN
        fits = is_far and not abs(own) > float(np.finfo(dtype).max)
        return own if fits else float("nan")
    if values is None:
        return None
    lowest, highest = np.iinfo(dtype).min, np.iinfo(dtype).max
    for value in (own, preferred):
        is_whole = value is not None and float(value).is_integer()
        if is_whole and lowest <= value <= highest and value not in values:
            return int(value)
    free = range(min(highest, 2**16 - 1), -1, -1)
    return next((value for value in free if value not in values), None)
