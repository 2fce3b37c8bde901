"""The format TIFF: any depth and number of channels, one image a file.

The table of `tiff_compressions` says which compressions are read, `check_page`
what else: the rest is refused by name. What is read comes out as tifffile,
GDAL and Pillow read it, which the tests compare.

tifffile is called without imageio, which reads fewer kinds, and pages of a
stack as if they were one image.
"""

import dataclasses
import io
import itertools
import os
from importlib.util import find_spec

import numpy as np
import tifffile
from PIL import Image

from keras_patching._faults import ImageFileError
from keras_patching.data.images.decoding_memory import room_for
from keras_patching.data.images.headers import make_header, naming, upright
from keras_patching.data.images.microscopes import check_planes
from keras_patching.data.images.nodata import nodata_value
from keras_patching.data.images.tiff_compressions import (
    COMPRESSIONS,
    INSTALL,
    left_to_imagecodecs,
)
from keras_patching.data.images.tiff_directory import read_directories
from keras_patching.data.images.tiff_segments import (
    read_segments,
    segment_shape,
)

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB = 0, 1, 2
_PALETTE, _CMYK, _YCBCR = 3, 5, 6
_MEANINGS = (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB)
_JPEG = 7
_PLANES = 2
_ALPHA = (1, 2)
_NODATA_TAG = 42113
_MASK = 4
MAGIC = b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"
# Where one of them cannot be read, tifffile goes on with a default.
_TAGS_WITH_DEFAULTS = {256, 257, 258, 259, 262, 266, 273, 277, 278, 279}
_TAGS_WITH_DEFAULTS |= {284, 317, 320, 322, 323, 324, 325, 338, 339}


@dataclasses.dataclass(frozen=True)
class Found:
    """The image of a file that is meant.

    Attributes:
        page: `tifffile.TiffPage` that says how it is stored.
        pages: Its pages, one per channel where there are several.
        axes, shape: Of the whole, as tifffile names them.
        series: `tifffile.TiffPageSeries` of channels that lie behind each
            other, of which only the first has a page; else `None`.
    """

    page: tifffile.TiffPage
    pages: list
    axes: str
    shape: tuple[int, ...]
    series: tifffile.TiffPageSeries | None = None


def tiff_header(stream, path):
    """Read the `ImageHeader` of a TIFF."""
    with naming(path):
        return header_of(find_image(stream, path), path)


def tiff_pixels(stream, path, raw):
    """Decode to `(h, w, c)`, and whether the last channel is alpha."""
    with naming(path):
        found = find_image(stream, path)
        header = header_of(found, path)
        page = found.page
        if raw:
            _refuse_uncertain_mask(page, path)
        with room_for(header, path):
            array = _stored(stream.getvalue(), found, path)
        array = as_seen(channels_last(array, found.axes), page, raw)
        array = array.astype(header.dtype, copy=False)
        return upright(array, orientation(page)), has_alpha(page)


def tiff_nodata(data):
    """Give the value that a GeoTIFF declares to be no data, as text.

    Args:
        data: Bytes of a file of any format.

    Returns:
        The text of the tag, or `None`.
    """
    if not data.startswith(MAGIC):
        return None
    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        return nodata_of(tiff)


def nodata_of(tiff):
    """Give the text of the tag of a `tifffile.TiffFile`, or `None`."""
    tag = tiff.pages.first.tags.get(_NODATA_TAG)
    return None if tag is None else str(tag.value).strip(" \0")


def mask_page(page):
    """Give the page that says where another has data, or `None`.

    Args:
        page: `tifffile.TiffPage` of the image.
    """
    # GDAL writes it next to the image, among overviews at the most.
    for each in itertools.islice(page.parent.pages, 32):
        size = getattr(each, "imagelength", 0), getattr(each, "imagewidth", 0)
        is_mask = getattr(each, "subfiletype", 0) & _MASK
        if is_mask and size == (page.imagelength, page.imagewidth):
            return each
    return None


def lacks_data(page):
    """Tell whether pixels may have no data, by value, mask or alpha."""
    nodata = nodata_value(nodata_of(page.parent), np.dtype(page.dtype))
    return nodata is not None or has_alpha(page) or mask_page(page) is not None


def first_tags(stream, path):
    """Give the `tifffile.TiffTags` of the first image, without its pixels."""
    with naming(path):
        return tifffile.TiffFile(stream, _multifile=False).pages.first.tags


