"""How many channels images have, and how they get as many as are wanted.

`channels` is a number, `None` for those of the files, or "grayscale": one
channel, which colour is converted to. A number never makes grey of colour: who
has colour and wants one channel says so.
"""

import numpy as np

from keras_patching._checks import check_optional

GRAYSCALE = "grayscale"

# Red, green and blue in a grey, of ITU-R BT.601. Pillow's are whole numbers.
_LUMA = (0.299, 0.587, 0.114)
_PILLOW_LUMA, _PILLOW_BITS = (19595, 38470, 7471), 16


def as_channels(channels):
    """Return the channels that are wanted, or refuse what is no such wish.

    Raises:
        ValueError: If they are no positive number, "grayscale" or `None`.
    """
    if isinstance(channels, str):
        if channels == GRAYSCALE:
            return channels
        raise ValueError(
            '`channels` must be a number, "grayscale", which makes one channel '
            "of colour, or None, which keeps those of the files. "
            f"Received: channels={channels!r}"
        )
    return check_optional(channels, "channels", 1)


def number_of(channels, found=None):
    """Return how many channels there are after a conversion.

    Args:
        channels: What is wanted.
        found: Channels of the file.
    """
    if channels == GRAYSCALE:
        return 1
    return found if channels is None else channels


def with_channels(array, alpha, channels, path):
    """Convert an image, or a window of one, to a number of channels.

    Args:
        array: Array `(height, width, channels)`.
        alpha: Whether the last channel is alpha.
        channels, path: As for `decode_image`.

    Raises:
        ValueError: The channels cannot be converted.
    """
    found = array.shape[2]
    if channels is None or number_of(channels) == found:
        return array
    if alpha and number_of(channels) == found - 1:
        return np.ascontiguousarray(array[..., : found - 1])
    if channels == 3 and (found == 1 or (alpha and found == 2)):
        return np.repeat(array[..., :1], 3, axis=-1)
    if channels == GRAYSCALE and (found == 3 or (alpha and found == 4)):
        return _grey(array)
    wanted = '"grayscale"' if channels == GRAYSCALE else channels
    raise ValueError(
        f"{path}: has {found} channels, expected {wanted}. Only grey is "
        f"repeated to 3 channels and alpha dropped: pass channels={found}, "
        "or channels=None to keep what the files have."
        f"{grayscale_hint(found, channels)}"
    )


def is_convertible(found, wanted):
    """Tell what can be told before decoding: which channel is alpha, cannot.

    Args:
        found: Channels of the file.
        wanted: What is wanted.
    """
    if wanted == GRAYSCALE:
        return found <= 4
    alpha_dropped = (found, wanted) in ((2, 1), (4, 3))
    return (
        wanted in (None, found)
        or alpha_dropped
        or (wanted == 3 and found in (1, 2))
    )


def grayscale_hint(found, wanted):
    """Say what makes one channel of colour, where that may be meant."""
    if wanted == 1 and found in (3, 4):
        return ' (channels="grayscale" makes one channel of colour.)'
    return ""


def _grey(array):
    """Make grey of red, green and blue, `(height, width, 1)`."""
    if array.dtype in (np.uint8, np.uint16):
        # As Pillow's "L", to the last bit.
        grey = np.full(array.shape[:2], 2 ** (_PILLOW_BITS - 1), "uint32")
        for channel, share in enumerate(_PILLOW_LUMA):
            grey += array[..., channel] * np.uint32(share)
        grey >>= _PILLOW_BITS
    else:
        grey = sum(
            array[..., channel] * np.float64(share)
            for channel, share in enumerate(_LUMA)
        )
        if array.dtype.kind in "iu":
            grey = np.rint(grey)
    return grey[..., None].astype(array.dtype)
