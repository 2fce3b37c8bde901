"""Open shards that threads share, a bounded number of them.

A file that someone truncates meanwhile is an error that can be told, so maps
are read by the system only: touching one would end the process without a word.
"""

import errno
import math
import os
import threading
import weakref

import numpy as np

from keras_patching.data.cache.shards import open_shard, truncated
from keras_patching.data.feeding.gathering import (
    FileMap,
    gather,
    waits_for_disk,
)
from keras_patching.data.images.open_file import read_at

_FEW, _MANY = 512, 32768
# What stays in the cache of a processor until it is copied from there.
_BYTES_AT_ONCE = 2**18
# Patches that are faster copied in one call than in as many.
_FEWEST_AT_ONCE = 8
# Batches that are read patch by patch after one that had to wait for the disk,
# which is read in larger pieces so.
_PATIENCE = 64


def max_open_files():
    """Number of shards that all sequences of this process keep open together.

    It is half of the files that the process may have open (`ulimit -n`, 1024
    often).
    """
    try:
        import resource
    except ImportError:  # not on Windows
        return _FEW
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return _MANY
    return min(soft // 2, _MANY)


class _OpenShard:
    """A shard that is open as long as anything holds this."""

    def __init__(self, directory, record):
        self._file = None
        self._name = f"{directory}/{record.file}"
        self._size = record.bytes
        self._file, self._offset = open_shard(directory, record)
        self._map = None
        self.address = None

    def map(self):
        """Tell in `address` where the array begins, if it can be mapped."""
        self._map = FileMap(self._file, self._size)
        if self._map.start is not None:
            self.address = self._map.start + self._offset

    def read(self, place, target):
        """Fill a contiguous array with what lies at a place, in bytes."""
        try:
            if not read_at(self._file, self._offset + place, target):
                raise truncated(self._name)
        except OSError as error:
            raise OSError(error.errno, error.strerror, self._name) from error

    def __del__(self):
        if self._file is not None:
            os.close(self._file)


class _OpenFiles:
    """Counts the shards that all pools of this process keep open."""

    def __init__(self):
        self._kept = weakref.WeakSet()
        self._pools = weakref.WeakSet()
        self._most = math.inf
        self.lock = threading.RLock()

    def left(self):
        """Tell whether one more may be opened and stay so."""
        return len(self._kept) < min(max_open_files(), self._most)

    def add(self, shard):
        self._kept.add(shard)

    def join(self, pool):
        with self.lock:
            self._pools.add(pool)

    def with_one(self, function, *args):
        """Call what opens a file, and make room if too many are open."""
        try:
            return function(*args)
        except OSError as error:
            if error.errno != errno.EMFILE or not self._kept:
                raise
        with self.lock:  # Others need files too, so keep fewer from now on.
            self._most = len(self._kept) // 2
            for pool in self._pools:
                pool.kept.clear()
        return function(*args)


_files = _OpenFiles()


class ShardPool:
    """Shards, opened when first asked for.

    Each holds a file descriptor, of which a process has few. So only the first
    shards that are asked for, by any sequence, stay open, while their sequence
    lives; the others are opened for each reading.

    Args:
        directory: `pathlib.Path` of the folder of shards.
        records: List of `ShardRecord`.

    Attributes:
        kept: Dict from the index of a shard that stays open to it.
    """

    def __init__(self, directory, records):
        self.directory = directory
        self.records = records
        self.kept = {}
        self._waiting = 0
        _files.join(self)

    def read_patches(self, shards, rows, targets):
        """Copy patches, one per pair of shard and row, into rows of an array.

        Args:
            shards, rows: Lists of integers.
            targets: Array `(patches, items)` to copy into, contiguous.
        """
        opened = [self.kept.get(shard) for shard in shards]
        if None in opened or not self._gather(opened, rows, targets):
            for shard, row, target in zip(shards, rows, targets, strict=True):
                self.read_patch(shard, row, target)

    def _gather(self, opened, rows, targets):
        """Copy all in one call, and tell whether that could be done."""
        starts = [each.address for each in opened]
        if len(rows) < _FEWEST_AT_ONCE or None in starts or not targets.nbytes:
            return False
        if self._waiting:
            self._waiting -= 1
            return False
        places = np.multiply(rows, targets.nbytes // len(targets)) + starts
        waits = waits_for_disk()
        whole = gather(places, targets)
        if waits_for_disk() > waits:
            self._waiting = _PATIENCE
        return whole

    def read_patch(self, shard, row, target):
        """Copy patch `row` of a shard into a flat array of its dtype."""
        opened = self.kept.get(shard) or self._open(shard)
        opened.read(row * target.nbytes, target)

    def read_window(self, shard, origin, target):
        """Copy a window out of the whole image that a shard holds in strips.

        Args:
            shard: Index of the shard.
            origin: `(y, x)` of the window, which lies inside of the image.
            target: Array `(height, width, ...)` to copy into, its rows
                contiguous.
        """
        opened = self._open(shard)
        _, _, rows, *row_shape = self.records[shard].shape
        (y, x), (height, width) = origin, target.shape[:2]
        columns, row_bytes = (
            row_shape[0],
            math.prod(row_shape) * target.itemsize,
        )
        step = max(_BYTES_AT_ONCE // row_bytes, 1)
        buffer = np.empty((min(step, height), *row_shape), target.dtype)
        for strip in range(x // columns, (x + width - 1) // columns + 1):
            left = strip * columns - x  # where it begins in the window
            skipped = max(-left, 0)
            for top in range(0, height, step):
                part = target[top : top + step, left + skipped : left + columns]
                lines = buffer[: len(part)]
                place = (strip * rows + y + top) * row_bytes
                opened.read(place, lines)
                part[...] = lines[:, skipped : skipped + part.shape[1]]

    def _open(self, shard):
        """Give a shard that is open."""
        opened = self.kept.get(shard)
        if opened is not None:
            return opened
        opened = _files.with_one(
            _OpenShard, self.directory, self.records[shard]
        )
        with _files.lock:
            if shard not in self.kept and _files.left():
                opened.map()
                self.kept[shard] = opened
                _files.add(opened)
        return opened

    def __getstate__(self):
        return self.directory, self.records

    def __setstate__(self, state):
        self.__init__(*state)
