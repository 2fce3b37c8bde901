"""Images and masks to arrays and back: exactly, or not at all.

The only module that imports imageio; `image_formats` and `tiff_format` below
it call the Pillow and tifffile that come with it where imageio hides what is
needed: a header without a decode, EXIF orientation, palette indices,
truncation. What they would change silently (16 bits cut to 8, half a file
filled with grey) is an error here that names the file.
"""

import contextlib
import io
import os
import pathlib
import unicodedata

import imageio.v3 as iio
import numpy as np
import tifffile

from keras_patching._faults import ImageFileError, readable
from keras_patching._whole_files import whole_file
from keras_patching.data.images import image_formats, tiff_format
from keras_patching.data.images.image_formats import ImageHeader

# Raise it with every change after which a file gives other values than before:
# patches that were cut from what was read until then are not used any more.
READER_VERSION = 3

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".npy")

_PNG_HOLDS = {("uint8", 1), ("uint8", 3), ("uint8", 4), ("uint16", 1)}
_JPEG_HOLDS = {("uint8", 1), ("uint8", 3)}


def list_images(directory, broken="error") -> dict[str, pathlib.Path]:
    """List the image files of one folder, without its subfolders.

    Hidden files and files without an image suffix are left out.

    Args:
        directory: Path of a folder.
        broken: What to do with links that lead nowhere, as git-annex, DVC and
            disks that are not there leave behind: "error", or "list" them
            like images.

    Returns:
        A dict from stem (`"a"` for `a.png`) to `pathlib.Path`, sorted by
        file name.

    Raises:
        FileNotFoundError: There is no such folder, or a link leads nowhere.
        ValueError: No image in it, it may not be read, or one stem twice
            (`a.png`, `a.jpg`, or one name in two spellings of Unicode).
    """
    directory = pathlib.Path(directory)
    if not directory.is_dir():
        raise FileNotFoundError(
            f"{directory}: no such folder. Expected a folder of images."
        )
    names = _image_names(directory)
    if broken == "error":
        _refuse_broken(directory, names)
    if not names:
        raise ValueError(
            f"{directory}: no images found. Expected files with one of the "
            f"suffixes {' '.join(SUFFIXES)} directly in this folder."
            f"{_describe_folders(directory)}"
        )
    by_stem = {}
    for name in names:
        stem = unicodedata.normalize("NFC", pathlib.Path(name).stem)
        by_stem.setdefault(stem, []).append(name)
    twice = [same for same in by_stem.values() if len(same) > 1]
    if twice:
        listed = "; ".join(_apart(same) for same in twice[:20])
        raise ValueError(
            f"{directory}: {len(twice)} names belong to more than one file: "
            f"{listed}. Images and labels are paired by name without suffix: "
            "rename or remove one of each."
        )
    return {pathlib.Path(name).stem: directory / name for name in names}


def _image_names(directory):
    with readable(directory), os.scandir(directory) as entries:
        return sorted(
            entry.name
            for entry in entries
            if entry.name.lower().endswith(SUFFIXES)
            and not entry.name.startswith(".")
            and (entry.is_symlink() or entry.is_file())
            and not os.path.isdir(entry.path)
        )


def _refuse_broken(directory, names):
    broken = [name for name in names if not os.path.exists(directory / name)]
    if broken:
        listed = ", ".join(
            f"{name} -> {os.readlink(directory / name)}" for name in broken[:20]
        )
        rest = f" and {len(broken) - 20} more" if len(broken) > 20 else ""
        raise FileNotFoundError(
            f"{directory}: {len(broken)} links lead nowhere: {listed}{rest}. "
            "Fetch the files (`git annex get`, `dvc pull`, mount the disk), or "
            "remove the links."
        )


def _describe_folders(directory):
    """Name folders that hold images, where images themselves are missing."""
    with os.scandir(directory) as entries:
        folders = sorted(entry.name for entry in entries if entry.is_dir())
    for name in folders[:20]:
        with contextlib.suppress(OSError, ValueError):
            if _image_names(directory / name):
                return f" There are some in its folder {name}: pass that."
    return ""


def _apart(names):
    """List names; those that look alike by their code points too."""
    composed = {unicodedata.normalize("NFC", name) for name in names}
    if len(composed) == len(names):
        return ", ".join(names)
    told = ", ".join(f"{name} ({name!a})" for name in names)
    return f"{told}, which are two spellings of one name in Unicode"


def read_header(path) -> ImageHeader:
    """Read size, channels and dtype of an image without decoding it.

    Args:
        path: Path of an image file.

    Returns:
        An `ImageHeader`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: Empty, not an image, several images, more pixels than the
            declared limit, or a depth that cannot be read exactly.
    """
    with open(path, "rb") as stream:
        return _read_header(stream, path)


def decode_header(data, path) -> ImageHeader:
    """Read the header in the bytes of an image file. See `read_header`."""
    return _read_header(io.BytesIO(data), path)


