"""The formats below `image_io`: PNG, JPEG, BMP, WebP and npy.

Here is what every format shares: telling it by its first bytes, the limit of
pixels, errors that name the file, EXIF orientation. TIFF has its own module.
`raw` asks for what is stored instead of what is seen: the indices of a
palette, 0 and 1 of a bit.
"""

import contextlib
import dataclasses
import io
import os
import struct
import threading

import numpy as np
from PIL import (
    BmpImagePlugin,
    Image,
    ImageFile,
    PngImagePlugin,
    WebPImagePlugin,
)

from keras_patching._faults import ImageFileError
from keras_patching.data.images import jpeg_format, png_format
from keras_patching.data.images.decoding_memory import room_for
from keras_patching.data.images.npy_files import read_npy_header

# A pixel of more than four bytes counts as several.
MAX_PIXELS = 2**30
BYTES_OF_A_PIXEL = 4
MAX_PIXELS_VARIABLE = "KERAS_PATCHING_MAX_IMAGE_PIXELS"


# The classes themselves: `Image.open` would check a limit that is not ours,
# and take the second picture in a phone's JPEG for an animation.
_PILLOW_CLASSES = {
    "PNG": PngImagePlugin.PngImageFile,
    "JPEG": jpeg_format.Picture,
    "BMP": BmpImagePlugin.BmpImageFile,
    "WebP": WebPImagePlugin.WebPImageFile,
}
_MAGIC = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
    b"\x93NUMPY": "npy",
}
_POINTER = b"version https://git-lfs"
_SEEN_MODES = {"1": "L", "P": "RGB", "PA": "RGBA", "La": "LA", "RGBa": "RGBA"}
_SEEN_MODES |= dict.fromkeys(("RGBX", "CMYK", "YCbCr"), "RGB")
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
_TURNS = {
    2: lambda array: array[:, ::-1],
    3: lambda array: array[::-1, ::-1],
    4: lambda array: array[::-1],
    5: lambda array: array.swapaxes(0, 1),
    6: lambda array: np.rot90(array, -1),
    7: lambda array: array[::-1, ::-1].swapaxes(0, 1),
    8: lambda array: np.rot90(array),
}


@dataclasses.dataclass(frozen=True)
class ImageHeader:
    """What a file says of its image, before its pixels are decoded.

    Attributes:
        size: `(height, width)` in pixels, EXIF orientation applied.
        channels: Channels that `decode_image` gives, 1 for grey.
        dtype: NumPy dtype that `decode_image` gives.
        rotated: Whether the EXIF orientation swaps height and width.
    """

    size: tuple[int, int]
    channels: int
    dtype: np.dtype
    rotated: bool = False


@contextlib.contextmanager
def naming(path):
    """Turn whatever a decoder raises into an error that names the file."""
    try:
        yield
    except (MemoryError, ImageFileError):
        raise
    except Exception as error:
        raise ImageFileError(
            f"{path}: truncated or damaged, cannot be decoded "
            f"({type(error).__name__}: {error}). Replace or remove it."
        ) from error


def format_of(stream, path):
    """Tell the format by the first bytes, since suffixes lie."""
    head = stream.read(16)
    stream.seek(0)
    for magic, name in _MAGIC.items():
        if head.startswith(magic):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    if not head:
        raise ImageFileError(
            f"{path}: is empty (0 bytes). Replace or remove it."
        )
    if stream.read(len(_POINTER)) == _POINTER:
        raise ImageFileError(
            f"{path}: a pointer of Git LFS to an image that is not here. Fetch "
            "it with `git lfs pull`."
        )
    raise ImageFileError(
        f"{path}: not an image that can be read. Found a file that starts "
        f"with {head[:8]!r}, expected PNG, JPEG, TIFF, BMP, WebP or npy. "
        "Convert, replace or remove it."
    )


