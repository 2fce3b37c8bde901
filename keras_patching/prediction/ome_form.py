"""Rows that are made into an OME-TIFF or OME-Zarr: tiles, compressed, levels.

OME-Zarr is of version 0.4, in zarr 2: what reads 0.5 reads that too, and what
microscopists have installed (QuPath, Bio-Formats, Fiji) often reads no other.
"""

import dataclasses
import hashlib
import os
import pathlib

import numpy as np

from keras_patching.data.images.pixel_size import PixelSize
from keras_patching.data.images.tiff_writing import write_ome_tiff
from keras_patching.data.images.zarr_windows import import_zarr
from keras_patching.prediction.levels import Levels

TIFF_SUFFIXES = ".ome.tif", ".ome.tiff"
ZARR_SUFFIX = ".ome.zarr"
_TILE = 512
_MICROMETRES = {"m": 1e6, "µm": 1.0}


def ome_suffix(path):
    """Give ".ome.tif", ".ome.tiff" or ".ome.zarr" of a path; else ""."""
    if not isinstance(path, (str, os.PathLike)):
        return ""
    name = os.fspath(path).lower()
    return next(
        (s for s in (*TIFF_SUFFIXES, ZARR_SUFFIX) if name.endswith(s)), ""
    )


@dataclasses.dataclass(frozen=True)
class Meaning:
    """What the numbers of a result mean.

    Attributes:
        channels: Names of its channels, empty where they have none.
        classes: Pairs of the value of each class and its name.
        colors: Pairs of the value of each class and its RGB, 0 to 255.
    """

    channels: tuple[str, ...] = ()
    classes: tuple[tuple[int, str], ...] = ()
    colors: tuple[tuple[int, tuple[int, int, int]], ...] = ()


