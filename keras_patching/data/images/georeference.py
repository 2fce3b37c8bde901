"""Where an image lies on the earth, as GDAL tells it through rasterio.

Pixels are told as everywhere: pixel `i` reaches from `i` to `i + 1`, which is
GDAL's own convention.
"""

import dataclasses
import math
import os
import pathlib
import warnings

import numpy as np

from keras_patching._faults import ImageFileError
from keras_patching.data.images.headers import naming
from keras_patching.data.images.pixel_size import PixelSize
from keras_patching.data.images.tiff_format import MAGIC, first_tags

# GeoTIFF's scale, tie points, matrix and keys, and the RPCs of GDAL.
_TAGS = {33550, 33922, 34264, 34735, 50844}
_ORIENTATION = 274
# What GDAL's own sidecar file holds where it is more than statistics.
_SIDECAR = b"<SRS", b"<GeoTransform", b"<GCPList"


@dataclasses.dataclass(frozen=True)
class Georeference:
    """Where an image lies on the earth.

    Args:
        crs: WKT of the coordinate system of the transform or the ground
            control points; `None` where it is unknown.
        transform: `(a, b, c, d, e, f)` of `x = a * column + b * row + c` and
            `y = d * column + e * row + f`; `None` where there is none.
        gcps: Tuple of the ground control points `(row, column, x, y, z, id)`.
        rpcs: Dict of rational polynomial coefficients, as GDAL names them.
        area_or_point: What GDAL calls `AREA_OR_POINT`, or `None`.
        nodata: Value that the image declares to be no data, or `None`.
        has_mask: Whether a mask or alpha says where it has no data.
    """

    crs: str | None
    transform: tuple[float, ...] | None
    gcps: tuple[tuple, ...] = ()
    rpcs: dict[str, str] | None = None
    area_or_point: str | None = None
    nodata: float | None = None
    has_mask: bool = False

    @property
    def tells_places(self):
        """Whether `to_map` gives places, of a known coordinate system.

        Of RPCs alone it does not: they need heights.
        """
        has_places = self.transform is not None or bool(self.gcps)
        return self.crs is not None and has_places

    def to_map(self, points):
        """Give the map coordinates of places in the image.

        Args:
            points: Array `(n, 2)` of (y, x) in pixels.

        Returns:
            float64 `(n, 2)` of (x, y) in the unit of `crs`.

        Raises:
            ValueError: Only RPCs tell where it lies, which needs heights.
        """
        y, x = np.asarray(points, "float64").reshape(-1, 2).T
        if self.transform is not None:
            a, b, c, d, e, f = self.transform
            with np.errstate(all="ignore"):  # what overflows lies nowhere
                places = a * x + b * y + c, d * x + e * y + f
            return np.stack(places, axis=1)
        if not len(x):
            return np.zeros((0, 2))
        with self._gcp_transformer() as gcps:
            return np.stack(gcps.xy(y, x, offset="ul"), axis=1)

    def to_pixels(self, places):
        """Give the places in the image that map coordinates are of.

        Args:
            places: Array `(n, 2)` of (x, y) in the unit of `crs`.

        Returns:
            float64 `(n, 2)` of (y, x) in pixels, also outside of the image.

        Raises:
            ValueError: As for `to_map`.
        """
        x, y = np.asarray(places, "float64").reshape(-1, 2).T
        if self.transform is not None:
            a, b, c, d, e, f = self.transform
            with np.errstate(all="ignore"):  # what overflows lies nowhere
                x, y, area = x - c, y - f, np.float64(a * e - b * d)
                column, row = (e * x - b * y) / area, (a * y - d * x) / area
            return np.stack([row, column], axis=1)
        if not len(x):
            return np.zeros((0, 2))
        with self._gcp_transformer() as gcps:
            return np.stack(gcps.rowcol(x, y, op=float), axis=1)

    def _gcp_transformer(self):
        if not self.gcps:
            raise ValueError(
                "Only rational polynomial coefficients (RPCs) tell where the "
                "image lies, and its heights are not known. Rectify it first "
                "(with GDAL: gdalwarp -rpc)."
            )
        from rasterio.transform import GCPTransformer

        return GCPTransformer(self.ground_control_points())

    def ground_control_points(self):
        """Give the ground control points as rasterio takes them."""
        from rasterio.control import GroundControlPoint

        return [GroundControlPoint(*each) for each in self.gcps]

    def scaled(self, rows, columns):
        """Give the reference of an image whose pixels are larger.

        Args:
            rows, columns: Rows and columns of this one that one pixel of it
                covers; may be fractions.
        """
        transform, rpcs = self.transform, self.rpcs
        if transform is not None:
            a, b, c, d, e, f = transform
            transform = (a * columns, b * rows, c, d * columns, e * rows, f)
        if rpcs is not None:
            rpcs = {**rpcs, **_scaled_rpcs(rpcs, "LINE", rows)}
            rpcs = {**rpcs, **_scaled_rpcs(rpcs, "SAMP", columns)}
        gcps = tuple(
            (row / rows, column / columns, *rest)
            for row, column, *rest in self.gcps
        )
        return dataclasses.replace(
            self, transform=transform, gcps=gcps, rpcs=rpcs
        )

    @property
    def pixel_size(self):
        """`PixelSize` in metres; `None` of degrees, and where none is one."""
        if self.transform is None or self.crs is None:
            return None
        from rasterio.crs import CRS

        crs = CRS.from_wkt(self.crs)
        if not crs.is_projected:
            return None
        a, b, _, d, e, _ = self.transform
        _, metres = crs.linear_units_factor
        lengths = math.hypot(b, e) * metres, math.hypot(a, d) * metres
        if not all(0 < length < math.inf for length in lengths):
            return None
        return PixelSize(*lengths, "m")


