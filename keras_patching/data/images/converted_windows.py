"""Windows of images with the channels that are wanted."""

import numpy as np

from keras_patching.data.images.channels import number_of, with_channels
from keras_patching.data.images.nodata import has_data


class HeldWindows:
    """Windows of a decoded image.

    Args:
        image: Array `(height, width, channels)`.
        alpha: Whether the last channel is alpha.
        nodata: Text of the value that is no data, or `None`.
        known: Booleans `(height, width)`, false where there is no data;
            `None` where there is everywhere.
    """

    identity = None

    def __init__(self, image, alpha=False, nodata=None, known=None):
        self._image, self.alpha, self.nodata = image, alpha, nodata
        self._known, self.lacks_data = known, known is not None
        self.shape, self.dtype = image.shape, image.dtype

    def read(self, y, height, x, width):
        """Read `(height, width, channels)`, from row y and column x."""
        return self._image[y : y + height, x : x + width]

    def known(self, y, height, x, width):
        """Tell which pixels have data, `None` for all."""
        if self._known is None:
            return None
        return self._known[y : y + height, x : x + width]

    def close(self):
        self._image = self._known = None


class BlackenedWindows:
    """Windows of an image that is black where it has no data.

    Args:
        windows: `ConvertedWindows` of the image.
        black: The value of black.

    Attributes:
        shape, dtype, alpha, nodata, identity, pixel_size: As of `windows`.
    """

    def __init__(self, windows, black):
        self._windows, self._black = windows, black

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._windows, name)

    def read(self, y, height, x, width):
        """Read `(height, width, channels)`, from row y and column x."""
        pixels, known = self._windows.read_known(y, height, x, width)
        if known.all():
            return pixels
        pixels = pixels.copy()
        pixels[~known] = self._black
        return pixels


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
    def lacks_data(self):
        """Whether a value, a mask or alpha of a map says what is no data."""
        return getattr(self._windows, "lacks_data", False)

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
            image is transparent, masked, or has no data, see `has_data`.
        """
        windows = self._windows
        stored = windows.read(y, height, x, width)
        known = None
        if self.lacks_data:
            known = windows.known(y, height, x, width)
        if known is None:
            known = has_data(stored, windows.alpha, windows.nodata)
        return self._converted(stored, y, x), known

    def again(self):
        """Open the windows of the image as it is stored once more."""
        return self._windows.again()

    def _converted(self, stored, y, x):
        alpha = self._windows.alpha
        pixels = with_channels(stored, alpha, self._channels, self._name)
        if self.seen is not None:
            self.seen(pixels, y, x)
        return pixels

    def close(self):
        self._windows.close()
