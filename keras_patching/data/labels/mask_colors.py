"""Classes of the colours of masks: what RGB says, and what palettes show."""

import numpy as np

from keras_patching._faults import ImageFileError
from keras_patching.data.images.label_images import is_opaque_in
from keras_patching.data.images.png_format import png_palette

_LISTED = 3
# Masks whose palettes are looked at where each holds only some classes.
_MOST_LOOKED_AT = 100


def classes_of_colors(array, alpha, path, classes):
    """Give the class of each pixel of an image in the colours of classes.

    Args:
        array: Array `(height, width, channels)` of RGB, and alpha or none.
        alpha: Whether the last channel is alpha.
        path: Path that error messages name.
        classes: `MaskClasses` with colours.

    Returns:
        Integers `(height, width)`.

    Raises:
        ValueError: If there is another colour, or a pixel is not opaque.
    """
    if array.dtype not in ("uint8", "uint16"):
        raise ImageFileError(
            f"{path}: a mask in colours must hold numbers from 0 to 255. Found "
            f"{array.dtype}. Save it as PNG of 8 bits."
        )
    if alpha and not (is_opaque := is_opaque_in(array[..., -1])).all():
        y, x = _first(~is_opaque)
        raise ImageFileError(
            f"{path}: a mask in colours that is transparent, first at the "
            f"pixel (y, x) = ({y}, {x}), so its class cannot be told. Save it "
            "without alpha."
        )
    numbers = list(range(classes.num_classes))
    if len(classes.colors) > len(numbers):
        numbers.append(classes.ignore_value)
    keys = _keys(np.asarray(classes.colors).astype(array.dtype))
    order = np.argsort(keys)
    found = _keys(array[..., :3])
    place = np.searchsorted(keys[order], found).clip(max=len(keys) - 1)
    unknown = keys[order][place] != found
    if unknown.any():
        raise ImageFileError(_describe_unknown(array, unknown, path, classes))
    return np.asarray(numbers)[order][place]


def _keys(colors):
    """Give one number for each colour of uint8 or uint16."""
    bits = 8 * colors.dtype.itemsize
    keys = colors[..., 0].astype("uint32" if bits == 8 else "uint64")
    for channel in (1, 2):
        keys <<= bits
        keys |= colors[..., channel]
    return keys


def _first(where):
    return np.unravel_index(np.argmax(where), where.shape)


def _describe_unknown(array, unknown, path, classes):
    y, x = _first(unknown)
    color = tuple(array[y, x, :3].tolist())
    count = len(np.unique(array[unknown][:, :3][:100_000], axis=0))
    more = f", and {count - 1} or more others," if count > 1 else ""
    known = ", ".join(map(str, classes.colors[:_LISTED]))
    return (
        f"{path}: found the color {color}{more} first at the pixel (y, x) = "
        f"({y}, {x}), expected one of the {len(classes.colors)} of the "
        f"classes: {known}, .... Add it to them, or correct the mask. If it is "
        "that of unlabelled pixels, list it behind the classes, and pass "
        "`ignore_value`. (Colours that lie between two are of smoothing: "
        "draw the mask without it. Class ids are saved with one channel.)"
    )


def colors_of_palettes(paths, classes):
    """Take the colours of classes from the palettes of masks.

    Args:
        paths: Paths of masks of class ids.
        classes: `MaskClasses`.

    Returns:
        List of RGB tuples, that of class 0 first. `None` where masks have no
        palette, or one that does not tell classes apart: it is of greys.

    Raises:
        ValueError: If palettes that hold some classes show one in two colours.
    """
    shown = {}
    for path in paths[:_MOST_LOOKED_AT]:
        try:
            palette = png_palette(path.read_bytes())
        except OSError:  # Which is told with all other faults.
            return None
        if palette is None:
            return None
        values = classes.values
        # Some palettes hold only what is in their mask.
        if min(values) >= 0 and max(values) < len(palette):
            colors = [tuple(palette[value].tolist()) for value in values]
            is_grey = all(len(set(color)) == 1 for color in colors)
            is_told = len(set(colors)) == len(colors)
            return colors if is_told and not is_grey else None
        _check_same_colors(palette, path, shown)
    return None


def _check_same_colors(palette, path, shown):
    """Refuse a palette that shows an id in another color than one before.

    Args:
        palette: uint8 `(n, 3)` of RGB.
        path: Path of its mask.
        shown: Dict from id to color and path, which is added to.
    """
    for value, color in enumerate(map(tuple, palette.tolist())):
        before, other = shown.setdefault(value, (color, path))
        if before != color:
            raise ImageFileError(
                f"{path}: its palette shows the id {value} in the color "
                f"{color}, and that of {other.name} in {before}, so its ids "
                "may be of other classes. If its colors are right, save all "
                "masks as RGB; if its ids are right, with one palette."
            )


def check_palette(palette, mask, path, classes):
    """Refuse a palette that shows a class in the colour of another.

    Palettes that were made for each file anew number colours in any order.

    Args:
        palette: uint8 `(n, 3)` of RGB.
        mask: What the file stores, integers `(height, width)`.
        path: Path that error messages name.
        classes: `MaskClasses` with colours.

    Raises:
        ValueError: Tells which.
    """
    for value in np.unique(mask[mask < len(palette)]).tolist():
        color, meant = tuple(palette[value].tolist()), classes.class_of(value)
        if meant is None or color not in classes.colors:
            continue
        shown = classes.colors.index(color)
        if shown != meant:
            raise ImageFileError(
                f"{path}: its palette shows the id {value} in the color "
                f"{color}, which is that of class {shown}, and not of class "
                f"{meant}. If its colors are right, save it as RGB; if its "
                "ids are right, save all masks with one palette."
            )


def shows_white(palette):
    """Tell whether 255 is white in a palette, or there is no palette."""
    if palette is None:
        return True
    return bool((palette[255:256] == 255).all(axis=1).any())