def find_image(stream, path):
    """The one image of the file; thumbnails and masks do not count."""
    directories = read_directories(stream)
    tiff = open_tiff(stream, path)
    images = [i for i, each in enumerate(directories) if each.is_image] or [0]
    page = tiff.pages[images[0]]
    check_page(page, directories[images[0]], path)
    found = Found(page, [page], page.axes, page.shape)
    if len(images) > 1 or not tiff.is_ome:
        layouts = [directories[index].layout for index in images]
        found = _find_series(tiff, found, layouts, path)
    axes = dict(zip(found.axes, found.shape, strict=True))
    others = [axis for axis in axes if axis not in "YX" and axes[axis] > 1]
    in_channels = not others or others in (["S"], ["C"])
    if in_channels and {"Y", "X"} <= axes.keys():
        return found
    raise _several(len(tiff.pages), found.axes, found.shape, path)


def open_tiff(stream, path):
    """Open a `tifffile.TiffFile`; its directories must have been walked."""
    stream.seek(0)
    tiff = tifffile.TiffFile(
        stream,
        name=os.path.basename(path),
        # Other files that this one names are images of their own.
        _multifile=False,
        is_mmstack=False,
        is_ndtiff=False,
    )
    if tiff.is_ome:
        check_planes(tiff, path)
    return tiff


def is_image(series):
    """Whether a `tifffile.TiffPageSeries` is no thumbnail, mask or the like."""
    if series.kind == "svs":
        return series.name == "Baseline"
    return not (series.keyframe.is_reduced or series.keyframe.is_mask)


def _find_series(tiff, found, layouts, path):
    """Find what belongs to the first image: channels on pages of their own."""
    # A thumbnail alone is the image.
    several = [*filter(is_image, tiff.series)] or tiff.series
    series = several[0]
    count = len(series.pages)
    if series.kind == "svs" and count == 1:
        return found
    if len(several) == 1 and len(layouts) == 1 == count:
        if series.size == found.page.size:
            return found
        if series.dataoffset is not None:
            return Found(found.page, [], series.axes, series.shape, series)
    alike = all(layout == layouts[0] for layout in layouts)
    whole = len(several) == 1 and count == len(layouts)
    if not (alike and whole and None not in series.pages):
        raise _several(len(tiff.pages), series.axes, series.shape, path)
    return Found(found.page, list(series.pages), series.axes, series.shape)


def _several(pages, axes, shape, path):
    return ImageFileError(
        f"{path}: a TIFF of {pages} pages (axes {axes} with shape {shape}), "
        "expected one image. Say which of them is meant: "
        "keras_patching.data.open_image(path, series=..., z=..., t=...). Or "
        "save each image as a file of its own, and channels interleaved: with "
        "tifffile, photometric='minisblack' and planarconfig='contig'."
    )


def _refuse_lost_tags(page, directory, path):
    """Raise where tifffile goes on with a default, such as 1 bit a pixel."""
    lost = (directory.tags & _TAGS_WITH_DEFAULTS) - set(page.tags.keys())
    if lost:
        raise ImageFileError(
            f"{path}: truncated or damaged, the tags {sorted(lost)} cannot be "
            "read. Replace or remove it."
        )


def check_page(page, directory, path):
    """Refuse what is not read, by the names of its tags.

    Args:
        page: `tifffile.TiffPage`.
        directory: The `Directory` of it.
        path: Path that error messages name.
    """
    _refuse_lost_tags(page, directory, path)
    fault = _fault(page)
    if fault:
        raise ImageFileError(
            f"{path}: {fault}, which cannot be read exactly. Save it as TIFF "
            "of grey or RGB with deflate or without compression (with GDAL: "
            "gdal_translate -co COMPRESS=DEFLATE)."
        )


def _fault(page):
    how = COMPRESSIONS.get(int(page.compression))
    stored = (
        f"a TIFF of {page.samplesperpixel} channels of {page.bitspersample} "
        f"bits with the compression {_name(page.compression)}"
    )
    if how is None or page.dtype is None or page.dtype.kind not in "uifb":
        return stored
    if page.samplesperpixel == 1 and has_alpha(page):
        return f"{stored}, which is alpha alone"
    bits, samples = page.bitspersample, segment_shape(page).samples
    if bits not in (how.bits or (bits,)):
        return stored
    if samples not in (how.samples or (samples,)):
        return stored
    if page.predictor not in _predictors(how, page.dtype):
        return f"{stored} and the predictor {_name(page.predictor)}"
    if page.imagedepth > 1 or page.tiledepth > 1:
        return f"a TIFF of a depth of {page.imagedepth}"
    if not _has_meaning(page):
        return f"{stored} whose pixels are {_name(page.photometric)}"
    return None


