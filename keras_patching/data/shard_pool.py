"""Open shards: memory maps that threads share, a bounded number of them."""

import errno
import math
import mmap
import threading
import weakref

import numpy as np

from keras_patching.data.shards import ShardError

# The second is far below the memory maps that Linux allows (65,530 a process).
_FEW, _MANY = 512, 32768


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


class _OpenFiles:
    """Counts the shards that all pools of this process keep mapped."""

    def __init__(self):
        # A file is open as long as anything holds its map.
        self._maps = weakref.WeakSet()
        self._pools = weakref.WeakSet()
        self._most = math.inf
        self.lock = threading.RLock()

    def left(self):
        """Tell whether one more may be mapped and stay so."""
        return len(self._maps) < min(max_open_files(), self._most)

    def add(self, mapped):
        self._maps.add(mapped)

    def join(self, pool):
        with self.lock:
            self._pools.add(pool)

    def with_one(self, function, *args):
        """Call what opens a file, and make room if too many are open."""
        try:
            return function(*args)
        except OSError as error:
            if error.errno != errno.EMFILE or not self._maps:
                raise
        with self.lock:  # Others need files too, so keep fewer from now on.
            self._most = len(self._maps) // 2
            for pool in self._pools:
                pool.views.clear()
        return function(*args)


_files = _OpenFiles()


class ShardPool:
    """Memory maps of shards, opened when first asked for.

    Each map holds a file descriptor, of which a process has few. So only the
    first shards that are asked for, by any sequence, are mapped, and stay
    mapped while their sequence lives; patches of the others are read from their
    file, which is faster than mapping it anew each time.

    Args:
        directory: `pathlib.Path` of the folder of shards.
        records: List of `ShardRecord`.

    Attributes:
        views: Dict from the index of a mapped shard to its array `(patches,
            values)`. They are plain arrays of two axes: rows of an `np.memmap`,
            and rows with more axes, take longer to copy.
    """

    def __init__(self, directory, records):
        self.directory = directory
        self.records = records
        self.views = {}
        _files.join(self)

    def copy_patch(self, shard, row, target):
        """Copy patch `row` of a shard into a flat array of its dtype."""
        view = self._view(shard)
        if view is None:
            _files.with_one(self._read, shard, row, target)
        else:
            target[:] = view[row]

    def array(self, shard):
        """Give a shard as an array `(patches, values)`, without reading it."""
        view = self._view(shard)
        return _files.with_one(self._map, shard) if view is None else view

    def _view(self, shard):
        """Give a shard that is mapped, or may stay so, else `None`."""
        view = self.views.get(shard)
        if view is None and _files.left():
            with _files.lock:  # so that threads do not map more than that
                view = self.views.get(shard)
                if view is None and _files.left():
                    view = _files.with_one(self._map, shard)
                    self.views[shard] = view
        return view

    def _map(self, shard):
        record = self.records[shard]
        with self._open(record) as stream:
            content = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        _files.add(content)
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
        return self.directory, self.records

    def __setstate__(self, state):
        self.__init__(*state)
