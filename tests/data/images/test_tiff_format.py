"""TIFFs of every kind that other libraries write, as those libraries read them.

`test_tiff_pages` tests which of its pages are the image.
"""

import io
import itertools
import struct
import sys
import zlib

import numpy as np
import pytest
import tifffile
from image_files import noise
from PIL import Image, ImageFile

from keras_patching.data.images import image_io
from keras_patching.data.images.label_images import read_mask

rasterio = pytest.importorskip("rasterio")
pytestmark = pytest.mark.filterwarnings(
    "ignore::rasterio.errors.NotGeoreferencedWarning"
)

RNG = np.random.default_rng(0)
LOSSLESS = ("NONE", "LZW", "DEFLATE", "PACKBITS", "ZSTD", "LZMA")
DTYPES = ("uint8", "uint16", "int16", "int32", "float32", "float64")


def write_gdal(path, array, **options):
    """Write `(bands, height, width)`, and give what GDAL reads."""
    bands, height, width = array.shape
    options = {"height": height, "width": width, "count": bands, **options}
    options.setdefault("dtype", array.dtype)
    with rasterio.open(path, "w", driver="GTiff", **options) as file:
        file.write(array)
    return read_gdal(path)


def read_gdal(path):
    with rasterio.open(path) as file:
        return np.moveaxis(file.read(), 0, -1)


def assert_read(path, expected):
    if expected.ndim == 2:
        expected = expected[..., None]
    image, header = image_io.read_image(path), image_io.read_header(path)
    np.testing.assert_array_equal(image, expected)
    assert image.dtype == expected.dtype.newbyteorder("=")
    assert header.dtype == image.dtype
    assert (*header.size, header.channels) == image.shape


# GDAL


@pytest.mark.parametrize("compression", LOSSLESS)
@pytest.mark.parametrize("interleave", ["BAND", "PIXEL"])
def test_what_gdal_writes_is_read_as_gdal_reads_it(
    tmp_path, compression, interleave
):
    path = tmp_path / "a.tif"
    shapes = {"blockysize": 8}, {"tiled": 1, "blockxsize": 32, "blockysize": 16}
    for shape, dtype, bands in itertools.product(shapes, DTYPES, (1, 3, 5)):
        array = noise(bands, 37, 50, dtype=dtype)
        predictors = [1]
        if compression in ("LZW", "DEFLATE", "ZSTD"):
            predictors += [3] if dtype.startswith("float") else [2]
        for predictor in predictors:
            read = write_gdal(
                path,
                array,
                interleave=interleave,
                compress=compression,
                predictor=predictor,
                **shape,
            )
            assert_read(path, read)


@pytest.mark.parametrize("bits", [1, 2, 4, 7, 12])
@pytest.mark.parametrize("compression", ["NONE", "LZW"])
def test_packed_bits_are_read_as_gdal_reads_them(tmp_path, bits, compression):
    path = tmp_path / "a.tif"
    array = noise(3, 9, 51, dtype="uint16") * 16 % 2**bits
    dtype = "uint8" if bits < 8 else "uint16"
    for interleave in ("BAND", "PIXEL"):
        read = write_gdal(
            path,
            array.astype(dtype),
            nbits=bits,
            interleave=interleave,
            compress=compression,
        )
        assert_read(path, read * 255 if bits == 1 else read)


@pytest.mark.parametrize("nodata", [None, 7])
@pytest.mark.parametrize("interleave", ["BAND", "PIXEL"])
def test_blocks_that_gdal_leaves_out_hold_nodata(tmp_path, nodata, interleave):
    path = tmp_path / "a.tif"
    options = {"height": 40, "width": 64, "count": 3, "dtype": "uint8"}
    window = rasterio.windows.Window(0, 7, 64, 7)
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        interleave=interleave,
        compress="LZW",
        blockysize=7,
        sparse_ok=True,
        nodata=nodata,
        **options,
    ) as file:
        file.write(noise(7, 64), 2, window=window)
    assert_read(path, read_gdal(path))


