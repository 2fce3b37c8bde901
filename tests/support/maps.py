"""GeoTIFFs of several kinds, written with rasterio."""

import math
import warnings

import numpy as np
import rasterio
from rasterio.control import GroundControlPoint
from rasterio.transform import Affine

CRS = "EPSG:25832"
NORTH_UP = Affine(0.5, 0, 500_000, 0, -0.5, 5_500_000)
# By 30 degrees, of pixels of 0.5 by 0.25.
ROTATED = Affine(
    0.5 * math.cos(math.pi / 6),
    0.25 * math.sin(math.pi / 6),
    500_000,
    0.5 * math.sin(math.pi / 6),
    -0.25 * math.cos(math.pi / 6),
    5_500_000,
)
KINDS = ("north_up", "rotated", "gcps", "tiled", "striped", "masked")


def control_points(size):
    """Corners of an image that lies askew in longitude and latitude."""
    height, width = size
    return [
        GroundControlPoint(row, col, 10 + (col + row / 9) / 1e5, 50 - row / 1e5)
        for row in (0, height)
        for col in (0, width)
    ]


def write_map(
    path, image, kind="north_up", valid=None, overviews=(), **options
):
    """Write an image as a GeoTIFF.

    Args:
        path: Path of the file.
        image: Array `(height, width)` or `(height, width, channels)`.
        kind: One of `KINDS`.
        valid: Booleans `(height, width)` of an internal mask.
        overviews: Factors of its further levels.
        **options: Of `rasterio.open`.
    """
    bands = np.moveaxis(np.atleast_3d(image), -1, 0)
    count, height, width = bands.shape
    place = {"crs": CRS, "transform": NORTH_UP}
    if kind == "rotated":
        place["transform"] = ROTATED
    elif kind == "gcps":
        place = {"crs": "EPSG:4326", "gcps": control_points((height, width))}
    elif kind == "tiled":
        place |= {"tiled": True, "blockxsize": 16, "blockysize": 16}
        place |= {"compress": "deflate"}
    elif kind == "striped":
        place |= {"blockysize": 3, "compress": "lzw"}
    with warnings.catch_warnings(), rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        warnings.simplefilter("ignore")  # of control points alone
        with rasterio.open(
            path,
            "w",
            driver="GTiff",
            height=height,
            width=width,
            count=count,
            dtype=bands.dtype,
            **{**place, **options},
        ) as file:
            file.write(bands)
            if valid is not None:
                file.write_mask(valid)
            if overviews:
                file.build_overviews(overviews)
    return path
