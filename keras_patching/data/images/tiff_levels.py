"""The images of a TIFF at all their levels: OME-TIFF, Aperio, overviews."""

import math

import numpy as np

from keras_patching._faults import ImageFileError
from keras_patching.data.images.georeference import pixel_size_of
from keras_patching.data.images.headers import naming
from keras_patching.data.images.microscopes import describe_images
from keras_patching.data.images.pyramids import (
    Pyramid,
    choose_level,
    choose_plane,
    choose_series,
    reduced,
)
from keras_patching.data.images.tiff_directory import directories_by_offset
from keras_patching.data.images.tiff_format import (
    Found,
    check_page,
    is_image,
    open_tiff,
)
from keras_patching.data.images.tiff_windows import TiffWindows

# What tifffile calls pages that say nothing of what they are.
_PAGES = "IQ"


class TiffImages:
    """All images of a TIFF.

    Args:
        file: `OpenFile` of it.

    Attributes:
        pyramids: List of the `Pyramid` of each image.
    """

    def __init__(self, file):
        self._file, path = file, file.path
        file.stream.seek(0)
        with naming(path):
            self._directories = directories_by_offset(file.stream)
            tiff = open_tiff(file.stream, path)
            self._series = tiff.series
            known = describe_images(tiff, pixel_size_of(path))
            self.pyramids = [
                _pyramid(index, series, described)
                for index, (series, described) in enumerate(
                    zip(self._series, known, strict=True)
                )
            ]

    def windows(self, choice):
        """Open what a `Choice` means.

        Returns:
            Its `Pyramid`, the number of the level, and its `TiffWindows`.

        Raises:
            ValueError: There is none such, or it cannot be read.
        """
        path = self._file.path
        index = choose_series(self.pyramids, choice.series, path)
        pyramid = self.pyramids[index]
        level = choose_level(pyramid, choice, path)
        plane = choose_plane(pyramid, choice, path)
        with naming(path):
            found = self._find(self._series[index].levels[level], plane)
        windows = TiffWindows(self._file, found)
        if not windows.by_windows:
            raise ImageFileError(
                f"{path}: is turned by its tag of orientation, and only read "
                "as a whole. Save it upright."
            )
        windows.pixel_size = pyramid.pixel_sizes[level]
        return pyramid, level, windows

    def _find(self, series, plane):
        """Give the pages of one plane, one for each channel."""
        path, page = self._file.path, series.keyframe
        inner = len(page.axes)
        outer, shape = series.axes[:-inner], series.shape[:-inner]
        pages = list(series.pages)
        is_known = series.axes[-inner:] == page.axes
        if not is_known or len(pages) != math.prod(shape) or None in pages:
            raise ImageFileError(
                f"{path}: an image of axes {series.axes} with shape "
                f"{series.shape} on {len(pages)} pages, of which it is not "
                "known which is which. Save it as OME-TIFF, a page for each "
                "channel."
            )
        names = [_name(axis, outer) for axis in outer]
        if len(set(names)) < len(names):
            raise ImageFileError(
                f"{path}: an image of axes {series.axes} with shape "
                f"{series.shape}, of which it is not known which are planes. "
                "Save it as OME-TIFF, which names them."
            )
        chosen = np.arange(len(pages)).reshape(shape)
        for axis in outer:
            if _name(axis, outer) in plane:
                chosen = chosen[plane[_name(axis, outer)]]
            elif axis == "C":
                chosen = np.moveaxis(chosen, 0, -1)
            elif len(chosen) == 1:
                chosen = chosen[0]
            else:
                raise ImageFileError(
                    f"{path}: has an axis {axis} of {len(chosen)}, expected "
                    "only T, C, Z, Y, X. Save what is meant on its own."
                )
        planes = [pages[index] for index in chosen.ravel()]
        self._check(page, planes)
        if len(planes) == 1:
            return Found(page, planes, page.axes, page.shape)
        if "S" in page.axes:
            raise ImageFileError(
                f"{path}: has {len(planes)} channels of several samples each. "
                "Save one of them on its own."
            )
        shape = len(planes), *page.shape
        return Found(page, planes, "C" + page.axes, shape)

    def _check(self, page, planes):
        path, known = self._file.path, self._directories
        check_page(page, known[page.offset], path)
        for plane in planes:
            if known[plane.offset].layout != known[page.offset].layout:
                raise ImageFileError(
                    f"{path}: pages of one image are stored in several ways. "
                    "Save it anew."
                )


def _pyramid(index, series, described):
    name, size, channel_names = described
    sizes = tuple(_size(level) for level in series.levels)
    lengths, axes = {}, series.axes[: -len(series.keyframe.axes)]
    for axis, length in zip(axes, series.shape, strict=False):
        if _name(axis, axes) in ("z", "t"):
            lengths[_name(axis, axes)] = length
    return Pyramid(
        name or str(index),
        sizes,
        lengths,
        reduced(size, sizes),
        channel_names,
        is_image(series),
        is_first=index == 0,
    )


def _name(axis, axes):
    """Name an axis of pages; of pages without a name, they are planes."""
    is_plane = axis in _PAGES and "Z" not in axes
    return "z" if is_plane else axis.lower()


def _size(level):
    lengths = dict(zip(level.axes, level.shape, strict=True))
    return lengths["Y"], lengths["X"]