def make_header(size, channels, dtype, orientation, path):
    """Make an `ImageHeader` of the stored size, if the limit allows it."""
    height, width = size
    dtype = plain_dtype(dtype)
    _check_pixels(height, width, channels * dtype.itemsize, path)
    rotated = orientation in (5, 6, 7, 8)
    size = (width, height) if rotated else (height, width)
    return ImageHeader(size, channels, dtype, rotated)


def _check_pixels(height, width, pixel_bytes, path):
    text = os.environ.get(MAX_PIXELS_VARIABLE) or str(MAX_PIXELS)
    if not text.isdecimal():
        raise ImageFileError(
            f"The environment variable {MAX_PIXELS_VARIABLE} must be a whole "
            f"number of pixels. Received: {text!r}"
        )
    pixels = height * width * max(1, -(-pixel_bytes // BYTES_OF_A_PIXEL))
    if pixels > int(text):
        counted = f" of {pixel_bytes} bytes, which count as {pixels}"
        raise ImageFileError(
            f"{path}: has {height} x {width} = {height * width} pixels"
            f"{counted if pixels > height * width else ''}, more than the "
            f"limit of {int(text)}. If the file is meant to be that large, "
            f"set the environment variable {MAX_PIXELS_VARIABLE}={pixels}."
        )
    if height * width == 0:
        raise ImageFileError(f"{path}: has no pixels, {height} x {width}.")


def plain_dtype(dtype):
    """Native byte order; bits count as bytes."""
    dtype = np.dtype(dtype)
    return np.dtype("uint8") if dtype.kind == "b" else dtype.newbyteorder("=")


def upright(array, orientation):
    """Turn `(h, w, c)` as its EXIF orientation says."""
    turn = _TURNS.get(orientation)
    return array if turn is None else np.ascontiguousarray(turn(array))


class _Override:
    """Hold a module's global at a value while any thread is inside.

    The lock is held for the two switches only, so that threads decode at the
    same time; the last one out restores what the user had set.
    """

    def __init__(self, module, name, value):
        self.module, self.name, self.value = module, name, value
        self.lock = threading.Lock()
        self.inside = 0

    def __enter__(self):
        with self.lock:
            if self.inside == 0:
                self.restored = getattr(self.module, self.name)
                setattr(self.module, self.name, self.value)
            self.inside += 1

    def __exit__(self, *exception):
        with self.lock:
            self.inside -= 1
            if self.inside == 0:
                setattr(self.module, self.name, self.restored)


# WebP alone is asked for Pillow's limit here, while its header is read.
_no_pillow_limit = _Override(Image, "MAX_IMAGE_PIXELS", None)
no_half_images = _Override(ImageFile, "LOAD_TRUNCATED_IMAGES", False)


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
        array = np.asarray(image)
        if kind == "PNG":
            # Colours of a palette do not tell where nothing was stored.
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
    limit = _no_pillow_limit if kind == "WebP" else contextlib.nullcontext()
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


def npy_header(stream, path):
    """Read the `ImageHeader` of an npy file."""
    return _npy_layout(stream, path)[0]


def npy_pixels(stream, path, raw):
    """Decode to `(h, w, c)`; True is 255 when seen, 1 when raw."""
    header, dtype, order = _npy_layout(stream, path)
    shape = (*header.size, header.channels)
    with naming(path):
        array = np.frombuffer(
            stream.getvalue(), dtype, np.prod(shape), stream.tell()
        ).reshape(shape, order=order)
    if dtype.kind == "b" and not raw:
        array = array * np.uint8(255)
    return np.ascontiguousarray(array.astype(header.dtype, copy=False))


def _npy_layout(stream, path):
    with naming(path):
        shape, fortran, dtype = read_npy_header(stream)
    if len(shape) not in (2, 3) or 0 in shape or dtype.kind not in "uifb":
        raise ImageFileError(
            f"{path}: expected a numeric array (height, width) or (height, "
            f"width, channels). Found shape {shape} of {dtype}."
        )
    channels = shape[2] if len(shape) == 3 else 1
    header = make_header(shape[:2], channels, dtype, 1, path)
    return header, dtype, "F" if fortran else "C"


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
