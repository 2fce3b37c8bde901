"""Entry points of images: what a decoder, a header, a window makes of them."""

import io
import struct

import numpy as np
import tifffile
from entry import Entry, Target
from image_files import png
from image_mutations import change_jpeg, change_npy, change_png, change_tiff
from maps import write_map
from mutations import change_bytes
from PIL import Image
from slides import halved, write_ome_tiff
from text_mutations import change_xml

from keras_patching.data.images.georeference import read_georeference
from keras_patching.data.images.image_io import read_header, read_image
from keras_patching.data.images.known import known_digest, read_known
from keras_patching.data.images.label_images import read_mask
from keras_patching.data.images.open_file import OpenFile
from keras_patching.data.images.opened_image import open_image
from keras_patching.data.images.tiff_levels import TiffImages
from keras_patching.data.labels.dots import read_dots

INPUTS = 10_000
_RNG = np.random.default_rng(0)
GREY = _RNG.integers(0, 256, (24, 40)).astype("uint8")
RGB = _RNG.integers(0, 256, (24, 40, 3)).astype("uint8")
IDS = (GREY // 100).astype("uint8")


def _saved(array, form, mode=None, **options):
    stream = io.BytesIO()
    image = Image.fromarray(array, mode) if mode else Image.fromarray(array)
    image.save(stream, form, **options)
    return stream.getvalue()


def _tiff(array, **options):
    stream = io.BytesIO()
    tifffile.imwrite(stream, array, metadata=None, **options)
    return stream.getvalue()


def _npy(array):
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def _indexed(**options):
    image = Image.fromarray(IDS)
    image.putpalette([0, 0, 0, 0, 255, 0, 255, 0, 0])
    stream = io.BytesIO()
    image.save(stream, "PNG", **options)
    return stream.getvalue()


def _exif():
    exif = Image.Exif()
    exif[274] = 6
    return exif.tobytes()


def _bits():
    rows = b"".join(b"\0" + bytes(5) for _ in range(24))
    return png(24, 40, 1, 0, rows)


PNGS = [
    *(
        _saved(GREY, "PNG"),
        _saved(RGB, "PNG"),
        _indexed(transparency=1),
        _bits(),
    ),
    _saved(np.dstack([RGB, GREY]), "PNG"),
    _saved(GREY.astype("uint16") * 257, "PNG"),
]
JPEGS = [
    *(_saved(GREY, "JPEG"), _saved(RGB, "JPEG", exif=_exif())),
    _saved(RGB, "JPEG", progressive=True),
    _saved(np.dstack([RGB, GREY]), "JPEG", mode="CMYK"),
]
BMPS = [_saved(GREY, "BMP"), _saved(RGB, "BMP"), _saved(GREY > 9, "BMP")]
WEBPS = [
    *(_saved(RGB, "WebP"), _saved(RGB, "WebP", lossless=True)),
    _saved(np.dstack([RGB, GREY]), "WebP", lossless=True, exif=_exif()),
]
NPYS = [
    *(_npy(GREY), _npy(RGB), _npy(GREY > 9), _npy(RGB.astype(">u2"))),
    _npy(np.asfortranarray(RGB.astype("float32"))),
]
_COMPRESSIONS = ("zlib", "lzw", "packbits", "zstd", "lzma")
TIFFS = [
    *(_tiff(GREY), _tiff(RGB), _tiff(RGB.astype("float32"), photometric="rgb")),
    *(_tiff(GREY, compression=each) for each in _COMPRESSIONS),
    _tiff(RGB, compression="jpeg", photometric="ycbcr"),
    _tiff(RGB, compression="zlib", predictor=True, tile=(16, 16)),
    _tiff(RGB, planarconfig="separate", photometric="rgb", rowsperstrip=5),
    _tiff(GREY.astype("uint16"), bigtiff=True, byteorder=">"),
    _tiff(GREY > 99, compression="packbits"),
    _tiff(IDS, photometric="palette", colormap=np.zeros((3, 256), "uint16")),
    _tiff(np.dstack([RGB, GREY]), extrasamples=["unassalpha"]),
]
MASKS = [PNGS[0], PNGS[3], PNGS[5], _indexed()]
TIFF_MASKS = [
    *(_tiff(IDS, compression=each) for each in _COMPRESSIONS),
    *(_tiff(IDS.astype("float32")), _tiff(IDS > 0, photometric="minisblack")),
    _tiff(np.dstack([IDS] * 3), photometric="rgb"),
    _tiff(IDS, photometric="palette", colormap=np.zeros((3, 256), "uint16")),
]


def _image(suffix, seeds):
    def prepare(folder):
        path = folder / f"a{suffix}"

        def read():
            read_header(path)
            read_image(path)

        return Target(path, seeds, read)

    return prepare


def _windows(suffix, seeds):
    def prepare(folder):
        path = folder / f"a{suffix}"

        def read():
            with open_image(path) as image:
                height, width = image.shape[:2]
                image[: height // 2 + 1, width // 2 :]
                image[-1:]

        return Target(path, seeds, read)

    return prepare


def _mask(suffix, seeds):
    def prepare(folder):
        path = folder / f"a{suffix}"
        return Target(path, seeds, lambda: read_mask(path))

    return prepare


def _dots(folder):
    for name in ("images", "dots"):
        (folder / name).mkdir()
    (folder / "images" / "a.png").write_bytes(PNGS[1])
    dots = np.zeros((24, 40), "uint8")
    dots[[3, 9], [5, 20]] = 255
    path = folder / "dots" / "a.png"
    return Target(
        path,
        [_saved(dots, "PNG"), _saved(dots > 0, "PNG")],
        lambda: read_dots(folder / "images", folder / "dots", "pixels"),
    )


def _levels(path):
    """Read all that is said of the images of a TIFF, and one of each level."""
    file = OpenFile(path)
    try:
        pyramids = TiffImages(file).pyramids
    finally:
        file.close()
    for series, pyramid in enumerate(pyramids[:2]):
        for level in range(len(pyramid.sizes[:3])):
            planes = dict.fromkeys(pyramid.lengths, 0)
            with open_image(path, series=series, level=level, **planes) as it:
                it[:5, :5]


def _slide_seeds(folder):
    seeds = []
    for number, options in enumerate(
        (
            {"pixel_size": (0.5, 0.25)},
            {"pixel_size": (2, 3), "compression": "zlib"},
            {"photometric": "rgb"},
        )
    ):
        path = folder / f"seed{number}.tif"
        write_ome_tiff(path, [halved(RGB, 2), halved(RGB, 1)], **options)
        seeds.append(path.read_bytes())
    stream = io.BytesIO()
    stack = np.stack([GREY, GREY]).astype("uint16")
    unit = {"unit": "um", "axes": "ZYX"}
    tifffile.imwrite(stream, stack, imagej=True, metadata=unit)
    return [*seeds, stream.getvalue()]


def _slides(folder):
    path = folder / "a.tif"
    return Target(path, _slide_seeds(folder), lambda: _levels(path))


def _ome_xml(folder):
    """Only the XML of an OME-TIFF is hostile."""
    path, xml = folder / "a.ome.tif", folder / "a.xml"
    tiff = _slide_seeds(folder)[0]
    with tifffile.TiffFile(io.BytesIO(tiff)) as opened:
        description = opened.pages[0].tags[270]
        text, place = description.value.encode(), description.offset + 4

    def read():
        content = xml.read_bytes() + b"\0"
        where = struct.pack("<II", len(content), len(tiff))
        path.write_bytes(tiff[:place] + where + tiff[place + 8 :] + content)
        _levels(path)

    return Target(xml, [text], read, (str(path),))


def _map_seeds(folder):
    seeds = []
    for kind in ("north_up", "rotated", "gcps", "tiled", "masked"):
        path = folder / f"{kind}.tif"
        valid = GREY > 20 if kind == "masked" else None
        write_map(
            path, RGB, kind, valid, nodata=None if valid is not None else 7
        )
        seeds.append(path.read_bytes())
    return seeds


def _georeference(folder):
    path = folder / "a.tif"

    def read():
        reference = read_georeference(path)
        if reference is not None:
            reference.pixel_size  # noqa: B018
            if reference.transform or reference.gcps:
                reference.to_map([[0, 0], [24, 40]])
                reference.to_pixels([[500_000, 5_500_000]])

    return Target(path, _map_seeds(folder), read)


def _known(folder):
    path = folder / "a.tif"

    def read():
        known_digest(path)
        read_known(path)

    return Target(path, _map_seeds(folder), read)


def _entry(name, prepare, change):
    return Entry(name, prepare, change, INPUTS)


ENTRIES = (
    _entry("image: PNG", _image(".png", PNGS), change_png),
    _entry("image: JPEG", _image(".jpg", JPEGS), change_jpeg),
    _entry(
        "image: BMP",
        _image(".bmp", BMPS),
        lambda rng, data: change_bytes(rng, data, BMPS),
    ),
    _entry(
        "image: WebP",
        _image(".webp", WEBPS),
        lambda rng, data: change_bytes(rng, data, WEBPS),
    ),
    _entry("image: npy", _image(".npy", NPYS), change_npy),
    _entry("image: TIFF", _image(".tif", TIFFS), change_tiff),
    _entry("windows: npy", _windows(".npy", NPYS), change_npy),
    _entry("windows: TIFF", _windows(".tif", TIFFS), change_tiff),
    _entry("mask: PNG", _mask(".png", MASKS), change_png),
    _entry("mask: TIFF", _mask(".tif", TIFF_MASKS), change_tiff),
    _entry("dots: PNG", _dots, change_png),
    _entry("slides: TIFF", _slides, change_tiff),
    Entry("slides: OME-XML", _ome_xml, change_xml),
    _entry("maps: GeoTIFF tags", _georeference, change_tiff),
    _entry("maps: no data", _known, change_tiff),
)
