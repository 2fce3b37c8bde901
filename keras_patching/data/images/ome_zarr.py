"""What an OME-Zarr folder says of its images, of versions 0.1 to 0.5.

Only its JSON files are read here. Version 0.4 and those before are in zarr
version 2 (`.zattrs`), 0.5 is in version 3 (`zarr.json`, below `"ome"`).
https://ngff.openmicroscopy.org
"""

import contextlib
import dataclasses
import json
import math
import os
import pathlib
import re

from keras_patching._faults import ImageFileError
from keras_patching.data.images.microscopes import micrometres

SUFFIX = ".zarr"
# One of them is in each folder that is an array or a group of zarr.
METADATA = ("zarr.json", ".zarray", ".zgroup")
_OME_KEYS = ("multiscales", "plate", "bioformats2raw.layout")
# Of what version 0.1 and 0.2 have, which name no axes.
_FIVE_AXES = "tczyx"
_MOST_IMAGES = 100_000


@dataclasses.dataclass(frozen=True)
class Multiscale:
    """An image of an OME-Zarr folder.

    Attributes:
        name: Its path inside of the folder, or its name, or its number.
        folder: `pathlib.Path` of the group that holds its levels.
        paths: Where the array of each level lies in the group, the largest
            first.
        axes: Name of each axis of the arrays: of "tczyx", or another.
        scales: Length of a step along each axis, per level, or `None`.
        units: Name of the unit of each axis, or `None`.
        channel_names: Tuple of names, empty where there are none.
    """

    name: str
    folder: pathlib.Path
    paths: tuple[str, ...]
    axes: tuple[str, ...]
    scales: tuple[tuple[float, ...] | None, ...]
    units: tuple[str | None, ...]
    channel_names: tuple[str, ...]

    def pixel_size(self, level):
        """Give the `PixelSize` of a level, or `None` where it is unknown."""
        y, x = self.axes.index("y"), self.axes.index("x")
        scale = self.scales[level]
        if scale is None or self.units[y] != self.units[x]:
            return None
        return micrometres(scale[y], scale[x], self.units[y])


def is_ome_zarr(path):
    """Tell whether a path is a folder that holds images of OME-Zarr."""
    return os.path.isdir(path) and any(
        key in _attributes(pathlib.Path(path)) for key in _OME_KEYS
    )


def is_zarr(path):
    """Tell whether a path is a folder that is an array or group of zarr."""
    return any(os.path.isfile(os.path.join(path, name)) for name in METADATA)


def stem_of(path):
    """Give what results of an image are named after.

    Of `a.jpg` it is "a", of an image in a zarr, `a.zarr/B/2/0`, "a_B_2_0".
    """
    path = pathlib.Path(path)
    for parent in path.parents:
        if parent.suffix.lower() == SUFFIX and is_zarr(parent):
            inside = path.relative_to(parent).parts
            return "_".join([parent.stem, *inside])
    return path.stem


def list_multiscales(path):
    """List the `Multiscale` of each image of a folder.

    Args:
        path: `pathlib.Path` of the folder.

    Raises:
        ValueError: It holds none, or what it says of one is not as published.
    """
    try:
        found = [
            multiscale
            for folder, name in _image_folders(path)
            for multiscale in _multiscales(folder, name)
        ]
    except ImageFileError:
        raise
    except (
        LookupError,
        TypeError,
        AttributeError,
        ValueError,
        OverflowError,
    ) as error:
        raise ImageFileError(
            f"{path}: what it says of its images is not as published "
            f"({type(error).__name__}: {error}). Validate it with "
            "ome-zarr-models."
        ) from error
    if not found:
        raise ImageFileError(
            f"{path}: holds no image of OME-Zarr: no `multiscales`. Pass a "
            "folder that does, or of a zarr array what `zarr.open` gives."
        )
    return found


def _image_folders(path):
    """Yield the folder of each image, and its name."""
    attributes = _attributes(path)
    if "plate" in attributes:
        for well in _listed(path, attributes["plate"], "wells"):
            for image in _listed(
                path / well, _attributes(path / well).get("well"), "images"
            ):
                yield path / well / image, f"{well}/{image}"
    elif "bioformats2raw.layout" in attributes:
        for number in range(_MOST_IMAGES):
            if not is_zarr(path / str(number)):
                break
            yield path / str(number), str(number)
    elif "labels" in attributes and "multiscales" not in attributes:
        for name in attributes["labels"]:
            yield path / _inside(path, name), str(name)
    else:
        yield path, ""


def _listed(path, table, key):
    if not isinstance(table, dict) or not isinstance(table.get(key), list):
        raise ImageFileError(f'{path}: expected a list of "{key}".')
    for each in table[key]:
        yield _inside(path, each.get("path"))


def _inside(path, name):
    """Refuse what leads out of the folder."""
    if not isinstance(name, str) or not re.fullmatch(
        r"[^/\\]+(/[^/\\]+)*", name
    ):
        raise ImageFileError(
            f"{path}: names {name!r}, expected a path inside of it."
        )
    if ".." in name.split("/"):
        raise ImageFileError(f"{path}: {name!r} leads out of it.")
    return name


def _multiscales(folder, name):
    attributes = _attributes(folder)
    tables = attributes.get("multiscales", [])
    for index, table in enumerate(tables):
        own = name or str(table.get("name") or index)
        yield _multiscale(folder, own, table, attributes)


def _multiscale(folder, name, table, attributes):
    described = [
        {"name": each} if isinstance(each, str) else each
        for each in table.get("axes", _FIVE_AXES)
    ]
    axes = tuple(
        "c" if each.get("type") == "channel" else str(each["name"]).lower()
        for each in described
    )
    if len(set(axes)) < len(axes) or not {"y", "x"} <= set(axes):
        raise ImageFileError(
            f"{folder}: has the axes {axes}, expected y and x, and each once."
        )
    whole = _scale(table.get("coordinateTransformations"), len(axes))
    whole = [1.0] * len(axes) if whole is None else whole
    levels = [
        _scale(each.get("coordinateTransformations"), len(axes))
        for each in table["datasets"]
    ]
    scales = tuple(
        None
        if level is None
        else tuple(math.prod(steps) for steps in zip(level, whole, strict=True))
        for level in levels
    )
    channels = attributes.get("omero", {}).get("channels", [])
    names = tuple(str(each.get("label", "")) for each in channels)
    return Multiscale(
        name,
        folder,
        tuple(_inside(folder, each["path"]) for each in table["datasets"]),
        axes,
        scales,
        tuple(each.get("unit") for each in described),
        names if any(names) else (),
    )


def _scale(transformations, count):
    for each in transformations or ():
        scale = each.get("scale")
        is_scale = each.get("type") == "scale" and isinstance(scale, list)
        if is_scale and len(scale) == count:
            return [float(step) for step in scale]
    return None


def _attributes(folder):
    """Give the attributes of a group; those of OME of either version."""
    found = {}
    for name, keys in (("zarr.json", ("attributes",)), (".zattrs", ())):
        with contextlib.suppress(
            OSError, ValueError, KeyError, TypeError, RecursionError
        ):
            content = json.loads((folder / name).read_bytes())
            for key in keys:
                content = content[key]
            found |= content
            break
    ome = found.get("ome")
    return found | ome if isinstance(ome, dict) else found