def _read_header(stream, path):
    kind = image_formats.format_of(stream, path)
    if kind == "npy":
        return image_formats.npy_header(stream, path)
    if kind == "TIFF":
        return tiff_format.tiff_header(stream, path)
    return image_formats.pillow_header(stream, kind, path)


def decode_image(data, path, channels=None):
    """Decode the bytes of an image file, keeping its dtype and values.

    EXIF orientation is applied. 1-bit images become 0 and 255, palettes and
    CMYK become RGB.

    Args:
        data: Bytes of the whole file.
        path: Path that error messages name.
        channels: Wanted number of channels; `None` keeps those of the file.
            Grey is repeated to 3, an alpha channel is dropped, nothing else
            is converted.

    Returns:
        Array `(height, width, channels)`, which may be read-only.

    Raises:
        ValueError: As for `read_header`, and for truncated data and for
            channels that cannot be converted.
    """
    array, alpha = _decode(data, path)
    found = array.shape[2]
    if channels is None or channels == found:
        return array
    if alpha and channels == found - 1:
        return np.ascontiguousarray(array[..., :channels])
    if channels == 3 and (found == 1 or (alpha and found == 2)):
        return np.repeat(array[..., :1], 3, axis=-1)
    raise ValueError(
        f"{path}: has {found} channels, expected {channels}. Only grey is "
        f"repeated to 3 channels and alpha dropped: pass channels={found}, "
        "or channels=None to keep what the files have."
    )


def decode_mask(data, path):
    """Decode the bytes of a mask file to the integers that it stores.

    Palette masks give their indices, 1-bit masks 0 and 1, colour masks whose
    channels are all equal their grey value, floats that are whole numbers
    those numbers. EXIF orientation is applied.

    Args:
        data: Bytes of the whole file.
        path: Path that error messages name.

    Returns:
        Array `(height, width)` of an integer dtype, which may be read-only.

    Raises:
        ValueError: As for `decode_image`, and for lossy files, colours and
            fractions.
    """
    mask = decode_label(data, path, "mask")
    if mask.dtype.kind == "f":
        mask = _whole_numbers(mask, path)
    return np.ascontiguousarray(mask)


def decode_label(data, path, noun):
    """Decode the bytes of an image of labels to the numbers that it stores.

    As `decode_mask`, with fractions.

    Args:
        data: Bytes of the whole file.
        path: Path that error messages name.
        noun: What the image is, for messages: "mask".

    Returns:
        Array `(height, width)`, which may be read-only.

    Raises:
        ValueError: As for `decode_image`, and for lossy files, colours and
            transparency.
    """
    array, alpha = _decode(data, path, noun)
    colours = array[..., : array.shape[2] - alpha]
    label = colours[..., 0]
    if colours.shape[2] > 1 and (colours != label[..., None]).any():
        raise ImageFileError(
            f"{path}: a {noun} must have one channel, or channels that are all "
            f"equal. Found {colours.shape[2]} channels that differ. "
            f"{_describe_colours(colours, noun)}"
        )
    if alpha:
        _check_opaque(array[..., -1], label, path, noun)
    return label


def _check_opaque(alpha, label, path, noun):
    """Refuse transparency that says something else than the numbers."""
    opaque = 1 if alpha.dtype.kind == "f" else np.iinfo(alpha.dtype).max
    is_opaque = alpha == opaque
    drawn_on_nothing = (is_opaque | (alpha == 0)) & (is_opaque == (label > 0))
    if not (is_opaque.all() or drawn_on_nothing.all()):
        raise ImageFileError(
            f"{path}: a {noun} with an alpha channel that is not opaque "
            "everywhere, so colour or alpha may be the label. Save the "
            "numbers that are meant as a grey PNG or TIFF without alpha."
        )


