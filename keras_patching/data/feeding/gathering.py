"""Copies places of many files into one array, in one call of the system.

A call for each place is short, and Python lets no other thread run before it
is over: two threads then read no faster than one. Here the system copies all
places of a batch out of maps of the files, and other threads run meanwhile.

Nothing else may touch such a map: that ends the process where the file was cut
off since. The system says so instead, and so it is only the system that reads
them, which Linux can be asked for.
"""

import ctypes
import os

import numpy as np

_PROT_READ, _MAP_SHARED = 1, 1
_MOST_PLACES = 1024  # that a call takes
_FAILED = ctypes.c_void_p(-1).value


def _find_calls():
    """Give `mmap`, `munmap`, `process_vm_readv`, or `None`s."""
    pointer, number = ctypes.c_void_p, ctypes.c_ulong
    try:
        system = ctypes.CDLL(None)
        calls = system.mmap, system.munmap, system.process_vm_readv
    except (AttributeError, OSError, TypeError):  # not on Linux
        return None, None, None
    to_map, unmap, copy = calls
    integer = ctypes.c_int
    to_map.argtypes = pointer, number, integer, integer, integer, ctypes.c_long
    to_map.restype = pointer
    unmap.argtypes = pointer, number
    copy.argtypes = integer, pointer, number, pointer, number, number
    copy.restype = ctypes.c_ssize_t
    return calls


_map, _unmap, _copy = _find_calls()


class FileMap:
    """A map of an open file, as long as anything holds this.

    Args:
        file: File descriptor, which may be closed afterwards.
        size: Number of bytes.

    Attributes:
        start: Address of its first byte, or `None` where it is not mapped.
    """

    def __init__(self, file, size):
        self.start, self._size = None, size
        if _map is not None:
            start = _map(None, size, _PROT_READ, _MAP_SHARED, file, 0)
            self.start = None if start == _FAILED else start

    def __del__(self):
        if self.start is not None:
            _unmap(self.start, self._size)


def gather(addresses, targets):
    """Fill the rows of a contiguous array with what lies at some addresses.

    Args:
        addresses: Integer array `(rows,)`, within maps that somebody holds.
        targets: Array `(rows, items)`.

    Returns:
        Whether all was read. If not, no row is to be relied on: files may have
        been cut off, or the system does not allow it.
    """
    row_bytes = targets.nbytes // len(targets)
    places = np.empty((len(targets), 2), np.uintp)
    places[:, 0], places[:, 1] = addresses, row_bytes
    start = targets.ctypes.data
    for first in range(0, len(places), _MOST_PLACES):
        some = places[first : first + _MOST_PLACES]
        size = len(some) * row_bytes
        target = np.array([start + first * row_bytes, size], np.uintp)
        there = some.ctypes.data, len(some), 0
        if _copy(os.getpid(), target.ctypes.data, 1, *there) != size:
            return False
    return True


def waits_for_disk():
    """Count how often this thread has waited for a page of a map so far."""
    import resource  # not on Windows

    return resource.getrusage(resource.RUSAGE_THREAD).ru_majflt
