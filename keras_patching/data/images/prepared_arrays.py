"""Whether arrays in memory are what a model sees that normalizes images.

That cannot be told of parts of images for sure: what is certain is an error,
what is likely a warning.
"""

import warnings

import numpy as np

# Nearly no pixels of a whole image lie outside of its range.
_MOST_OUTSIDE = 0.5
_FAR = 16  # White of which 1 is black to a net, as in `value_range`.
_MEND = (
    "Pass what `model.read_image(path)` gives of a file, or "
    "`model.prepare_image(array)` of a whole image in memory, before it is cut"
)


def check_prepared_dtype(dtype, name, preparation):
    """Refuse what no normalized image is: integers.

    Args:
        dtype: NumPy dtype of an array.
        name: What takes it, for messages.
        preparation: `Preparation` of the model.

    Raises:
        ValueError: Says how to prepare it.
    """
    if dtype.kind in "biu":
        raise ValueError(
            f"{name} takes normalized images "
            f"(normalize={preparation.normalize!r}), which are float32. "
            f"{_MEND}. Received: dtype={dtype}"
        )


class PreparedCheck:
    """Looks at windows of an array that should be normalized.

    Args:
        value_range: `(black, white)` of the model.
        name: What takes the array, for messages.
    """

    def __init__(self, value_range, name):
        self._value_range, self._name = value_range, name
        self._outside = self._count = 0
        self._lowest, self._highest = np.inf, -np.inf

    def add(self, pixels, is_last=True):
        """Look at a window.

        Args:
            pixels: Array of floats.
            is_last: Whether none follows.

        Raises:
            ValueError: Some are no numbers.
            Warning: With the last, if it was hardly normalized.
        """
        lowest, highest = pixels.min().item(), pixels.max().item()
        if not np.isfinite([lowest, highest]).all():
            raise ValueError(
                f"{self._name} takes finite numbers. {_MEND}, where pixels "
                "that are none become black. Received: "
                f"{pixels.dtype.name} from {lowest:g} to {highest:g}"
            )
        black, white = self._value_range
        self._lowest = min(self._lowest, lowest)
        self._highest = max(self._highest, highest)
        self._count += pixels.size
        if lowest < black or highest > white:
            outside = (pixels < black) | (pixels > white)
            self._outside += np.count_nonzero(outside)
        if is_last:
            self._doubt()

    def _doubt(self):
        black, white = self._value_range
        is_dark = 0 < self._highest <= 1 and white >= _FAR
        if is_dark or self._outside > _MOST_OUTSIDE * self._count:
            warnings.warn(
                f"{self._name} takes normalized images, nearly all of whose "
                f"values are from {black:g} to {white:g}, and these hardly "
                f"are any. {_MEND}. Received: values from {self._lowest:g} to "
                f"{self._highest:g}",
                stacklevel=5,
            )