def test_gdals_mask_and_overviews_do_not_count(tmp_path):
    path, array = tmp_path / "a.tif", noise(3, 64, 64)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        write_gdal(path, array, tiled=1, blockxsize=16, blockysize=16)
        with rasterio.open(path, "r+") as file:
            file.write_mask(noise(64, 64) > 99)
            file.build_overviews([2, 4])
        assert_read(path, read_gdal(path))
    with tifffile.TiffFile(path) as tiff:
        assert sum(page.is_mask for page in tiff.pages) == 3


def test_a_palette_of_gdal_becomes_its_colours(tmp_path):
    path, array = tmp_path / "a.tif", noise(1, 9, 11)
    colours = {i: (i, 255 - i, i * 7 % 256, 255) for i in range(256)}
    options = {"height": 9, "width": 11, "count": 1, "dtype": "uint8"}
    with rasterio.open(
        path, "w", "GTiff", photometric="PALETTE", compress="LZW", **options
    ) as file:
        file.write(array)
        file.write_colormap(1, colours)
    seen = np.array([colours[i][:3] for i in range(256)], "uint8")[array[0]]
    assert_read(path, seen)
    np.testing.assert_array_equal(read_mask(path), array[0])


@pytest.mark.parametrize(
    ("photometric", "interleave"),
    [("YCBCR", "PIXEL"), ("RGB", "PIXEL"), ("RGB", "BAND")],
)
def test_jpeg_in_tiff_is_read(tmp_path, photometric, interleave):
    path = tmp_path / "a.tif"
    for shape in ({}, {"tiled": 1, "blockxsize": 32, "blockysize": 16}):
        read = write_gdal(
            path,
            noise(3, 37, 50),
            compress="JPEG",
            photometric=photometric,
            interleave=interleave,
            **shape,
        )
        # GDAL enlarges colours in a way of its own, tifffile and Pillow alike.
        assert_read(
            path, tifffile.imread(path) if photometric == "YCBCR" else read
        )


@pytest.mark.parametrize("bits", [4, 8])
def test_white_is_zero_is_inverted_in_its_own_bits(tmp_path, bits):
    path, array = tmp_path / "a.tif", noise(1, 9, 11) >> (8 - bits)
    read = write_gdal(path, array, photometric="MINISWHITE", nbits=bits)
    assert_read(path, np.uint8(2**bits - 1) - read)


# tifffile


@pytest.mark.parametrize("compression", [None, "lzw", "zlib", "zstd"])
def test_byte_orders_and_bigtiff_are_read(tmp_path, compression):
    path = tmp_path / "a.tif"
    for order, big, dtype in itertools.product(
        "<>", (False, True), ("uint8", "uint16", "float32", "float16")
    ):
        array = noise(9, 11, 3, dtype=dtype)
        for predictor in (None, True) if compression else (None,):
            tifffile.imwrite(
                path,
                array,
                byteorder=order,
                bigtiff=big,
                compression=compression,
                predictor=predictor,
                photometric="rgb",
            )
            assert_read(path, array)


def test_a_pyramid_below_an_image_does_not_count(tmp_path):
    path, array = tmp_path / "a.tif", noise(64, 64, 3)
    options = {"photometric": "rgb", "tile": (16, 16)}
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(array, subifds=2, **options)
        tiff.write(array[::2, ::2], subfiletype=1, **options)
        tiff.write(array[::4, ::4], subfiletype=1, **options)
    assert_read(path, array)


@pytest.mark.parametrize(
    "options",
    [
        {"ome": True, "metadata": {"axes": "CYX"}, "compression": "lzw"},
        {"ome": True, "metadata": {"axes": "CYX"}},
        {"imagej": True, "metadata": {"axes": "CYX"}},
        {"metadata": {"axes": "CYX"}, "photometric": "minisblack"},
    ],
)
def test_channels_on_pages_are_channels(tmp_path, options):
    path, planes = tmp_path / "a.tif", noise(4, 20, 30, dtype="uint16")
    tifffile.imwrite(path, planes, **options)
    assert_read(path, np.moveaxis(planes, 0, -1))


