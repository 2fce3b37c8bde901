"""Windows of images with the channels that are wanted."""

import contextlib

import numpy as np

from keras_patching.data.images.channels import number_of, with_channels


class HeldWindows:
    """Windows of a decoded image.

    Args:
        image: Array `(height, width, channels)`.
        alpha: Whether the last channel is alpha.
        nodata: Text of the value that is no data, or `None`.
    """

    identity = None

    def __init__(self, image, alpha=False, nodata=None):
        self._image, self.alpha, self.nodata = image, alpha, nodata
        self.shape, self.dtype = image.shape, image.dtype

    def read(self, y, height, x, width):
        """Read `(height, width, channels)`, from row y and column x."""
        return self._image[y : y + height, x : x + width]

    def close(self):
        self._image = None


class ConvertedWindows:
    """Windows of an image, whose channels are converted.

    Args:
        windows: Windows of the image as it is stored.
        channels: As for `with_channels`.
        name: What messages call it.

    Attributes:
        shape: `(height, width, channels)` of what is read.
        dtype, nodata, identity, pixel_size: As of `windows`.
        alpha: Whether the last channel is alpha, as far as it is known.
        seen: Function of a window, its first row and its first column, that
            gets all that is read; `None` for none.

    Raises:
        ValueError: The channels cannot be converted.
    """

    def __init__(self, windows, channels, name):
        self._windows, self._channels, self._name = windows, channels, name
        height, width, found = windows.shape
        # What is not known yet may be alpha; the first window tells.
        might_be_alpha = windows.alpha is not False
        nothing = np.empty((0, 0, found))
        with_channels(nothing, might_be_alpha, channels, name)
        self.shape = height, width, number_of(channels, found)
        self.dtype, self.identity = windows.dtype, windows.identity
        self.pixel_size = getattr(windows, "pixel_size", None)
        self.seen = None

    @property
    def nodata(self):
        return self._windows.nodata

    @property
    def alpha(self):
        keeps_all = self.shape[2] == self._windows.shape[2]
        return self._windows.alpha if keeps_all else False

    def read(self, y, height, x, width):
        """Read `(height, width, channels)`, from row y and column x."""
        return self._converted(self._windows.read(y, height, x, width), y, x)

    def read_known(self, y, height, x, width):
        """Read a window, and which of its pixels are any.

        Returns:
            What `read` gives, and booleans `(height, width)`: false where the
            image is transparent, or all channels are no data.
        """
        stored = self._windows.read(y, height, x, width)
        known = _known(stored, self._windows.alpha, self._windows.nodata)
        return self._converted(stored, y, x), known

    def _converted(self, stored, y, x):
        alpha = self._windows.alpha
        pixels = with_channels(stored, alpha, self._channels, self._name)
        if self.seen is not None:
            self.seen(pixels, y, x)
        return pixels

    def close(self):
        self._windows.close()


def _known(stored, alpha, nodata):
    known = np.ones(stored.shape[:2], bool)
    if alpha:
        known = stored[..., -1] != 0
        stored = stored[..., :-1]
    with contextlib.suppress(TypeError, ValueError):
        value = float(nodata)
        if stored.dtype.kind in "biu":
            is_none = stored == value
        else:
            # The tag is text, which may be rounded.
            is_none = np.isclose(stored, value, 1e-5, 0, equal_nan=True)
        known = known & ~is_none.all(axis=-1)
    return known
