"""Images that nobody writes by mistake are refused as others, by name."""

import io
import json
import struct
import warnings

import numpy as np
import pytest
import tifffile
from maps import write_map
from slides import write_ome_tiff, write_ome_zarr

from keras_patching.data.images.georeference import read_georeference
from keras_patching.data.images.image_io import read_header, read_image
from keras_patching.data.images.label_images import read_mask
from keras_patching.data.images.opened_image import open_image
from keras_patching.data.images.windows import FileWindows

GREY = np.arange(960, dtype="uint8").reshape(24, 40)


def changed_tag(data, code, kind=None, count=None, value=None, becomes=None):
    """Change an entry of the first directory of a little-endian TIFF."""
    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        place = tiff.pages[0].tags[code].offset
    data = bytearray(data)
    for number, form, offset in (
        (becomes, "<H", place),
        (kind, "<H", place + 2),
        (count, "<I", place + 4),
        (value, "<I", place + 8),
    ):
        if number is not None:
            struct.pack_into(form, data, offset, number)
    return bytes(data)


def tiff(**options):
    stream = io.BytesIO()
    tifffile.imwrite(stream, GREY, metadata=None, **options)
    return stream.getvalue()


@pytest.mark.parametrize("read", [read_image, read_mask, open_image])
@pytest.mark.parametrize("code", [256, 257, 277, 278])
def test_a_length_of_a_tiff_that_is_no_whole_number_is_refused(
    tmp_path, read, code
):
    path = tmp_path / "a.tif"
    (bits,) = struct.unpack("<I", struct.pack("<f", 24))
    path.write_bytes(changed_tag(tiff(), code, 11, 1, bits))
    with pytest.raises(ValueError, match=r"a\.tif: .* is 24\.0"):
        read(path)


@pytest.mark.parametrize("read", [read_header, read_mask])
def test_a_tiff_of_alpha_alone_is_refused(tmp_path, read):
    path = tmp_path / "a.tif"
    path.write_bytes(changed_tag(tiff(), 296, value=2, becomes=338))
    with pytest.raises(ValueError, match=r"a\.tif: .*alpha alone"):
        read(path)


@pytest.mark.parametrize(
    ("said", "becomes"),
    [
        ('SizeZ="1"', 'SizeZ="900000000"'),
        ('SizeY="24"', 'SizeY="99999999999"'),
        ('SizeZ="1"', 'SizeZ=" +9_000_000_000 "'),
        ('PlaneCount="3"', 'PlaneCount="900000000"'),
        ('PlaneCount="3"', 'NumPlanes="900000000"'),
    ],
)
def test_xml_that_tells_of_too_many_planes_takes_no_memory(
    tmp_path, said, becomes
):
    path = tmp_path / "a.ome.tif"
    image = np.stack([GREY] * 3, axis=-1)
    write_ome_tiff(path, [[image], [image]])
    data = path.read_bytes()
    with tifffile.TiffFile(path) as opened:
        tag = opened.pages[0].tags[270]
        text = tag.value.replace(said, becomes).encode() + b"\0"
    assert becomes.encode() in text
    data = changed_tag(data, 270, None, len(text), len(data)) + text
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"a\.ome\.tif: its OME-XML tells of"):
        open_image(path, series=0)


def test_xml_that_is_too_deep_is_named(tmp_path):
    path = tmp_path / "a.ome.tif"
    write_ome_tiff(path, [[np.stack([GREY] * 3, axis=-1)]])
    data = path.read_bytes()
    with tifffile.TiffFile(path) as opened:
        text = opened.pages[0].tags[270].value
    text = text.replace("</OME>", "<a>" * 9999 + "</a>" * 9999 + "</OME>")
    text = text.encode() + b"\0"
    path.write_bytes(changed_tag(data, 270, None, len(text), len(data)) + text)
    with pytest.raises(ValueError, match=r"a\.ome\.tif: its OME-XML has"):
        open_image(path)


def test_entities_in_xml_reach_for_nothing(tmp_path):
    path = tmp_path / "a.ome.tif"
    write_ome_tiff(path, [[np.stack([GREY] * 3, axis=-1)]])
    secret = tmp_path / "secret"
    secret.write_text("a secret")
    data = path.read_bytes()
    with tifffile.TiffFile(path) as opened:
        text = opened.pages[0].tags[270].value
    entity = f'<!DOCTYPE OME [<!ENTITY s SYSTEM "file://{secret}">]><OME '
    text = text.replace("<OME ", entity, 1).replace("image 0", "&s;")
    text = text.encode() + b"\0"
    path.write_bytes(changed_tag(data, 270, None, len(text), len(data)) + text)
    with pytest.raises(ValueError, match=r"a\.ome\.tif: ") as error:
        open_image(path)
    assert "a secret" not in str(error.value)


def test_a_map_that_gdal_does_not_read_is_named(tmp_path):
    path = tmp_path / "a.tif"
    write_map(path, np.stack([GREY] * 3, axis=-1))
    path.write_bytes(changed_tag(path.read_bytes(), 256, None, 7, 40))
    with pytest.raises(ValueError, match=r"a\.tif: truncated or damaged"):
        read_georeference(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        with pytest.raises(ValueError, match=r"a\.tif: "):
            FileWindows(path)


def test_control_points_that_tell_nothing_are_named(tmp_path):
    path = tmp_path / "a.tif"
    write_map(path, np.stack([GREY] * 3, axis=-1), "gcps")
    data = changed_tag(path.read_bytes(), 33922, None, 12, None)
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"a\.tif: .*[Nn]ot enough points"):
        read_georeference(path)


def test_a_transform_without_area_places_nothing(tmp_path):
    path = tmp_path / "a.tif"
    write_map(path, np.stack([GREY] * 3, axis=-1))
    data = path.read_bytes()
    with tifffile.TiffFile(path) as opened:
        place = opened.pages[0].tags[33550].valueoffset
    infinite = struct.pack("<d", np.inf)
    path.write_bytes(data[:place] + infinite + data[place + 8 :])
    reference = read_georeference(path)
    found = reference.to_pixels([[500_000, 5_500_000]])
    assert not np.isfinite(found).all()
    assert reference.pixel_size is None


@pytest.mark.parametrize("text", ["[" * 100_000, '{"multiscales": [[]]}'])
def test_attributes_of_zarr_that_nobody_writes_are_no_images(tmp_path, text):
    path = write_ome_zarr(tmp_path / "a.zarr", [GREY], axes="yx")
    (path / ".zattrs").write_text(text)
    with pytest.raises(ValueError, match=r"a\.zarr: "):
        open_image(path)


def test_a_step_of_zarr_that_is_too_long_is_named(tmp_path):
    path = write_ome_zarr(tmp_path / "a.zarr", [GREY], axes="yx")
    attributes = (path / ".zattrs").read_text()
    number = "1" + "0" * 400
    (path / ".zattrs").write_text(attributes.replace("1\n", f"{number}\n"))
    with pytest.raises(ValueError, match=r"a\.zarr: .*not as published"):
        open_image(path)


def test_channels_of_zarr_that_are_nowhere_are_not_looked_for(tmp_path):
    path = write_ome_zarr(tmp_path / "a.zarr", [np.stack([GREY] * 3)])
    array = path / "0" / ".zarray"
    fields = json.loads(array.read_text())
    array.write_text(json.dumps({**fields, "shape": [900_000_000, 24, 40]}))
    with pytest.raises(ValueError, match=r"a\.zarr: has 900000000 channels"):
        open_image(path)
