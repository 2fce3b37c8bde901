"""Open shards: memory maps that threads share, a bounded number of them."""

import math
import mmap
import threading

import numpy as np

from keras_patching.data.shards import ShardError

# The second is far below the memory maps that Linux allows (65,530 a process).
_FEW, _MANY = 256, 16384


def max_open_files():
    """Number of files that one sequence may keep open.

    It is a quarter of what the process may have open (`ulimit -n`, 1024 often),
    since a training has two sequences and other files besides.
    """
    try:
        import resource
    except ImportError:  # not on Windows
        return _FEW
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return _MANY
    return min(max(soft // 4, 2), _MANY)


class ShardPool:
    """Memory maps of shards, opened when first asked for.

    Each map holds a file descriptor, of which a process has few. So only the
    first shards that are asked for are mapped, and stay mapped; patches of the
    others are read from their file, which is faster than mapping it anew each
    time.

    Args:
        directory: `pathlib.Path` of the folder of shards.
        records: List of `ShardRecord`.
        limit: How many shards are mapped at most.

    Attributes:
        views: Dict from the index of a mapped shard to its array `(patches,
            values)`. They are plain arrays of two axes: rows of an `np.memmap`,
            and rows with more axes, take longer to copy.
    """

    def __init__(self, directory, records, limit):
        self.directory = directory
        self.records = records
        self.limit = limit
        self.views = {}
        self._lock = threading.Lock()

    def copy_patch(self, shard, row, target):
        """Copy patch `row` of a shard into a flat array of its dtype."""
        view = self.views.get(shard)
        if view is None and len(self.views) < self.limit:
            view = self._keep(shard)
        if view is None:
            self._read(shard, row, target)
        else:
            target[:] = view[row]

    def array(self, shard):
        """Give a shard as an array `(patches, values)`, without reading it."""
        view = self.views.get(shard)
        if view is None and len(self.views) < self.limit:
            view = self._keep(shard)
        return self._map(shard) if view is None else view

    def _keep(self, shard):
        with self._lock:
            if shard not in self.views and len(self.views) < self.limit:
                self.views[shard] = self._map(shard)
        return self.views.get(shard)

    def _map(self, shard):
        record = self.records[shard]
        with self._open(record) as stream:
            content = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        rows = record.shape[0], math.prod(record.shape[1:])
        return np.ndarray(
            rows, record.dtype, buffer=content, offset=record.offset
        )

    def _read(self, shard, row, target):
        record = self.records[shard]
        with self._open(record) as stream:
            stream.seek(record.offset + row * target.nbytes)
            size = stream.readinto(target)
        if size != target.nbytes:
            raise ShardError(
                f"{self.directory / record.file}: was truncated while it was "
                "in use. Call the loader again, which rebuilds it."
            )

    def _open(self, record):
        return open(f"{self.directory}/{record.file}", "rb", buffering=0)

    def __getstate__(self):
        return self.directory, self.records, self.limit

    def __setstate__(self, state):
        self.__init__(*state)
