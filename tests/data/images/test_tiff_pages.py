"""One image a TIFF: its channels, and pages that are no images."""

import numpy as np
import pytest
import tifffile
from image_files import noise, save
from PIL import Image

from keras_patching.data.images import image_io
from keras_patching.data.images.label_images import read_mask


@pytest.mark.parametrize("photometric", ["minisblack", "rgb"])
def test_planar_tiff_comes_out_with_channels_last(tmp_path, photometric):
    planes = noise(3, 20, 30, dtype="uint16")
    path = tmp_path / "planar.tif"
    tifffile.imwrite(
        path, planes, photometric=photometric, planarconfig="separate"
    )
    np.testing.assert_array_equal(
        image_io.read_image(path), np.moveaxis(planes, 0, -1)
    )
    assert image_io.read_header(path).channels == 3
    assert image_io.read_header(path).size == (20, 30)


@pytest.mark.parametrize("kind", ["imagej", "ome"])
def test_microscopes_channels_are_channels(tmp_path, kind):
    planes = noise(4, 20, 30, dtype="uint16")
    path = tmp_path / "cells.tif"
    tifffile.imwrite(path, planes, metadata={"axes": "CYX"}, **{kind: True})
    np.testing.assert_array_equal(
        image_io.read_image(path), np.moveaxis(planes, 0, -1)
    )


@pytest.mark.parametrize(
    ("mode", "compression"),
    [
        ("RGB", "tiff_lzw"),
        ("L", "tiff_lzw"),
        ("I;16", "tiff_lzw"),
        ("F", "tiff_lzw"),
        ("RGBA", "tiff_lzw"),
        ("RGB", "packbits"),
        ("RGB", "tiff_adobe_deflate"),
    ],
)
def test_compressed_tiff_is_read_exactly(tmp_path, mode, compression):
    array = noise(20, 30, len(mode) if mode.startswith("RGB") else 1)
    array = array.astype({"I;16": "uint16", "F": "float32"}.get(mode, "uint8"))
    path = tmp_path / "a.tif"
    save(path, Image.fromarray(array.squeeze()), compression=compression)
    np.testing.assert_array_equal(image_io.read_image(path), array)
    assert image_io.read_header(path).dtype == array.dtype


def test_white_is_zero_is_read_as_it_looks(tmp_path):
    array = noise(6, 8, dtype="uint16")
    tifffile.imwrite(tmp_path / "a.tif", array, photometric="miniswhite")
    np.testing.assert_array_equal(
        image_io.read_image(tmp_path / "a.tif")[..., 0], 65535 - array
    )


@pytest.mark.parametrize("read", [image_io.read_header, image_io.read_image])
def test_a_stack_of_pages_is_refused(tmp_path, read):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, noise(7, 20, 30), photometric="minisblack")
    with pytest.raises(ValueError, match=r"a\.tif: a TIFF of 7 pages"):
        read(path)


def test_unrelated_pages_are_refused(tmp_path):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(noise(20, 30), photometric="minisblack")
        tiff.write(noise(10, 15), photometric="minisblack")
    with pytest.raises(ValueError, match=r"a\.tif: a TIFF of 2 pages"):
        image_io.read_image(path)


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_the_thumbnail_in_a_tiff_does_not_count(tmp_path, compression):
    path, array = tmp_path / "a.tif", noise(20, 30)
    options = {"photometric": "minisblack", "compression": compression}
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(array, **options)
        tiff.write(array[::2, ::2], subfiletype=1, **options)
    np.testing.assert_array_equal(read_mask(path), array)