def _scaled_rpcs(rpcs, axis, factor):
    """RPCs count from the center of the first pixel."""
    offset = (float(rpcs[f"{axis}_OFF"]) + 0.5) / factor - 0.5
    scale = float(rpcs[f"{axis}_SCALE"]) / factor
    return {f"{axis}_OFF": repr(offset), f"{axis}_SCALE": repr(scale)}


def is_georeferenced(path):
    """Tell whether a file says where its image lies, without rasterio.

    Args:
        path: Path of an image file.

    Raises:
        ValueError: It says so, and that it has to be turned, which moves
            pixels away from their places.
    """
    path = pathlib.Path(path)
    if path.is_dir():  # an OME-Zarr
        return False
    with open(path, "rb") as stream:
        is_tiff = stream.read(4) in MAGIC
        stream.seek(0)
        tags = first_tags(stream, path) if is_tiff else {}
        with naming(path):
            turned = tags[_ORIENTATION].value if _ORIENTATION in tags else 1
    if not (_TAGS & {*tags.keys()} or _has_sidecar(path)):
        return False
    if turned not in (0, 1):
        raise ImageFileError(
            f"{path}: is georeferenced, and to be turned by its orientation "
            f"({turned}), which maps are not. Save it upright (with GDAL: "
            "gdal_translate, which ignores the orientation)."
        )
    return True


def _has_sidecar(path):
    """Tell whether a world file, or a sidecar of GDAL, is beside it."""
    suffix = path.suffix.lower()
    if len(suffix) > 2:
        ends = f".{suffix[1]}{suffix[-1]}w", f"{suffix}w", ".wld"
        # UP.TIF has UP.TFW beside it.
        for end in (*ends, *map(str.upper, ends)):
            if os.path.isfile(path.parent / f"{path.stem}{end}"):
                return True
    sidecar = path.parent / f"{path.name}.aux.xml"
    if not os.path.isfile(sidecar):  # or its name is too long to be one
        return False
    content = sidecar.read_bytes()
    return any(mark in content for mark in _SIDECAR)


def import_rasterio(name, instead=""):
    """Import rasterio, or say what it is needed for.

    Args:
        name: What needs it, for the message.
        instead: What else to do, a clause that begins with "; or ".
    """
    try:
        import rasterio
    except ImportError as error:
        raise ImportError(
            f"{name}: is georeferenced, and places on the earth are read and "
            'written with rasterio. Install it: pip install "keras-patching'
            f'[geo]"{instead}.'
        ) from error
    return rasterio


def read_georeference(source, instead=""):
    """Read where an image lies, without its pixels.

    Args:
        source: Path of an image file, or open rasterio data set.
        instead: As for `import_rasterio`.

    Returns:
        `Georeference`, or `None` where nothing says so.

    Raises:
        ImportError: It is georeferenced, and rasterio is not installed.
        ValueError: As for `is_georeferenced`.
    """
    if not isinstance(source, (str, os.PathLike)):
        return _reference_of(source)
    if not is_georeferenced(source):
        return None
    rasterio = import_rasterio(source, instead)
    with warnings.catch_warnings(), naming(source):
        # Tags that tell nothing are told as none.
        warnings.simplefilter("ignore")
        with rasterio.open(source) as data_set:
            return _reference_of(data_set)


def _reference_of(data_set):
    gcps, gcps_crs = data_set.gcps
    transform = tuple(data_set.transform)[:6]
    if transform == (1, 0, 0, 0, 1, 0):
        transform = None
    crs = data_set.crs or gcps_crs
    rpcs = None if data_set.rpcs is None else data_set.rpcs.to_gdal()
    if transform is None and not gcps and rpcs is None:
        return None
    flags = {flag.name for band in data_set.mask_flag_enums for flag in band}
    reference = Georeference(
        crs=crs.to_wkt(version="WKT2_2019") if crs else None,
        transform=transform,
        gcps=tuple(
            (each.row, each.col, each.x, each.y, each.z, each.id)
            for each in gcps
        ),
        rpcs=rpcs,
        area_or_point=data_set.tags().get("AREA_OR_POINT"),
        nodata=data_set.nodata,
        has_mask="per_dataset" in flags,
    )
    if transform is None and gcps:
        with naming(data_set.name), reference._gcp_transformer():
            pass  # They may lie so that they tell nothing.
    return reference


def pixel_size_of(source):
    """Give the `PixelSize` of a georeferenced image, or `None`.

    `None` too where rasterio, which tells it, is not installed.

    Args:
        source: As for `read_georeference`.
    """
    try:
        reference = read_georeference(source)
    except (ImportError, ImageFileError):
        return None
    return None if reference is None else reference.pixel_size