@pytest.mark.parametrize("axes", ["ZYX", "TYX"])
@pytest.mark.parametrize("kind", ["ome", "imagej"])
def test_stacks_are_refused(tmp_path, axes, kind):
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path, noise(4, 20, 30), metadata={"axes": axes}, **{kind: True}
    )
    with pytest.raises(ValueError, match=r"a\.tif: a TIFF of .* pages"):
        image_io.read_image(path)


def ome_set(count):
    """OME-XML of a set of files, one channel each, as Bio-Formats writes."""
    data = "".join(
        f'<TiffData FirstC="{c}" IFD="0" PlaneCount="1"><UUID '
        f'FileName="c{c}.ome.tif">urn:uuid:{c}</UUID></TiffData>'
        for c in range(count)
    )
    channels = "".join(f'<Channel ID="Channel:0:{c}"/>' for c in range(count))
    return (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/'
        'Schemas/OME/2016-06" UUID="urn:uuid:0"><Image ID="Image:0"><Pixels '
        'ID="Pixels:0" DimensionOrder="XYCZT" Type="uint8" SizeX="30" '
        f'SizeY="20" SizeC="{count}" SizeZ="1" SizeT="1">{channels}{data}'
        "</Pixels></Image></OME>"
    )


def test_a_file_of_an_ome_set_is_its_own_image(tmp_path):
    images = noise(3, 20, 30)
    for c, image in enumerate(images):
        tifffile.imwrite(
            tmp_path / f"c{c}.ome.tif",
            image,
            photometric="minisblack",
            description=ome_set(3),
            metadata=None,
        )
    for c, image in enumerate(images):
        assert_read(tmp_path / f"c{c}.ome.tif", image)


def test_pages_that_an_ome_file_lacks_are_not_made_up(tmp_path):
    path = tmp_path / "c0.ome.tif"
    with tifffile.TiffWriter(path) as tiff:
        for _ in range(2):
            tiff.write(
                noise(20, 30),
                photometric="minisblack",
                description=ome_set(3),
                metadata=None,
                contiguous=False,
            )
    with pytest.raises(ValueError, match=r"c0\.ome\.tif: a TIFF of 2 pages"):
        image_io.read_image(path)


# Pillow, which is libtiff


@pytest.mark.parametrize("compression", ["group3", "group4", "tiff_ccitt"])
@pytest.mark.parametrize("fill_order", [1, 2])
def test_fax_is_read_as_pillow_reads_it(tmp_path, compression, fill_order):
    path, bits = tmp_path / "a.tif", noise(9, 51) > 128
    image = Image.fromarray(bits)
    image.save(path, compression=compression, tiffinfo={266: fill_order})
    assert_read(path, np.where(bits, 255, 0).astype("uint8"))


@pytest.mark.parametrize(
    "compression", [None, "tiff_lzw", "tiff_adobe_deflate", "packbits"]
)
def test_bits_in_reverse_order_are_read(tmp_path, compression):
    path, array = tmp_path / "a.tif", noise(9, 11, 3)
    image = Image.fromarray(array)
    image.save(path, compression=compression, tiffinfo={266: 2})
    assert_read(path, tifffile.imread(path))


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "packbits"])
def test_cmyk_becomes_what_pillow_makes_of_it(tmp_path, compression):
    path = tmp_path / "a.tif"
    image = Image.frombytes("CMYK", (11, 9), noise(9, 11, 4).tobytes())
    image.save(path, compression=compression)
    assert_read(path, np.asarray(image.convert("RGB")))


def test_rows_per_strip_may_be_left_out(tmp_path):
    path, array = tmp_path / "a.tif", noise(9, 11)
    tifffile.imwrite(path, array, metadata=None)
    patch_tag(path, 278, new_code=65000)
    assert_read(path, array)


