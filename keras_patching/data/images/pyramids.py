"""Files of several images, each at several levels: which of them is meant.

TIFFs and zarr folders tell what they hold as a list of `Pyramid`; what is
chosen of it is told apart here, in the same words for both.
"""

import dataclasses
import functools

from keras_patching._checks import is_integer
from keras_patching._faults import ImageFileError, few
from keras_patching._printing import say
from keras_patching.data.images.pixel_size import PixelSize

# A pixel that is so much larger than wanted is as large.
_SLACK = 1.01


@dataclasses.dataclass(frozen=True)
class Choice:
    """Which image of a file is meant, and which level of it.

    Attributes:
        level: Number of the level, 0 for the largest.
        pixel_size: Or how long a pixel may be, in the unit of the file.
        series: Number or name of the image; `None` where there is one.
        z, t: Number of the plane and of the time; `None` where there is one.

    Raises:
        ValueError: A number is none that can be meant.
    """

    level: int | None = None
    pixel_size: float | None = None
    series: int | str | None = None
    z: int | None = None
    t: int | None = None

    def __post_init__(self):
        for name in ("level", "z", "t"):
            value = getattr(self, name)
            if value is not None and not (is_integer(value) and value >= 0):
                raise ValueError(
                    f"`{name}` must be a number from 0. Received: "
                    f"{name}={value!r}"
                )
        is_number = isinstance(self.series, str) or is_integer(self.series)
        if self.series is not None and not is_number:
            raise ValueError(
                "`series` must be the number, from 0, or the name of an image "
                f"in the file. Received: series={self.series!r}"
            )
        if self.pixel_size is not None:
            PixelSize(self.pixel_size, self.pixel_size, "m")
            if self.level is not None:
                raise ValueError(
                    "A level is chosen by `level` or by `pixel_size`, not by "
                    f"both. Received: level={self.level}, "
                    f"pixel_size={self.pixel_size}"
                )

    @property
    def is_plain(self):
        """Whether it is the one image of a file, at its largest."""
        others = self.pixel_size, self.series, self.z, self.t
        return self.level in (None, 0) and others == (None,) * 4


PLAIN = Choice()


@dataclasses.dataclass(frozen=True)
class Pyramid:
    """An image of a file, at all its levels.

    Attributes:
        name: What it is called in the file, or its number.
        sizes: `(height, width)` of each level, the largest first.
        lengths: Dict from "z" and "t" to how many there are.
        pixel_sizes: `PixelSize` of each level; `None` where it is not known.
        channel_names: List of the names of its channels, empty where they
            have none.
        is_image: False for what goes with an image: thumbnails, labels on the
            glass, masks.
        is_first: Whether it is the first of the file, of which alone the file
            tells where on the earth it lies.
    """

    name: str
    sizes: tuple[tuple[int, int], ...]
    lengths: dict[str, int] = dataclasses.field(default_factory=dict)
    pixel_sizes: tuple[PixelSize | None, ...] = ()
    channel_names: tuple[str, ...] = ()
    is_image: bool = True
    is_first: bool = True

    def downsample(self, level):
        """Give `(y, x)`: pixels of level 0 along a pixel of a level."""
        sizes = self.sizes[0], self.sizes[level]
        down, right = map(_factor, *sizes)
        return float(down), float(right)


def reduced(size, sizes):
    """Give the size of a pixel of each level, of that of the largest.

    Args:
        size: `PixelSize` of the largest, or `None`.
        sizes: `(height, width)` of each level.
    """
    if size is None:
        return (None,) * len(sizes)
    factors = [
        [
            _factor(whole, part)
            for whole, part in zip(sizes[0], each, strict=True)
        ]
        for each in sizes
    ]
    return tuple(
        PixelSize(size.height * down, size.width * right, size.unit)
        for down, right in factors
    )