class OmeForm:
    """Makes an OME-TIFF, or the folder of an OME-Zarr, of the rows of a result.

    Levels are halved until one tile holds one. Integers, which are classes,
    are every second pixel, floats are means of four.

    Args:
        name: What the image is called in the file.
        pixel_size: `PixelSize` of the result, or `None`.
        meaning: `Meaning`.
        is_folder: Whether it is an OME-Zarr.

    Attributes:
        is_folder: As given.
        key: String that tells it from others.
    """

    def __init__(self, name, pixel_size, meaning, is_folder):
        self._name, self._pixel_size = name, _in_micrometres(pixel_size)
        self._meaning, self.is_folder = meaning, is_folder
        known = repr((name, self._pixel_size, meaning, is_folder))
        self.key = hashlib.sha256(known.encode()).hexdigest()

    def __call__(self, rows, path):
        """Write the file, or the folder.

        Args:
            rows: What windows of the result are read from, see `FormedRows`.
            path: `pathlib.Path` to write to.
        """
        with Levels(rows, path, _TILE) as levels:
            if self.is_folder:
                self._write_zarr(levels, path)
            else:
                self._write_tiff(levels, path)

    def _write_tiff(self, levels, path):
        metadata = {"Name": self._name}
        size = self._pixel_size
        if size is not None:
            metadata["PhysicalSizeX"], metadata["PhysicalSizeXUnit"] = (
                size.width,
                size.unit,
            )
            metadata["PhysicalSizeY"], metadata["PhysicalSizeYUnit"] = (
                size.height,
                size.unit,
            )
        channels = levels.shapes[0][2:]
        names = self._meaning.channels
        if channels and len(names) == channels[0]:
            metadata["Channel"] = {"Name": list(names)}
        pixels = None
        if size is not None:
            # Of what is no OME: how many there are in a centimetre.
            pixels = 1e4 / size.width, 1e4 / size.height
        tile = _TILE if min(levels.shapes[0][:2]) >= _TILE else _TILE // 2
        write_ome_tiff(
            path,
            levels.shapes,
            levels.dtype,
            (levels.tiles(number, tile) for number in range(len(levels))),
            tile,
            metadata,
            pixels,
        )

    def _write_zarr(self, levels, path):
        zarr = import_zarr(path)
        group = zarr.open_group(str(path), mode="w", zarr_format=2)
        for number, (height, width, *channels) in enumerate(levels.shapes):
            array = group.create_array(
                str(number),
                shape=(*channels, height, width),
                chunks=(*(1 for _ in channels), _TILE, _TILE),
                dtype=levels.dtype,
                fill_value=0,
                compressors={"id": "zlib", "level": 5},
                chunk_key_encoding={"name": "v2", "separator": "/"},
            )
            for y, x, block in levels.blocks(number, _TILE):
                end, right = y + block.shape[0], x + block.shape[1]
                if channels:
                    block = np.moveaxis(block, -1, 0)
                array[..., y:end, x:right] = block
        group.attrs.update(self._attributes(levels))

    def _attributes(self, levels):
        """Give what OME-NGFF 0.4 has of an image, or of a label image."""
        has_channels = len(levels.shapes[0]) == 3
        size = self._pixel_size
        unit = {} if size is None else {"unit": "micrometer"}
        axes = [{"name": name, "type": "space", **unit} for name in "yx"]
        steps = [1.0, 1.0] if size is None else [size.height, size.width]
        if has_channels:
            axes = [{"name": "c", "type": "channel"}, *axes]
        datasets = []
        for number in range(len(levels)):
            scale = [step * 2**number for step in steps]
            # A pixel of a level lies where the first of those it stands for
            # does, or, where it is a mean, in their middle.
            shift = [step * (2**number - 1) / 2 for step in steps]
            is_mean = levels.dtype.kind == "f"
            shift = shift if is_mean else [0.0, 0.0]
            lead = [1.0] * has_channels
            transformations = [{"type": "scale", "scale": [*lead, *scale]}]
            if any(shift):
                offset = [*([0.0] * has_channels), *shift]
                transformations.append(
                    {"type": "translation", "translation": offset}
                )
            datasets.append(
                {
                    "path": str(number),
                    "coordinateTransformations": transformations,
                }
            )
        multiscale = {
            "version": "0.4",
            "name": self._name,
            "axes": axes,
            "datasets": datasets,
            "type": "mean" if levels.dtype.kind == "f" else "nearest",
        }
        attributes = {"multiscales": [multiscale]}
        if has_channels:
            attributes["omero"] = self._omero(levels.shapes[0][2])
        elif levels.dtype.kind in "ui":
            attributes["image-label"] = self._label()
        return attributes

    def _omero(self, count):
        names = self._meaning.channels
        if len(names) != count:
            names = [str(number) for number in range(count)]
        window = {"start": 0.0, "end": 1.0, "min": 0.0, "max": 1.0}
        return {
            "version": "0.4",
            "channels": [
                {
                    "label": name,
                    "color": "FFFFFF",
                    "active": number == 0,
                    "window": window,
                }
                for number, name in enumerate(names)
            ],
        }

    def _label(self):
        label = {"version": "0.4"}
        classes, colors = map(
            dict, (self._meaning.classes, self._meaning.colors)
        )
        if classes:
            label["properties"] = [
                {"label-value": value, "class": name}
                for value, name in classes.items()
            ]
        # Where both are told, they must be of the same values.
        if colors and not classes.keys() - colors.keys():
            label["colors"] = [
                {"label-value": value, "rgba": [*map(int, colors[value]), 255]}
                for value in (classes or colors)
            ]
        return label


def ome_form(source, path, scale, meaning):
    """Give what makes an OME-TIFF or OME-Zarr of the result of an image.

    Args:
        source: `ImageSource`, or what looks like one.
        path: Path that the result is written into.
        scale: Of the output, see `PatchOutputs`.
        meaning: `Meaning`.

    Returns:
        `OmeForm`; `None` where the path asks for another format, or the
        result is no image.
    """
    suffix = ome_suffix(path)
    if not suffix or scale is None:
        return None
    size = _pixel_size_of_result(source, scale)
    name = pathlib.Path(path).name[: -len(suffix)]
    return OmeForm(name, size, meaning, suffix == ZARR_SUFFIX)


def _pixel_size_of_result(source, scale):
    """Give the `PixelSize` of a result, which is as large as the file."""
    size = getattr(source, "pixel_size", None)
    if size is None:
        return None
    read = source.shape[:2]
    file_size = getattr(source, "file_size", read)  # Of what was resized.
    numerator, denominator = scale
    height, width = (
        length * denominator / numerator * seen / whole
        for length, seen, whole in zip(
            (size.height, size.width), read, file_size, strict=True
        )
    )
    return PixelSize(height, width, size.unit)


def _in_micrometres(size):
    if size is None:
        return None
    factor = _MICROMETRES[size.unit]
    return PixelSize(size.height * factor, size.width * factor, "µm")