@pytest.mark.parametrize("code", [254, 255])
def test_an_image_that_is_marked_as_a_thumbnail_alone_is_read(tmp_path, code):
    path, array = tmp_path / "a.tif", noise(9, 11)
    tifffile.imwrite(path, array, subfiletype=1, metadata=None)
    patch_tag(path, 254, 1 if code == 254 else 2, new_code=code)
    assert_read(path, array)


@pytest.mark.parametrize("rows", [4, 9])
def test_strips_without_a_length_are_read(tmp_path, rows):
    path, array = tmp_path / "a.tif", noise(9, 11)
    tifffile.imwrite(path, array, rowsperstrip=rows, metadata=None)
    forget_lengths(path)
    assert_read(path, array)


def test_compressed_strips_without_a_length_are_refused(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, noise(9, 11), compression="zlib", metadata=None)
    forget_lengths(path)
    with pytest.raises(ValueError, match=r"a\.tif: .*of 0 bytes at byte"):
        image_io.read_image(path)


def test_the_last_strip_may_be_declared_beyond_the_file(tmp_path):
    path, array = tmp_path / "a.tif", noise(9, 11)
    tifffile.imwrite(path, array, metadata=None)
    patch_tag(path, 279, 11 * 16)
    with tifffile.TiffFile(path) as tiff:
        (start,) = tiff.pages[0].dataoffsets
    assert start + 99 == path.stat().st_size
    assert_read(path, array)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="98 bytes, expected 99"):
        image_io.read_image(path)


@pytest.mark.parametrize("compression", ["lzw", "packbits"])
@pytest.mark.parametrize("limit", [40, 90])
def test_pillows_limit_of_pixels_does_not_count_bytes(
    tmp_path, monkeypatch, compression, limit
):
    path, array = tmp_path / "a.tif", noise(9, 11)
    tifffile.imwrite(path, array, compression=compression, metadata=None)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    assert_read(path, array)


def test_half_a_jpeg_in_a_tiff_is_refused_whatever_pillow_may(
    tmp_path, monkeypatch
):
    path = tmp_path / "a.tif"
    write_gdal(path, noise(1, 64, 64), compress="JPEG")
    with tifffile.TiffFile(path) as tiff:
        start, count = (
            tiff.pages[0].dataoffsets[0],
            tiff.pages[0].databytecounts[0],
        )
    strip = path.read_bytes()[start : start + count // 2]
    replace_strip(path, strip + b"\xff\xd9")
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pytest.raises(ValueError, match=r"a\.tif: truncated or damaged"):
        image_io.read_image(path)


def test_a_palette_of_bytes_is_not_black(tmp_path):
    path, array = tmp_path / "a.tif", noise(9, 11)
    colours = noise(3, 256, dtype="uint16")
    tifffile.imwrite(
        path, array, photometric="palette", colormap=colours, metadata=None
    )
    assert_read(path, colours.T[array].astype("uint8"))


# What is refused


def forget_lengths(path):
    data = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tiff:
        tag = tiff.pages[0].tags[279]
    end = tag.valueoffset + tag.valuebytecount
    data[tag.valueoffset : end] = bytes(tag.valuebytecount)
    path.write_bytes(data)


def patch_tag(path, code, value=None, new_code=None):
    """Change the one value, or the code, of a tag of the first page."""
    data = bytearray(path.read_bytes())
    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        tag = tiff.pages[0].tags[code]
    if new_code is not None:
        # Codes need not be sorted for those who read.
        struct.pack_into("<H", data, tag.offset, new_code)
    if value is not None:
        size = {3: "<H", 4: "<I"}[int(tag.dtype)]
        struct.pack_into(size, data, tag.valueoffset, value)
    path.write_bytes(data)


@pytest.mark.parametrize("read", [image_io.read_header, image_io.read_image])
@pytest.mark.parametrize(
    ("code", "value", "message"),
    [
        (259, 34887, "the compression LERC"),
        (259, 6, "the compression OJPEG"),
        (259, 777, "the compression 777"),
        (262, 8, "whose pixels are CIELAB"),
        (262, 32803, "whose pixels are CFA"),
        (262, 777, "whose pixels are 777"),
        (317, 777, "the predictor 777"),
        (258, 5000, "of 5000 bits"),
    ],
)
def test_what_is_not_in_the_table_is_named(
    tmp_path, read, code, value, message
):
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path,
        noise(9, 11),
        compression="zlib" if code == 317 else None,
        predictor=2 if code == 317 else None,
        metadata=None,
    )
    patch_tag(path, code, value)
    with pytest.raises(ValueError, match=rf"a\.tif: a TIFF of 1.*{message}"):
        read(path)


