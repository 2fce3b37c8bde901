"""Whether pixels fit the range of values that a model or a loader takes.

One place for whatever images enter by: loaders, files, arrays. Each message
names the `value_range` that fits, or what else to do.
"""

import contextlib
import warnings

import numpy as np

from keras_patching._faults import Fault
from keras_patching.data.images.image_io import read_image

# Values up to a 16th of white are all black to a net, as are 12 bits in 16.
_FAR = 16
# Resampling floats goes beyond their range by rounding, by this share at most.
_ROUNDING = 1e-3


class RangeFault(Fault):
    """A file whose pixels do not fit, with their lowest and highest value."""

    def __new__(cls, text, lowest, highest):
        fault = super().__new__(cls, text)
        fault.lowest, fault.highest = lowest, highest
        return fault

    def __getnewargs__(self):
        return str(self), self.lowest, self.highest

    @staticmethod
    def remedy(faults):
        """Name the range that holds the pixels of all of them."""
        lowest = min(fault.lowest for fault in faults)
        highest = max(fault.highest for fault in faults)
        return (
            f"Pass {_format_range(fitting_range(lowest, highest))}, to the "
            'model where there is one; or normalize="percentile", which takes '
            "files of any ranges."
        )


def fitting_range(lowest, highest):
    """Give the range that pixels of these values are probably meant for.

    Args:
        lowest, highest: Finite numbers.

    Returns:
        `(black, white)`: 0, or minus a power of two that holds the lowest; one
        less than a power of two that holds the highest, of integers at least
        255.

    Example:

    >>> fitting_range(12, 4080)
    (0, 4095)
    """
    integers = isinstance(highest, int)
    least, beyond = (8, 0) if integers else (1, _ROUNDING)
    white = 1
    while white * (1 + beyond) < highest or white < 2**least - 1:
        white = 2 * white + 1
    black = 0 if lowest >= -beyond * white else -1
    while black and black * (1 + beyond) > lowest:
        black *= 2
    return black, white


def _format_range(value_range):
    return f"value_range={value_range}"


def _fits(lowest, highest, value_range, dtype):
    """Tell whether values are in a range, floats but for their rounding."""
    black, white = value_range
    beyond = _beyond(value_range, dtype)
    # NaN compares as False, and so does not fit.
    return bool(black - beyond <= lowest and highest <= white + beyond)


def _beyond(value_range, dtype):
    black, white = value_range
    return _ROUNDING * (white - black) if "float" in dtype.name else 0


def check_for_model(image, path, value_range, nodata):
    """Refuse an image whose values a model does not take.

    Args:
        image: Array of numbers, the image or a window of it.
        path: File that messages name.
        value_range: `(black, white)` of the model.
        nodata: Function that gives the text of the value that is no data, or
            `None`; called where values do not fit.

    Returns:
        The lowest and the highest value.

    Raises:
        ValueError: Values lie outside of the range, or are no numbers.
    """
    try:
        return check_values(image, path, value_range, nodata)
    except ValueError as error:
        (fault,) = error.args
        if not isinstance(fault, RangeFault):
            raise
        black, white = value_range
        wanted = _format_range(fitting_range(fault.lowest, fault.highest))
        raise ValueError(
            f"{fault} The model takes values from {black:g} to {white:g}: "
            "convert the image to that range, as those that it was trained "
            f"on, or make a model with {wanted}."
        ) from None


def doubt_black(lowest, highest, dtype, value_range, name):
    """Warn where floats that are probably from 0 to 1 are not meant so.

    Args:
        lowest, highest: Of all values, numbers.
        dtype: Theirs.
        value_range: `(black, white)` of the model.
        name: What takes them, for the message.
    """
    black, white = value_range
    far = highest * _FAR <= white
    if "float" in dtype.name and 0 < highest <= 1 + _ROUNDING and far:
        warnings.warn(
            f"{name} takes images from {black:g} to {white:g}, so these are "
            f"black. Multiply them by {white:g} if their white is 1, or make a "
            "model with value_range=(0, 1). "
            f"{_received(lowest, highest, dtype)}",
            stacklevel=5,
        )


def _received(lowest, highest, dtype):
    return f"Received: {dtype.name} from {lowest:g} to {highest:g}"


def check_values(image, path, value_range, nodata):
    """Refuse an image whose values do not fit a range.

    Args:
        image, path, value_range, nodata: As for `check_for_model`.

    Returns:
        The lowest and the highest value.

    Raises:
        ValueError: Says what would fit; its argument is a `Fault`.
    """
    black, white = value_range
    lowest, highest = image.min().item(), image.max().item()
    if not _fits(lowest, highest, value_range, image.dtype):
        raise ValueError(_fault(image, path, value_range, nodata()))
    if np.array(black).astype(image.dtype) != black:
        raise ValueError(
            RangeFault(
                f"{path}: {image.dtype} cannot hold the black of the range "
                f"from {black:g} to {white:g}.",
                lowest,
                highest,
            )
        )
    return lowest, highest


