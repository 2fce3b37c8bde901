"""Windows of images whose values are normalized by those of all the image."""

import numpy as np

from keras_patching.data.images.normalization import find_scaling


class NormalizedWindows:
    """Windows of an image, normalized as the whole image is.

    The image is looked at when its first window is read.

    Args:
        windows: `ConvertedWindows` of the image.
        normalize, value_range: As for `find_scaling`.

    Attributes:
        shape, identity, pixel_size: As of `windows`.
        dtype: float32.
        alpha, nodata: False and `None`: what is no pixel is black.
    """

    alpha, nodata = False, None

    def __init__(self, windows, normalize, value_range):
        self._windows = windows
        self._how = normalize, value_range
        self._scaling = None
        self.shape, self.identity = windows.shape, windows.identity
        self.pixel_size = windows.pixel_size
        self.dtype = np.dtype("float32")

    def read(self, y, height, x, width):
        """Read float32 `(height, width, channels)`, from row y and column x."""
        if self._scaling is None:
            self._scaling = find_scaling(self._windows, *self._how)
        window = self._windows.read_known(y, height, x, width)
        return self._scaling.apply(*window)

    def close(self):
        self._windows.close()
