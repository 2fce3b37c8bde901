"""Images whose pixels are labels: masks of class ids, and density maps.

What is stored is read, not what is seen, and nothing that could be read in two
ways: lossy files, colours and half transparent pixels are errors.
"""

import os

import numpy as np

from keras_patching._faults import ImageFileError
from keras_patching._types import NDArray
from keras_patching.data.images.contents import read_content
from keras_patching.data.images.image_io import decode_stored


def read_mask(path: str | os.PathLike) -> NDArray:
    """Read a mask file. See `decode_mask`.

    Args:
        path: Path of a mask file.

    Returns:
        Array `(height, width)` of an integer dtype.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It cannot be read exactly.

    Example:

    >>> mask = keras_patching.data.read_mask("field/masks/field_0.png")
    >>> mask.shape, mask.dtype, np.unique(mask).tolist()
    ((130, 140), dtype('uint8'), [0, 1])
    """
    return decode_mask(read_content(path), path)


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
    return mask_of(*decode_stored(data, path, "mask"), path)


def mask_of(array, alpha, path):
    """Make a mask of what a file stores; see `decode_mask`.

    Args:
        array: Array `(height, width, channels)`.
        alpha: Whether the last channel is alpha.
        path: Path that error messages name.
    """
    mask = label_of(array, alpha, path, "mask")
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
    return label_of(*decode_stored(data, path, noun), path, noun)


def label_of(array, alpha, path, noun):
    """Make a label of what a file stores; see `decode_label`."""
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


def is_opaque_in(alpha):
    """Tell of each pixel of an alpha channel whether it is opaque."""
    opaque = 1 if alpha.dtype.kind == "f" else np.iinfo(alpha.dtype).max
    return alpha == opaque


def _check_opaque(alpha, label, path, noun):
    """Refuse transparency that says something else than the numbers."""
    is_opaque = is_opaque_in(alpha)
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
        f"Found {count} or more colours: say which class each is, by "
        '`class_colors={"name": (r, g, b), ...}`, or the path of a table such '
        "as class_dict.csv, or in a file classes.csv (name,r,g,b) beside the "
        "masks; or save the id of each as a grey or "
        "palette PNG or TIFF."
    )


def _whole_numbers(mask, path):
    whole = np.isfinite(mask).all() and (mask == np.round(mask)).all()
    if not whole or np.abs(mask).max() >= 2**31:
        raise ImageFileError(
            f"{path}: a mask must hold whole numbers. Found {mask.dtype} "
            "values that are not. Save class ids as integers."
        )
    return mask.astype("int32")
