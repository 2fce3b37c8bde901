"""The formats that Pillow decodes: PNG, JPEG, BMP and WebP.

Pillow is called without imageio, which hides what is needed: a header without
a decode, EXIF orientation, the indices of a palette, what is missing. `raw`
asks for what is stored instead of what is seen: the indices of a palette, 0
and 1 of a bit.

`png_format` and `jpeg_format` tell whether all of a file is there.
"""

import contextlib
import io
import struct

import numpy as np
from PIL import BmpImagePlugin, Image, PngImagePlugin, WebPImagePlugin

from keras_patching._faults import ImageFileError
from keras_patching.data.images import jpeg_format, png_format
from keras_patching.data.images.decoding_memory import room_for
from keras_patching.data.images.headers import make_header, naming, upright
from keras_patching.data.images.pillow_globals import (
    no_half_images,
    no_pillow_limit,
)

# Called instead of `Image.open`, which checks Pillow's own limit of pixels, and
# takes the second picture in a phone's JPEG for an animation.
_PILLOW_CLASSES = {
    "PNG": PngImagePlugin.PngImageFile,
    "JPEG": jpeg_format.Picture,
    "BMP": BmpImagePlugin.BmpImageFile,
    "WebP": WebPImagePlugin.WebPImageFile,
}
_SEEN_MODES = {"1": "L", "P": "RGB", "PA": "RGBA", "La": "LA", "RGBa": "RGBA"}
_SEEN_MODES |= dict.fromkeys(("RGBX", "CMYK", "YCbCr"), "RGB")
# Of the array that is made of an image, and how many are copied at once.
_PIXEL_BYTES = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}
_BYTES_AT_ONCE = 2**19
_CHANNELS_AND_DTYPE = {
    "L": (1, "uint8"),
    "LA": (2, "uint8"),
    "RGB": (3, "uint8"),
    "RGBA": (4, "uint8"),
    "I;16": (1, "uint16"),
    "I;16B": (1, "uint16"),
    "I": (1, "int32"),
    "F": (1, "float32"),
}


def pillow_header(stream, kind, path):
    """Read the `ImageHeader` of a format that Pillow reads."""
    return _header_of(_open_pillow(stream, kind, path), path)


def pillow_pixels(stream, kind, path, raw):
    """Decode to `(h, w, c)`, and whether the last channel is alpha."""
    image = _open_pillow(stream, kind, path)
    header = _header_of(image, path)
    dtype = header.dtype
    # Read before the load, which moves a PNG's metadata.
    orientation = _orientation(image)
    with naming(path), room_for(header, path), no_half_images:
        image = _load(image, stream.getvalue(), kind)
        stored = image.mode
        if not raw:
            image = _as_seen(image)
        array = _array_of(image)
        if kind == "PNG":
            # A missing row is of zeros, whose colour in a palette may be any.
            last_row = array[-1] if image.mode == stored else None
            png_format.check_rows(stream.getvalue(), last_row)
    if raw and image.mode == "L" and kind == "PNG":
        array = _unstretched(array, stream.getvalue()[24])
    array = array.astype(dtype, copy=False)
    if array.ndim == 2:
        array = array[..., None]
    return upright(array, orientation), image.mode[-1] in "Aa"


def _load(image, data, kind):
    """Decode all pixels, or raise."""
    if kind == "JPEG":
        return jpeg_format.load(data)
    if kind == "PNG":
        png_format.check_chunks(data)
    if kind == "WebP" and len(data) < 8 + int.from_bytes(data[4:8], "little"):
        raise ValueError("it has no end")
    image.load()
    return image


def _array_of(image):
    """Give `np.asarray(image)`, made a few rows at a time.

    Pillow copies all pixels twice for it, and lets no other thread run
    meanwhile: rows that the processor still holds are copied in a third of the
    time.
    """
    width, height = image.size
    rows = max(_BYTES_AT_ONCE // (width * _PIXEL_BYTES.get(image.mode, 1)), 1)
    if image.mode not in _PIXEL_BYTES or rows >= height:
        return np.asarray(image)
    array = None
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        part = np.asarray(image.crop((0, top, width, bottom)))
        if array is None:
            array = np.empty((height, *part.shape[1:]), part.dtype)
        array[top:bottom] = part
    return array


def is_lossy(data, kind):
    """Tell whether JPEG or WebP bytes changed values when they were made."""
    if kind != "WebP":
        return kind == "JPEG"
    position = 12
    while position + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, position)
        if name in (b"VP8 ", b"VP8L"):
            return name == b"VP8 "
        position += 8 + length + length % 2
    return False


def _open_pillow(stream, kind, path):
    if kind == "PNG":
        _refuse_deep_png(stream.read(26), path)
        stream.seek(0)
    limit = no_pillow_limit if kind == "WebP" else contextlib.nullcontext()
    with naming(path), limit:
        image = _PILLOW_CLASSES[kind](stream)
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        raise ImageFileError(
            f"{path}: an animation of {frames} frames, expected one image. "
            "Save each frame as a file of its own."
        )
    if _seen_mode(image) not in _CHANNELS_AND_DTYPE:
        raise ImageFileError(
            f"{path}: pixels of the kind {image.mode!r} cannot be read. "
            "Convert it to grey or RGB."
        )
    return image


def _refuse_deep_png(head, path):
    if len(head) == 26 and head[24] == 16 and head[25] != 0:
        raise ImageFileError(
            f"{path}: a PNG of 16 bits with colour or alpha, which would be "
            "read with 8 bits only. Save it as TIFF, which is read exactly."
        )


def _header_of(image, path):
    width, height = image.size
    channels, dtype = _CHANNELS_AND_DTYPE[_seen_mode(image)]
    if image.mode == "I" and image.format == "PNG":
        dtype = "uint16"  # what Pillow before 11 makes of 16 bits
    return make_header(
        (height, width), channels, dtype, _orientation(image), path
    )


def _seen_mode(image):
    if image.mode == "P" and "transparency" in image.info:
        return "RGBA"
    return _SEEN_MODES.get(image.mode, image.mode)


def _as_seen(image):
    mode = _seen_mode(image)
    return image if image.mode == mode else image.convert(mode)


def _unstretched(array, bits):
    """Undo Pillow's stretch of 2 and 4 bits to 0..255."""
    return array // (255 // (2**bits - 1)) if bits < 8 else array


def _orientation(image):
    """EXIF orientation, 1 to 8.

    Read here, since Pillow reads all of EXIF and warns about damage in parts
    that do not matter.
    """
    exif = image.info.get("exif", b"").removeprefix(b"Exif\0\0")
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        return 1
    with contextlib.suppress(struct.error):
        (start,) = struct.unpack_from(order + "I", exif, 4)
        (count,) = struct.unpack_from(order + "H", exif, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, _, _, value = struct.unpack_from(order + "HHIH", exif, entry)
            if tag == 274:
                return value
    return 1


def encode_palette_png(indices, palette):
    """Encode a PNG of indices into a palette.

    Args:
        indices: uint8 `(height, width)`.
        palette: RGB `(n, 3)`, 0 to 255, of the indices 0, 1 and so on; those
            beyond are grey.

    Returns:
        Bytes.
    """
    # Pillow packs indices into as few bits as the palette needs.
    colors = np.full((int(indices.max()) + 1, 3), 128, "uint8")
    given = np.asarray(palette, "uint8")[:256]
    colors = np.concatenate([given, colors[len(given) :]])
    image = Image.fromarray(indices)
    image.putpalette(colors.tobytes())
    stream = io.BytesIO()
    image.save(stream, format="PNG")
    return stream.getvalue()