def _predictors(how, dtype):
    """Differences of numbers, or of the bytes of floats, are undone."""
    if not how.predictors:
        return (1,)
    return (1, 2, 3) if dtype.kind == "f" else (1, 2)


def _has_meaning(page):
    """Tell whether what the numbers mean is known."""
    bits, planes = page.bitspersample, page.planarconfig == _PLANES
    if page.photometric == _YCBCR:
        return page.compression == _JPEG and not planes
    if page.photometric == _CMYK:
        return bits == 8 and page.samplesperpixel == 4 and not planes
    if page.photometric == _PALETTE:
        return bits <= 16 and page.samplesperpixel == 1 and _has_colours(page)
    return page.photometric in _MEANINGS


def _has_colours(page):
    colours = page.colormap
    return colours is not None and colours.shape == (3, 2**page.bitspersample)


def _name(value):
    return getattr(value, "name", value)


def header_of(found, path, limited=True):
    """Make the `ImageHeader` of the image; see `make_header`."""
    axes = dict(zip(found.axes, found.shape, strict=True))
    page = found.page
    channels = axes.get("S", 1) * axes.get("C", 1)
    dtype = page.dtype
    if page.photometric in (_PALETTE, _CMYK):
        channels, dtype = 3, np.dtype("uint8")
    size = axes["Y"], axes["X"]
    header = make_header(
        size, channels, dtype, orientation(page), path, limited
    )
    return dataclasses.replace(header, lacks_data=lacks_data(page))


def orientation(page):
    """Give the EXIF orientation, 1 where there is none."""
    tag = page.tags.get(274)
    return 1 if tag is None else tag.value


def has_alpha(page):
    """Tell whether the last channel is alpha."""
    return bool(page.extrasamples) and page.extrasamples[-1] in _ALPHA


def _refuse_uncertain_mask(page, path):
    if COMPRESSIONS[int(page.compression)].lossy:
        raise ImageFileError(
            f"{path}: a mask with the lossy compression "
            f"{_name(page.compression)}, whose class ids are not exact. Save "
            "the original mask with deflate or as PNG."
        )
    if page.photometric == _WHITE_IS_ZERO:
        raise ImageFileError(
            f"{path}: a mask in which 0 is shown white, so that it is open "
            "which value is the background. Save it with black as zero (in "
            "ImageJ: Image > Lookup Tables > Grays)."
        )


def _stored(data, found, path):
    """Stored values, in the shape that `found` tells."""
    require_imagecodecs(found.page, path)
    if found.series is not None:
        return found.series.asarray()
    planes = [read_segments(data, found.page, page) for page in found.pages]
    return np.stack(planes).reshape(found.shape)


def require_imagecodecs(page, path):
    """Refuse a page that needs imagecodecs where it is not installed."""
    missing = left_to_imagecodecs(page)
    if missing and not find_spec("imagecodecs"):
        raise ImageFileError(
            f"{path}: TIFFs with {missing} are read with {INSTALL}. Install "
            "it, or save the image in 8, 16 or 32 bits with deflate, without "
            "a predictor."
        )


def channels_last(array, axes):
    """Bring an array of such axes into the shape `(h, w, c)`."""
    rest = [index for index, axis in enumerate(axes) if axis not in "YX"]
    array = array.transpose(axes.index("Y"), axes.index("X"), *rest)
    return np.ascontiguousarray(array.reshape(*array.shape[:2], -1))


def as_seen(array, page, raw):
    """Turn stored values of `(h, w, c)` into colours; masks stay, if `raw`."""
    if page.photometric == _WHITE_IS_ZERO and array.dtype.kind in "ub":
        array = _inverted(array, page.bitspersample)
    if raw:
        return array
    if page.photometric == _PALETTE:
        colours = page.colormap
        # Of 16 bits the upper 8 are kept, as Pillow does; some writers have
        # stored bytes.
        if colours.max() > 255:
            colours = colours // 256
        return colours.astype("uint8").T[array[..., 0]]
    if page.photometric == _CMYK:
        size = array.shape[1::-1]
        image = Image.frombytes("CMYK", size, array.tobytes())
        return np.asarray(image.convert("RGB"))
    if array.dtype.kind == "b":
        array = array * np.uint8(255)
    return array


def _inverted(array, bits):
    if array.dtype.kind == "b":
        return ~array
    return array.dtype.type(2**bits - 1) - array
