"""Where images lie on the earth."""

import sys

import numpy as np
import pytest
import rasterio
import tifffile
from image_files import noise
from maps import KINDS, ROTATED, write_map

import keras_patching as kp
from keras_patching.data.images.georeference import (
    Georeference,
    is_georeferenced,
    pixel_size_of,
    read_georeference,
)

IMAGE = noise(40, 60, 3)
PLACES = np.random.default_rng(0).uniform(-5, 60, (20, 2))


@pytest.mark.parametrize("kind", KINDS)
def test_places_are_found_there_and_back(tmp_path, kind):
    reference = read_georeference(write_map(tmp_path / "a.tif", IMAGE, kind))
    back = reference.to_pixels(reference.to_map(PLACES))
    np.testing.assert_allclose(back, PLACES, atol=1e-3)
    assert reference.to_map(np.zeros((0, 2))).shape == (0, 2)


@pytest.mark.parametrize("kind", ["north_up", "rotated", "gcps"])
def test_map_coordinates_are_those_of_rasterio(tmp_path, kind):
    path = write_map(tmp_path / "a.tif", IMAGE, kind)
    found = read_georeference(path).to_map(PLACES)
    with rasterio.open(path) as file:
        gcps, _ = file.gcps
    known = rasterio.transform.AffineTransformer(file.transform)
    if gcps:
        known = rasterio.transform.GCPTransformer(gcps)
    # Centers of pixels lie half a pixel away from their corner.
    expected = known.xy(*(PLACES - 0.5).T)
    np.testing.assert_allclose(found, np.transpose(expected), rtol=1e-12)


def test_a_pixel_that_is_larger_lies_in_the_same_place(tmp_path):
    for kind in ("rotated", "gcps"):
        reference = read_georeference(
            write_map(tmp_path / "a.tif", IMAGE, kind)
        )
        smaller = reference.scaled(4, 2)
        np.testing.assert_allclose(
            smaller.to_map(PLACES / (4, 2)), reference.to_map(PLACES)
        )


def test_the_size_of_a_pixel_is_in_metres(tmp_path):
    rotated = write_map(tmp_path / "a.tif", IMAGE, "rotated")
    size = pixel_size_of(rotated)
    assert (size.height, size.width, size.unit) == pytest.approx(
        (0.25, 0.5, "m")
    )
    feet = write_map(tmp_path / "b.tif", IMAGE, crs="EPSG:2263")
    assert pixel_size_of(feet).width == pytest.approx(0.5 * 1200 / 3937)
    degrees = write_map(tmp_path / "c.tif", IMAGE, crs="EPSG:4326")
    assert pixel_size_of(degrees) is None


def test_what_lies_nowhere_has_no_reference(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", IMAGE, resolution=(300, 300))
    kp.data.write_image(tmp_path / "b.png", IMAGE)
    for name in ("a.tif", "b.png"):
        assert not is_georeferenced(tmp_path / name)
        assert read_georeference(tmp_path / name) is None


def test_a_world_file_beside_an_image_tells_its_place(tmp_path):
    kp.data.write_image(tmp_path / "a.jpg", IMAGE)
    (tmp_path / "a.jgw").write_text("0.5\n0\n0\n-0.5\n100.25\n199.75\n")
    reference = read_georeference(tmp_path / "a.jpg")
    assert reference.transform == (0.5, 0, 100, 0, -0.5, 200)
    assert reference.crs is None


def test_a_world_file_is_found_whatever_the_case_of_its_name(tmp_path):
    path = tmp_path / "MAP.TIF"
    tifffile.imwrite(path, np.zeros((8, 9, 3), "uint8"), photometric="rgb")
    (tmp_path / "MAP.TFW").write_text("0.5\n0\n0\n-0.5\n500000\n5500000\n")
    with rasterio.open(path) as file:
        expected = tuple(file.transform)[:6]
    assert read_georeference(path).transform == expected


def test_a_georeferenced_image_that_is_turned_is_refused(tmp_path):
    write_map(tmp_path / "a.tif", IMAGE)
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+") as file:
        tags = [
            (code, tag.dtype, tag.count, tag.value, True)
            for code, tag in file.pages.first.tags.items()
            if code in (33550, 33922, 34735)
        ]
    tags.append((274, "H", 1, 6, True))
    tifffile.imwrite(tmp_path / "b.tif", IMAGE, extratags=tags)
    with pytest.raises(ValueError, match=r"b\.tif: is georeferenced, and to"):
        is_georeferenced(tmp_path / "b.tif")


def test_without_rasterio_the_error_says_how_to_get_it(tmp_path, monkeypatch):
    path = write_map(tmp_path / "a.tif", IMAGE)
    monkeypatch.setitem(sys.modules, "rasterio", None)
    with pytest.raises(ImportError, match=r"a\.tif: is georeferenced.*\[geo\]"):
        read_georeference(path)
    assert pixel_size_of(path) is None


def test_coefficients_alone_tell_no_place():
    reference = Georeference(None, None, rpcs={})
    with pytest.raises(ValueError, match="gdalwarp -rpc"):
        reference.to_map(PLACES)


def test_the_transform_is_the_one_that_was_written(tmp_path):
    reference = read_georeference(
        write_map(tmp_path / "a.tif", IMAGE, "rotated")
    )
    assert reference.transform == pytest.approx(tuple(ROTATED)[:6])
