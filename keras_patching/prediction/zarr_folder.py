"""Zarr arrays that rows are written into, each chunk at once."""

import math
import os
import pathlib
import shutil

import numpy as np

from keras_patching._whole_files import OutputError, flush
from keras_patching.data.images.ome_zarr import is_zarr
from keras_patching.data.images.zarr_windows import import_zarr

_CHUNK_BYTES = 2**22


class ZarrFolder:
    """A zarr array of chunks of whole rows, which are written once.

    A chunk that is half written when the process is killed holds no row that
    was there before.

    Args:
        path: `pathlib.Path` to write to.
        shape: Shape of the array, rows first.
        dtype: Its dtype.

    Attributes:
        path: As given.
        rows: Number of rows in chunks that are written, from the top.

    Raises:
        ImportError: If zarr is not installed.
    """

    def __init__(self, path, shape, dtype):
        self._zarr = import_zarr(path)
        self.path = path
        self.rows = 0
        self._shape = shape
        self._dtype = dtype
        row_bytes = math.prod(shape[1:]) * dtype.itemsize
        rows = min(shape[0], max(1, _CHUNK_BYTES // row_bytes))
        self._chunk_shape = (rows, *shape[1:])
        self._array = self._chunk = None
        self._pending = 0
        self._flushed_ns = 0

    def make(self):
        """Make an empty folder, unless there is one."""
        self.path.mkdir(exist_ok=True)

    def missing_bytes(self):
        """Give 0: how far the chunks can be compressed is not known."""
        return 0

    def begin(self):
        """Make an array without rows; gives the facts for `reopen`."""
        for entry in self.path.iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        array = self._zarr.create_array(
            store=str(self.path),
            shape=self._shape,
            chunks=self._chunk_shape,
            dtype=self._dtype,
            fill_value=0,
        )
        self._open(array, 0)
        return {}

    def reopen(self, rows, facts):
        """Go on after the first rows; gives whether the array is as it was."""
        if not is_zarr(self.path):
            return False
        array = self._zarr.open_array(store=str(self.path), mode="r+")
        found = array.shape, array.chunks, array.dtype
        if found != (self._shape, self._chunk_shape, self._dtype):
            return False
        self._open(array, rows)
        return True

    def _open(self, array, rows):
        self._array = array
        self._chunk = np.empty(self._chunk_shape, self._dtype)
        self.rows = rows

    def write(self, band):
        """Write the next rows; those of a chunk that is not full wait."""
        height, done = self._shape[0], 0
        while done < len(band):
            free = self._chunk[self._pending :][: len(band) - done]
            free[...] = band[done : done + len(free)]
            done += len(free)
            self._pending += len(free)
            is_last = self.rows + self._pending == height
            if is_last or self._pending == len(self._chunk):
                self._write_chunk()

    def _write_chunk(self):
        end = self.rows + self._pending
        self._array[self.rows : end] = self._chunk[: self._pending]
        self.rows, self._pending = end, 0

    def flush(self):
        """Wait until all chunks are on the disk."""
        newest = self._flushed_ns
        for folder, _, names in os.walk(self.path):
            for path in (pathlib.Path(folder, name) for name in names):
                written_ns = path.stat().st_mtime_ns
                newest = max(newest, written_ns)
                if written_ns >= self._flushed_ns:
                    flush(path)
        self._flushed_ns = newest

    def finish(self):
        """Close it, when all rows are written; gives its path."""
        self.close()
        self.flush()
        return self.path

    def close(self):
        """Let go of the array."""
        self._array = self._chunk = None

    def check_replaces(self, path):
        """Refuse to take the place of what is no array of zarr."""
        check_replaces_zarr(path)

    def move(self, path):
        """Give the folder its name, in place of the array that has it."""
        replace_folder(self.path, path)

    def remove(self):
        """Remove the folder."""
        shutil.rmtree(self.path, ignore_errors=True)


def check_replaces_zarr(path):
    """Refuse to take the place of what is no array or group of zarr."""
    if not is_zarr(path):
        raise OutputError(
            f"{path}: is no zarr array, and is not replaced. Write to "
            "another path."
        )


def replace_folder(folder, path):
    """Give a folder its name, in place of the one that has it."""
    old = folder.with_name(f"{folder.name}.old")
    if path.exists():
        shutil.rmtree(old, ignore_errors=True)
        os.replace(path, old)
    os.replace(folder, path)
    shutil.rmtree(old, ignore_errors=True)