@pytest.mark.parametrize(
    ("dtype", "options", "what"),
    [
        ("uint8", {"compress": "ZSTD"}, "ZSTD"),
        ("uint16", {"nbits": 12}, "12 bits"),
        ("float32", {"compress": "DEFLATE", "predictor": 3}, "floats.*"),
        (
            "float32",
            {"compress": "LZW", "predictor": 2, "endianness": "BIG"},
            "floats.*",
        ),
    ],
)
def test_a_missing_package_is_named_with_its_command(
    tmp_path, monkeypatch, dtype, options, what
):
    path = tmp_path / "a.tif"
    write_gdal(path, noise(3, 9, 11).astype(dtype), **options)
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    with pytest.raises(
        ValueError,
        match=rf'{what} are read with `pip install "keras-patching\[tiff\]"`',
    ):
        image_io.read_image(path)


def test_the_package_is_not_asked_for_where_it_is_not_needed(
    tmp_path, monkeypatch
):
    path, pixels = tmp_path / "a.tif", noise(3, 9, 11).astype("float32")
    write_gdal(path, pixels, compress="LZW", predictor=2)
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    np.testing.assert_array_equal(
        image_io.read_image(path), pixels.transpose(1, 2, 0)
    )


@pytest.mark.parametrize("rows", [0, 8])
def test_a_strip_that_ends_early_is_not_filled_up(tmp_path, rows):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, noise(9, 11), compression="zlib", metadata=None)
    replace_strip(path, zlib.compress(bytes(11 * rows)))
    with pytest.raises(ValueError, match=rf"{11 * rows} bytes, expected 99"):
        image_io.read_image(path)


def test_a_strip_is_inflated_no_further_than_its_pixels_go(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, noise(9, 11), compression="zlib", metadata=None)
    replace_strip(path, zlib.compress(bytes(2**20)))
    with pytest.raises(ValueError, match="more than 99 bytes"):
        image_io.read_image(path)


def test_a_flipped_bit_in_a_deflated_strip_is_noticed(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, noise(30, 30), compression="zlib", metadata=None)
    with tifffile.TiffFile(path) as tiff:
        (start,), (count,) = (
            tiff.pages[0].dataoffsets,
            tiff.pages[0].databytecounts,
        )
    data = path.read_bytes()
    for position in range(start, start + count, 7):
        damaged = bytearray(data)
        damaged[position] ^= 4
        with pytest.raises(ValueError, match=r"a\.tif"):
            image_io.decode_image(bytes(damaged), path)


def replace_strip(path, strip):
    data = path.read_bytes()
    path.write_bytes(data + strip)
    patch_tag(path, 273, len(data))
    patch_tag(path, 279, len(strip))


@pytest.mark.parametrize("ring", ["itself", "two", "empty"])
def test_directories_that_lead_in_a_ring_have_an_end(tmp_path, ring):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, noise(9, 11), metadata=None)
    data = bytearray(path.read_bytes())
    (first,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, first)
    pointer, end = first + 2 + 12 * count, len(data)
    if ring == "two":
        data += data[first:pointer] + struct.pack("<I", first)
    if ring == "empty":
        data += struct.pack("<HI", 0, end)
    struct.pack_into("<I", data, pointer, first if ring == "itself" else end)
    path.write_bytes(data)
    for read in (image_io.read_header, image_io.read_image):
        with pytest.raises(ValueError, match=r"a\.tif: .*leads back to byte"):
            read(path)
