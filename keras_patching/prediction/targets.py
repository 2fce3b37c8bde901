"""What the results of `predict_images` are written into, band by band."""

import os
import pathlib

import numpy as np

from keras_patching._faults import few, raise_faults
from keras_patching._printing import printable
from keras_patching._whole_files import OutputError
from keras_patching.data.images.zarr_windows import import_zarr
from keras_patching.prediction.array_target import ArrayTarget
from keras_patching.prediction.formed_rows import FormedFolder, FormedRows
from keras_patching.prediction.ome_form import ome_suffix
from keras_patching.prediction.path_target import (
    PathTarget,
    part_path,
    record_path,
)
from keras_patching.prediction.row_file import FORMATS, RowFile
from keras_patching.prediction.zarr_folder import ZarrFolder

_NAME = "{name}"
_ZARR = ".zarr"
_IN_TIFF = {
    *("uint8", "uint16", "uint32", "uint64"),
    *("int8", "int16", "int32", "int64"),
    *("float32", "float64"),
}
# What OME has a name for.
_IN_OME = _IN_TIFF - {"uint64", "int64"}
_MAX_TIFF_CHANNELS = 2**16 - 1


def list_outs(out, names):
    """Give what each result is written into.

    Args:
        out: Path or array of the one source, a list with one for each, or a
            path with `{name}` in it.
        names: List of the names of the sources, without suffix.

    Returns:
        List of paths, strings or path-like, and arrays.

    Raises:
        ValueError: If they are not as many, or if two results would be
            written into one.
    """
    if isinstance(out, (list, tuple)):
        outs = list(out)
    elif _is_path(out) and _NAME in os.fspath(out):
        if ome_suffix(out):  # a.ome.tif is not to become a.ome.ome.tif
            names = [name.removesuffix(".ome") for name in names]
        outs = [os.fspath(out).replace(_NAME, name) for name in names]
    else:
        outs = [out]
    if len(outs) != len(names):
        raise ValueError(
            "`out` must be a path with `{name}` in it, which stands for the "
            f"name of each image, or a list of {len(names)}. Received: "
            f"{few(outs, most=2, show=_describe)} for {len(names)} images"
        )
    _refuse_doubles(outs, names)
    return outs


def _refuse_doubles(outs, names):
    sources = {}
    for out, name in zip(outs, names, strict=True):
        where = os.path.realpath(out) if _is_path(out) else id(out)
        sources.setdefault(where, []).append(name)
    raise_faults(
        [
            printable(f"{where}: of {few(several)}")
            for where, several in sources.items()
            if len(several) > 1
        ],
        "`out` would write several images into one",
        "Pass a list with a path for each, or rename images.",
    )


def check_outs(outs, sources, *, resume, overwrite):
    """Refuse to write over files, before anything is predicted.

    Args:
        outs: List from `list_outs`.
        sources: Paths of images that are read.
        resume: Whether to go on from what a killed run has left. What has a
            record is then left to `open_target`.
        overwrite: Whether to write over what is there.

    Raises:
        ValueError: Listing the files.
        ImportError: If a zarr array is asked for and zarr is not installed.
    """
    paths = [pathlib.Path(out) for out in outs if _is_path(out)]
    for path in paths:
        if path.suffix.lower() == _ZARR:
            import_zarr(path)
            break
    read = {os.path.realpath(source) for source in sources}
    raise_faults(
        [printable(each) for each in paths if os.path.realpath(each) in read],
        "`out` would write results over images to predict",
        "Write to another folder.",
    )
    if not overwrite:
        raise_faults(
            [
                printable(path)
                for path in paths
                if os.path.lexists(path)
                and not (resume and record_path(path).exists())
            ],
            "`out` exists already",
            "Pass `overwrite=True` if you do not need them, or another `out`.",
        )


def open_target(out, shape, dtype, name, *, key, resume, overwrite, form=None):
    """Open what one result is written into.

    Its methods `write`, `finish`, `abandon` are those of `PathTarget`.

    Args:
        out: Path with the suffix `.npy`, `.tif`, `.tiff` or `.zarr`, or an
            object with `shape` and item assignment.
        shape: Shape of the result, rows first: `(height, width, classes)` or
            `(height, width)`.
        dtype: Its dtype.
        name: Name of the image, for messages.
        key: String, a hash of all that decides the bytes of the result.
        resume: Whether to go on from what a killed run has left.
        overwrite: Whether to write over what is there.
        form: Function that makes the file of its rows when they are whole, as
            of `FormedRows`; `None` leaves them as they are. `key` must tell
            it. Of `.zarr` it makes a folder.

    Returns:
        `PathTarget` or `ArrayTarget`.

    Raises:
        ValueError: If `out` cannot hold the result or cannot be written; names
            what would do.
        ImportError: If a zarr array is asked for and zarr is not installed.
    """
    shape, dtype = tuple(int(length) for length in shape), np.dtype(dtype)
    if not _is_path(out):
        return ArrayTarget(out, shape, dtype, name)
    path = pathlib.Path(out)
    suffix = path.suffix.lower()
    _check_format(path, suffix, shape, dtype)
    part = part_path(path)
    if suffix == _ZARR and form is not None:
        storage = FormedFolder(RowFile(part, ".npy", shape, dtype), form)
    elif suffix == _ZARR:
        storage = ZarrFolder(part, shape, dtype)
    else:
        storage = RowFile(part, suffix, shape, dtype)
        if form is not None:
            storage = FormedRows(storage, form)
    return PathTarget(path, storage, shape, dtype, key, resume, overwrite)


def forget_records(targets):
    """Remove the records of results that are whole, at the end of a run."""
    for target in targets:
        target.forget()


def _check_format(path, suffix, shape, dtype):
    able = [each for each in (*FORMATS, _ZARR) if _holds(each, shape, dtype)]
    if ome_suffix(path):
        is_held = dtype.name in _IN_OME and len(shape) in (2, 3)
        suffix = ome_suffix(path)
    else:
        is_held = suffix in able
    if is_held:
        return
    also = f"write {', '.join(able)}, or " if able else ""
    raise OutputError(
        f"{path}: {suffix or 'no suffix'} cannot take rows of {shape} of "
        f"{dtype}. Instead {also}pass an array to be filled as `out`."
    )


def _holds(suffix, shape, dtype):
    if suffix in (".npy", _ZARR):
        return dtype.kind in "uifb"
    has_channels = len(shape) == 3 and shape[2] <= _MAX_TIFF_CHANNELS
    return dtype.name in _IN_TIFF and (len(shape) == 2 or has_channels)


def _is_path(out):
    return isinstance(out, (str, os.PathLike))


def _describe(out):
    return repr(out) if _is_path(out) else str(type(out))