def _fault(image, path, value_range, nodata):
    black, white = value_range
    finite = np.isfinite(image)
    unknown = ~finite | _is_nodata(image, nodata, value_range)
    if unknown.any():
        return _unknown_fault(image, path, value_range, unknown, finite.all())
    lowest, highest = image.min().item(), image.max().item()
    return RangeFault(
        f"{path}: {image.dtype} values from {lowest} to {highest} do not fit "
        f"the range from {black:g} to {white:g}.",
        lowest,
        highest,
    )


def _is_nodata(image, nodata, value_range):
    """Tell which values are declared to be none, and lie out of the range."""
    with contextlib.suppress(TypeError, ValueError):
        value = float(nodata)
        if not value_range[0] <= value <= value_range[1]:
            # The tag is text, which may be rounded.
            return np.isclose(image, value, rtol=1e-5, atol=0)
    return np.zeros(image.shape, bool)


def _unknown_fault(image, path, value_range, unknown, finite):
    black = value_range[0]
    if finite:
        value = image[unknown][0].item()
        named = f"of {value}, which the file declares to be nodata"
        where = f"image == {value}"
    else:
        named = "that are not finite numbers (NaN), as where nodata is"
        where = "~numpy.isfinite(image)"
    text = (
        f"{path}: has {unknown.sum():,} values {named}. Save the file again "
        f"with black there: `image[{where}] = {black:g}`."
    )
    known = image[~unknown]
    if known.size:
        lowest, highest = known.min().item(), known.max().item()
        text += f" The others are {image.dtype} from {lowest} to {highest}"
        fits = _fits(lowest, highest, value_range, known.dtype)
        wanted = _format_range(fitting_range(lowest, highest))
        text += "." if fits else f": {wanted} would hold them."
    return Fault(text)


def check_brightness(headers, value_range, channels=None):
    """Refuse a data set that would be black throughout.

    Images are read until one is bright enough, which is the first as a rule,
    and none where their dtype tells.

    Args:
        headers: Dict from path to `ImageHeader`, of one dtype.
        value_range: `(black, white)`.
        channels: As for `read_image`.

    Raises:
        ValueError: No image is brighter than 1, which white is far above.
        Warning: None is brighter than a 16th of white.
    """
    dtypes = {header.dtype for header in headers.values()}
    if len(dtypes) != 1:
        return  # Several dtypes are refused where patches are cut.
    (dtype,) = dtypes
    white = value_range[1]
    if dtype.kind in "ui" and np.iinfo(dtype).max <= 255:
        highest = np.iinfo(dtype).max
    else:
        highest = _highest(headers, value_range, channels)
    if highest <= 0 or highest * _FAR > white:
        return
    first = next(iter(headers))
    text = (
        f"{first.parent}: no value of its {dtype} images, of which "
        f"{first.name} is the first, is above {highest:g}, so all is black in "
        f"the range from {value_range[0]:g} to {white:g}. Pass "
        f"{_format_range(fitting_range(0, highest))}, to the model where "
        "there is one."
    )
    if highest <= 1 + _ROUNDING or dtype.itemsize == 1:
        raise ValueError(text)
    warnings.warn(text, stacklevel=5)


def _highest(headers, value_range, channels):
    """Give the highest value of images, as far as it takes to judge them."""
    black, white = value_range
    highest = 0
    for path in headers:
        # What cannot be read, or is too dark, is told where patches are cut.
        with contextlib.suppress(ValueError, OSError):
            image = read_image(path, channels)
            if image.min() < black - _beyond(value_range, image.dtype):
                return white
            known = image.max(initial=0, where=~np.isnan(image))
            highest = max(highest, known.item())
        if highest * _FAR > white:
            break
    return highest


def check_array(images, value_range, name):
    """Refuse or doubt an array of images before a model takes it.

    Args:
        images: Array of numbers.
        value_range: `(black, white)` of the model.
        name: What takes the images, for messages.

    Raises:
        ValueError: A value lies outside of the range, or is no number.
        Warning: Floats of at most 1, where white is far above.
    """
    if holds_any_of(images.dtype, value_range):
        return
    lowest, highest = refuse_array(images, value_range, name)
    doubt_black(lowest, highest, images.dtype, value_range, name)


def holds_any_of(dtype, value_range):
    """Tell whether no value of a dtype can be wrong in a range."""
    black, white = value_range
    whole = dtype.name == "uint8" and black <= 0 and white >= 255
    return whole or dtype.name == "bool"


def refuse_array(images, value_range, name):
    """Refuse an array as `check_array` does; give its lowest and highest."""
    black, white = value_range
    lowest, highest = images.min().item(), images.max().item()
    if _fits(lowest, highest, value_range, images.dtype):
        return lowest, highest
    fits = lowest <= highest and np.isfinite([lowest, highest]).all()
    wanted = fits and _format_range(fitting_range(lowest, highest))
    raise ValueError(
        f"{name} takes images from {black:g} to {white:g}. Convert them to "
        "that range, as those that it was trained on"
        f"{f', or make a model with {wanted}' if fits else ''}. "
        f"{_received(lowest, highest, images.dtype)}"
    )
