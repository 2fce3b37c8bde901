"""Images that are resized as they are read, and what is found in them.

`resize=` is `None`, a factor of height and width, or `(height, width)` of every
image. Images are read at that size; labels, which are in pixels of the files,
are moved there, and results are moved back.
"""

import dataclasses
import math

import numpy as np

from keras_patching._checks import check_integer, check_positive, is_integer
from keras_patching.data.images.pixel_size import PixelSize
from keras_patching.data.images.resampling import (
    resampled,
    resampled_window,
)

# A larger factor is meant as a number of pixels.
_LARGEST_FACTOR = 16
# Objects whose form changes by less than this share look the same.
_DISTORTED = 0.1


def as_resize(resize):
    """Return a `resize` as a float or a pair of integers, or `None`.

    Raises:
        ValueError: If it is nothing of these.
    """
    if resize is None:
        return None
    if isinstance(resize, (list, tuple, np.ndarray)):
        if len(resize) != 2 or not all(map(is_integer, resize)):
            raise ValueError(_expected(resize))
        height, width = (check_integer(n, "resize", 1) for n in resize)
        return height, width
    try:
        factor = check_positive(resize, "resize")
    except ValueError:
        raise ValueError(_expected(resize)) from None
    if factor > _LARGEST_FACTOR:
        raise ValueError(_expected(resize))
    return factor


def _expected(resize):
    return (
        "`resize` must be None, a factor above 0 and up to "
        f"{_LARGEST_FACTOR} (0.5 halves height and width), or the (height, "
        "width) that every image is to have, in pixels. Received: "
        f"resize={resize!r}"
    )


def resized_size(size, resize):
    """Give the `(height, width)` that an image is read at.

    Args:
        size: `(height, width)` of the file.
        resize: As of `as_resize`.

    Example:

    >>> resized_size((301, 400), 0.5)
    (150, 200)
    """
    height, width = (int(length) for length in size)
    if resize is None:
        return height, width
    if isinstance(resize, float):
        return tuple(max(round(n * resize), 1) for n in (height, width))
    return tuple(resize)


def resize_image(image, resize):
    """Resize an image as it is resized where it is read by windows.

    Args:
        image: Array `(height, width, channels)`.
        resize: As of `as_resize`.

    Returns:
        Array of the same dtype.
    """
    size = resized_size(image.shape[:2], resize)
    if size == tuple(image.shape[:2]):
        return image
    return resampled(image, size, "linear")


class ResizedWindows:
    """Windows of an image that is resized, in bounded memory.

    Args:
        windows: What reads the image, with `shape`, `dtype`, `read`, `close`.
        size: `(height, width)` that it is resized to.

    Attributes:
        shape: `(height, width, channels)` of what is read.
        file_size: `(height, width)` before.
        pixel_size: `PixelSize` of what is read, `None` where it is unknown.
        dtype, alpha, nodata, identity, name, stem: As of `windows`.
    """

    def __init__(self, windows, size):
        self._windows = windows
        self.file_size = tuple(windows.shape[:2])
        self.shape = (*size, *windows.shape[2:])
        self.pixel_size = self._scaled(getattr(windows, "pixel_size", None))

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._windows, name)

    def _scaled(self, pixel_size):
        if pixel_size is None:
            return None
        height, width = np.divide(self.file_size, self.shape[:2]).tolist()
        return PixelSize(
            pixel_size.height * height,
            pixel_size.width * width,
            pixel_size.unit,
        )

    def read(self, y, height, x=0, width=None):
        """Read a window of what the whole image would be, resized.

        Args:
            y, x: Its first row and column.
            height, width: Its size, inside of the resized image; a width of
                `None` reads to the right edge.

        Returns:
            Array `(height, width, channels)`.

        Raises:
            ValueError: As for the windows that it is made of.
        """
        width = self.shape[1] - x if width is None else width
        return resampled_window(
            self._windows.read,
            self.file_size,
            self.shape[:2],
            "linear",
            (y, height, x, width),
        )

    def close(self):
        """Close what it is read from."""
        self._windows.close()


@dataclasses.dataclass(frozen=True)
class ReadScale:
    """Where the pixels of a file are in the image as it is read.

    Attributes:
        file_size: `(height, width)` of the file.
        size: `(height, width)` of what is read.
    """

    file_size: tuple[int, int]
    size: tuple[int, int]

    @classmethod
    def of(cls, source):
        """Make that of a source, whether it is resized or not."""
        size = tuple(source.shape[:2])
        return cls(getattr(source, "file_size", size), size)

    @classmethod
    def of_file(cls, file_size, resize):
        """Make that of a file of a size.

        Args:
            file_size: `(height, width)`.
            resize: As of `as_resize`.
        """
        file_size = tuple(map(int, file_size))
        return cls(file_size, resized_size(file_size, resize))

    @property
    def is_same(self):
        """Whether the image is read as it is."""
        return tuple(self.file_size) == tuple(self.size)

    @property
    def to_file(self):
        """The scale the other way: from what is read to the file."""
        return ReadScale(self.size, self.file_size)

    def points(self, points):
        """Move points `(n, 2)` of (y, x), which stay inside of the image."""
        moved = self._moved(points)
        if self.is_same:
            return moved
        # A point at the end of a pixel would be rounded out of the image.
        last = np.nextafter(np.array(self.size, moved.dtype), 0)
        return np.where(moved >= self.size, last.astype(moved.dtype), moved)

    def boxes(self, boxes):
        """Move boxes `(n, 4)`, xyxy."""
        corners = np.asarray(boxes)
        flipped = corners.reshape(-1, 2, 2)[..., ::-1]
        return self._moved(flipped)[..., ::-1].reshape(corners.shape)

    def length(self, length):
        """Give a length in pixels, such as a radius, at the other size."""
        areas = math.prod(self.size), math.prod(self.file_size)
        return length * math.sqrt(areas[0] / areas[1])

    def _moved(self, places):
        places = np.asarray(places)
        if self.is_same:
            return places
        moved = places * np.array(self.size) / np.array(self.file_size)
        # Whole numbers lie between pixels at another size.
        dtype = np.result_type(places.dtype, np.float32)
        return moved.astype(dtype, copy=False)

    def pixels(self, array, method):
        """Give an array `(height, width, ...)` of pixels at the other size."""
        if self.is_same:
            return array
        return resampled(array, self.size, method)

    @property
    def distortion(self):
        """By how much a square is longer than wide, or wider, from 0.

        What rounding to whole pixels does to small images is none.
        """
        low, high = (
            (np.array(self.size) + half) / self.file_size
            for half in (-0.5, 0.5)
        )
        return max(float(low.max() / high.min()) - 1, 0.0)


def describe_distortion(scales):
    """Say in a sentence that the forms of objects change, or in an empty one.

    Args:
        scales: Dict from the name of an image to its `ReadScale`.
    """
    changed = {
        name: scale
        for name, scale in scales.items()
        if scale.distortion > _DISTORTED
    }
    if not changed:
        return ""
    name, worst = max(changed.items(), key=lambda item: item[1].distortion)
    return (
        f"`resize` distorts {len(changed)} of {len(scales)} images: {name} of "
        f"(height, width) {tuple(worst.file_size)} becomes "
        f"{tuple(worst.size)}. A factor would keep the forms of objects."
    )