def _describe_colours(colours, noun):
    """Say how to make numbers of channels that differ."""
    if noun != "mask":
        return "Save it as a grey image."
    highest = colours.max()
    is_hot = colours == highest
    if ((colours == 0) | is_hot).all() and (is_hot.sum(axis=-1) == 1).all():
        return (
            "They are one-hot: save np.argmax(mask, axis=-1).astype('uint8'), "
            "of shape (height, width)."
        )
    pixels = colours.reshape(-1, colours.shape[2])
    some = pixels[:: len(pixels) // 100_000 + 1]  # finding all takes seconds
    count = len(np.unique(some, axis=0))
    return (
        f"Found {count} or more colours: save the id of each as a grey or "
        "palette PNG or TIFF."
    )


def nodata_of(data):
    """Give the text of the value that a GeoTIFF declares to be no data.

    Args:
        data: Bytes of a file of any format.

    Returns:
        A string such as "-9999", or `None`.
    """
    return tiff_format.tiff_nodata(data)


def read_image(path, channels=None):
    """Read an image file. See `decode_image`.

    Args:
        path: Path of an image file.
        channels: Wanted number of channels; `None` keeps those of the file.

    Returns:
        Array `(height, width, channels)` of the file's dtype.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It cannot be read exactly.

    Example:
        >>> image = read_image("field.jpg", channels=3)
        >>> image.shape, image.dtype
        ((3000, 4000, 3), dtype('uint8'))
    """
    return decode_image(pathlib.Path(path).read_bytes(), path, channels)


def read_mask(path):
    """Read a mask file. See `decode_mask`.

    Args:
        path: Path of a mask file.

    Returns:
        Array `(height, width)` of an integer dtype.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It cannot be read exactly.
    """
    return decode_mask(pathlib.Path(path).read_bytes(), path)


def write_image(path, array, palette=None):
    """Write an array as PNG, JPEG, TIFF or npy, by the suffix of the path.

    Args:
        path: Path of the file to write.
        array: Array `(height, width)` or `(height, width, channels)`.
        palette: RGB `(n, 3)`, 0 to 255, of the values 0, 1 and so on of a PNG
            of uint8 class ids: viewers show the colours, and `read_mask`
            reads the ids. Other formats go without.

    Raises:
        ValueError: The format cannot hold the array; names one that can.
    """
    array = np.asarray(array)
    suffix = pathlib.Path(path).suffix.lower()
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.ndim not in (2, 3) or 0 in array.shape:
        raise ValueError(
            f"{path}: expected an array (height, width) or (height, width, "
            f"channels) with pixels. Received: shape={array.shape}"
        )
    pathlib.Path(path).write_bytes(_encode(path, suffix, array, palette))


def write_whole_image(path, array, palette=None):
    """Write an image in one step; as `write_image` does."""
    with whole_file(path) as temporary:
        try:
            write_image(temporary, array, palette)
        except ValueError as error:
            message = str(error).replace(str(temporary), str(path))
            raise ValueError(message) from error


def _encode(path, suffix, array, palette):
    channels = 1 if array.ndim == 2 else array.shape[2]
    kind = (array.dtype.name, channels)
    stream = io.BytesIO()
    if suffix == ".npy" and array.dtype.kind in "uifb":
        np.save(stream, array, allow_pickle=False)
    elif suffix in (".tif", ".tiff") and array.dtype.kind in "uif":
        color = channels in (3, 4) and array.dtype.kind == "u"
        tifffile.imwrite(
            stream,
            array,
            photometric="rgb" if color else "minisblack",
            planarconfig="contig" if channels > 1 else None,
            extrasamples=["unspecified"] if color and channels == 4 else None,
            compression="zlib",
            metadata=None,
        )
    elif suffix == ".png" and kind == ("uint8", 1) and palette is not None:
        stream.write(image_formats.encode_palette_png(array, palette))
    elif suffix == ".png" and kind in _PNG_HOLDS:
        iio.imwrite(stream, array, extension=".png", plugin="pillow")
    elif suffix in (".jpg", ".jpeg") and kind in _JPEG_HOLDS:
        iio.imwrite(
            stream, array, extension=".jpg", plugin="pillow", quality=95
        )
    else:
        raise ValueError(
            f"{path}: {suffix or 'no suffix'} cannot hold {channels} channels "
            f"of {array.dtype}. {_suffix_that_holds(array.dtype, kind)}"
        )
    return stream.getvalue()


def _suffix_that_holds(dtype, kind):
    if kind in _PNG_HOLDS:
        return "Use the suffix .png, .tif or .npy."
    if dtype.kind in "uif":
        return "Use the suffix .tif or .npy."
    if dtype.kind == "b":
        return "Use .npy, or .png after array.astype('uint8')."
    return "Convert it to integers or floats first."


def _decode(data, path, label=""):
    """Decode to `(h, w, c)`; for a label what is stored, not what is seen."""
    stream, raw = io.BytesIO(data), bool(label)
    kind = image_formats.format_of(stream, path)
    if raw and image_formats.is_lossy(data, kind):
        raise ImageFileError(
            f"{path}: a {label} in a lossy format ({kind}), whose values are "
            f"not exact. Save the original {label} as PNG or TIFF; converting "
            "this file does not mend it."
        )
    if kind == "npy":
        return image_formats.npy_pixels(stream, path, raw), False
    if kind == "TIFF":
        return tiff_format.tiff_pixels(stream, path, raw)
    return image_formats.pillow_pixels(stream, kind, path, raw)


def _whole_numbers(mask, path):
    whole = np.isfinite(mask).all() and (mask == np.round(mask)).all()
    if not whole or np.abs(mask).max() >= 2**31:
        raise ImageFileError(
            f"{path}: a mask must hold whole numbers. Found {mask.dtype} "
            "values that are not. Save class ids as integers."
        )
    return mask.astype("int32")