def _factor(whole, part):
    """Of how many pixels one was made: a whole number where that can be."""
    number = max(1, round(whole / part))
    if part in (whole // number, -(-whole // number)):
        return number
    return whole / part


def choose_series(pyramids, series, path):
    """Give the index of the image that is meant.

    Args:
        pyramids: List of the `Pyramid` of each image.
        series: As of `Choice`.
        path: File that messages name.

    Raises:
        ValueError: There is none such, or it is open which is meant.
    """
    names = [pyramid.name for pyramid in pyramids]
    if series is None:
        images = [i for i, each in enumerate(pyramids) if each.is_image]
        if len(images) != 1:
            raise ImageFileError(
                f"{path}: holds {len(images)} images, "
                f"{_listed(names)}. Say which is meant, by its number or its "
                "name: open_image(path, series=...), or `--series`."
            )
        return images[0]
    found = [i for i, name in enumerate(names) if name == series]
    if is_integer(series) and 0 <= series < len(names):
        found = [series]
    if len(found) != 1:
        raise ImageFileError(
            f"{path}: has {'several images' if found else 'no image'} "
            f"{series!r}. Expected one of {_listed(names)}. "
            f"Received: series={series!r}"
        )
    return found[0]


def _listed(names):
    return few([f"{i}: {name!r}" for i, name in enumerate(names)], show=str)


def choose_level(pyramid, choice, path):
    """Give the number of the level that is meant.

    Raises:
        ValueError: There is none such, or it is not known how long a pixel
            is, or all pixels are longer than wanted.
    """
    if choice.pixel_size is not None:
        return _level_of_pixels(pyramid, choice.pixel_size, path)
    level, count = choice.level or 0, len(pyramid.sizes)
    if level >= count:
        listed = ", ".join(
            f"{i}: {height} x {width}"
            for i, (height, width) in enumerate(pyramid.sizes)
        )
        raise ImageFileError(
            f"{path}: has {count} level{'s' * (count != 1)}, {listed}. "
            f"Received: level={level}"
        )
    return level


def _level_of_pixels(pyramid, wanted, path):
    """Give the coarsest level whose pixels are not longer than wanted."""
    sizes = pyramid.pixel_sizes
    if None in sizes or not sizes:
        raise ImageFileError(
            f"{path}: does not say how long a pixel is. Choose a level by its "
            f"number, from 0 to {len(pyramid.sizes) - 1}: `level`. Received: "
            f"pixel_size={wanted}"
        )
    lengths = [max(size.height, size.width) for size in sizes]
    fine = [i for i, each in enumerate(lengths) if each <= wanted * _SLACK]
    unit = sizes[0].unit
    if not fine:
        raise ImageFileError(
            f"{path}: its pixels are {lengths[0]:.4g} {unit} long, longer than "
            "wanted: there is no finer level. Pass `level=0` to take them as "
            f"they are. Received: pixel_size={wanted}"
        )
    level = max(fine, key=lambda index: lengths[index])
    if lengths[level] * _SLACK < wanted:
        _say_once(
            f"{path}: read at level {level}, {lengths[level]:.4g} {unit} a "
            f"pixel: the coarsest that is as fine as {wanted:g} {unit}."
        )
    return level


@functools.cache
def _say_once(text):
    """Say it, though a file is opened several times."""
    say(text)


def choose_plane(pyramid, choice, path):
    """Give a dict from "z" and "t" to the index that is meant.

    Raises:
        ValueError: There is none such, or it is open which is meant.
    """
    indices = {}
    for axis, wanted in (("z", choice.z), ("t", choice.t)):
        length = pyramid.lengths.get(axis, 1)
        if wanted is None and length > 1:
            noun = "planes" if axis == "z" else "times"
            raise ImageFileError(
                f"{path}: has {length} {noun}. Say which is meant: "
                f"open_image(path, {axis}=...), from 0 to {length - 1}."
            )
        if (wanted or 0) >= length:
            raise ImageFileError(
                f"{path}: expected `{axis}` from 0 to {length - 1}. "
                f"Received: {axis}={wanted}"
            )
        indices[axis] = wanted or 0
    return indices
