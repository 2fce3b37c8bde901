"""TIFF below `image_io`: any depth and number of channels, one image a file.

tifffile reads what it can decompress by itself. Pillow reads the rest (LZW,
JPEG) and converts palettes and CMYK; where it would change the depth, that is
an error.
"""

import struct

import numpy as np
import tifffile

from keras_patching.data import image_formats

_WHITE_IS_ZERO, _PALETTE, _CMYK, _YCBCR = 0, 3, 5, 6
_LOSSY = (6, 7, 34892, 50001)
_LAYOUT_TAGS = {256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 317}
_LAYOUT_TAGS |= {320, 322, 323, 324, 325, 338, 339}


def tiff_header(stream, path):
    """Read the `ImageHeader` of a TIFF."""
    with image_formats.naming(path), tifffile.TiffFile(stream) as tiff:
        return _header_of(_only_series(tiff, path), path)


def tiff_pixels(stream, path, raw):
    """Decode to `(h, w, c)`, and whether the last channel is alpha."""
    with image_formats.naming(path), tifffile.TiffFile(stream) as tiff:
        series = _only_series(tiff, path)
        header = _header_of(series, path)
        page = series.keyframe
        if raw:
            _refuse_uncertain_mask(page, path)
        array = None if _needs_colours(page, raw) else _stored(series)
        if array is not None:
            alpha = bool(page.extrasamples) and page.extrasamples[-1] in (1, 2)
            array = _as_seen(_channels_last(array, series.axes), page, raw)
            array = array.astype(header.dtype, copy=False)
            return image_formats.upright(array, _orientation(page)), alpha
    stream.seek(0)
    return _by_pillow(stream, path, raw, header, page)


def _only_series(tiff, path):
    """The one image of the file; thumbnails and pyramids do not count."""
    series = [one for one in tiff.series if not one.keyframe.is_reduced]
    axes = dict(zip(series[0].axes, series[0].shape, strict=False))
    others = [axis for axis in axes if axis not in "YX" and axes[axis] > 1]
    in_channels = not others or others in (["S"], ["C"])
    _refuse_lost_tags(tiff, series[0].keyframe, path)
    if len(series) == 1 and in_channels and {"Y", "X"} <= axes.keys():
        return series[0]
    raise image_formats.ImageFileError(
        f"{path}: a TIFF of {len(tiff.pages)} pages (axes {series[0].axes} "
        f"with shape {series[0].shape}), expected one image. Save each image "
        "as a file of its own, and channels interleaved: with tifffile, "
        "photometric='minisblack' and planarconfig='contig'."
    )


def _refuse_lost_tags(tiff, page, path):
    """Raise where tifffile goes on with a default, such as 1 bit a pixel."""
    layout = tiff.tiff
    tiff.filehandle.seek(page.offset)
    (count,) = struct.unpack(
        layout.tagnoformat, tiff.filehandle.read(layout.tagnosize)
    )
    entries = tiff.filehandle.read(count * layout.tagsize)
    declared = {
        struct.unpack_from(layout.byteorder + "H", entries, start)[0]
        for start in range(0, len(entries), layout.tagsize)
    }
    lost = (declared & _LAYOUT_TAGS) - set(page.tags.keys())
    if lost:
        raise image_formats.ImageFileError(
            f"{path}: truncated or damaged, the tags {sorted(lost)} cannot be "
            "read. Replace or remove it."
        )


def _header_of(series, path):
    axes = dict(zip(series.axes, series.shape, strict=False))
    page = series.keyframe
    channels = axes.get("S", 1) * axes.get("C", 1)
    if page.photometric in (_PALETTE, _CMYK):
        channels = 3
    size = axes["Y"], axes["X"]
    return image_formats.make_header(
        size, channels, series.dtype, _orientation(page), path
    )


def _orientation(page):
    tag = page.tags.get(274)
    return 1 if tag is None else tag.value


def _needs_colours(page, raw):
    return not raw and page.photometric in (_PALETTE, _CMYK, _YCBCR)


def _refuse_uncertain_mask(page, path):
    if page.compression in _LOSSY:
        raise image_formats.ImageFileError(
            f"{path}: a mask with the lossy compression "
            f"{page.compression.name}, whose class ids are not exact. Save "
            "the original mask with deflate or as PNG."
        )
    if page.photometric == _WHITE_IS_ZERO:
        raise image_formats.ImageFileError(
            f"{path}: a mask in which 0 is shown white, so that it is open "
            "which value is the background. Save it with black as zero (in "
            "ImageJ: Image > Lookup Tables > Grays)."
        )


def _stored(series):
    """Stored pixels, or None where tifffile lacks the decompressor."""
    try:
        return series.asarray()
    except (ImportError, NotImplementedError):
        return None
    except ValueError as error:
        if "imagecodecs" in str(error):
            return None
        raise


def _channels_last(array, axes):
    rest = [index for index, axis in enumerate(axes) if axis not in "YX"]
    array = array.transpose(axes.index("Y"), axes.index("X"), *rest)
    return np.ascontiguousarray(array.reshape(*array.shape[:2], -1))


def _as_seen(array, page, raw):
    if page.photometric == _WHITE_IS_ZERO and array.dtype.kind in "ub":
        array = np.invert(array)
    if array.dtype.kind == "b" and not raw:
        array = array * np.uint8(255)
    return array


def _by_pillow(stream, path, raw, header, page):
    problem = (
        f"{path}: {header.channels} channels of {header.dtype} with the "
        f"compression {page.compression.name} cannot be read exactly. Save it "
        "uncompressed or with deflate, or `pip install imagecodecs`."
    )
    try:
        array, alpha = image_formats.pillow_pixels(stream, "TIFF", path, raw)
    except image_formats.ImageFileError as error:
        raise image_formats.ImageFileError(f"{problem} ({error})") from error
    if array.dtype != header.dtype or array.shape[:2] != header.size:
        raise image_formats.ImageFileError(problem)
    return array, alpha
