"""Files of one image, each of which holds some of its channels."""

import numpy as np

from keras_patching._faults import ImageFileError


class JoinedWindows:
    """Windows of several files, whose channels lie behind each other.

    Args:
        parts: List of windows of one size and dtype.
        paths: Their paths, for messages.

    Attributes:
        shape: `(height, width, channels)`.
        dtype: NumPy dtype.
        alpha, nodata: False and `None`: nothing is said of them.
        lacks_data: Whether a file says that pixels may have no data.
        pixel_size: That of the first.
        identity: Dict of those of all.

    Raises:
        ValueError: Their sizes or dtypes differ.
    """

    alpha, nodata = False, None

    def __init__(self, parts, paths):
        self._parts, self._paths, first = parts, paths, parts[0]
        for part, path in zip(parts, paths, strict=True):
            if (part.shape[:2], part.dtype) != (first.shape[:2], first.dtype):
                raise ImageFileError(
                    f"{path}: has {part.shape[0]} x {part.shape[1]} pixels of "
                    f"{part.dtype}, and {paths[0]} {first.shape[0]} x "
                    f"{first.shape[1]} of {first.dtype}. Channels of one image "
                    "must be of one size and dtype."
                )
        channels = sum(part.shape[2] for part in parts)
        self.shape, self.dtype = (*first.shape[:2], channels), first.dtype
        self.lacks_data = any(
            getattr(part, "lacks_data", False) for part in parts
        )
        self.pixel_size = first.pixel_size
        self.identity = {"parts": [part.identity for part in parts]}

    def read(self, y, height, x, width):
        """Read `(height, width, channels)`, from row y and column x."""
        window = y, height, x, width
        return np.concatenate([p.read(*window) for p in self._parts], axis=-1)

    def known(self, y, height, x, width):
        """Tell which pixels have data; as `TiffWindows` does of channels."""
        whole = np.ones((height, width), bool)
        known = [
            found
            for part in self._parts
            if getattr(part, "lacks_data", False)
            and (found := part.known(y, height, x, width)) is not None
        ]
        known += [whole] * (len(self._parts) - len(known))
        together = np.any if self.dtype.kind in "ub" else np.all
        return together(known, axis=0)

    def again(self):
        """Open the same windows once more."""
        return JoinedWindows(
            [part.again() for part in self._parts], self._paths
        )

    def close(self):
        """Close all files."""
        for part in self._parts:
            part.close()
