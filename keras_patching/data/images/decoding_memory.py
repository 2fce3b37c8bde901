"""Room for the decoding of large images: one at a time, if there is any.

A small file may say that it holds a large image, and workers read several at
once. What an image takes is known from its header.
"""

import contextlib
import pathlib
import threading

from keras_patching._faults import ImageFileError

# A decoder holds so many times the bytes of the image: rows of its own (Pillow
# takes four bytes for three), and the array that is made of them.
_COPIES = 3
_LARGE = 2**28
_one_at_a_time = threading.Lock()

_MEMINFO = pathlib.Path("/proc/meminfo")
_CONTAINER = pathlib.Path("/sys/fs/cgroup")


@contextlib.contextmanager
def room_for(header, path):
    """Wait until no other large image is decoded, and look for memory.

    Args:
        header: `ImageHeader` of the image that the block decodes.
        path: File that messages name.

    Raises:
        ValueError: There is less memory than it takes.
    """
    height, width = header.size
    size = height * width * header.channels * header.dtype.itemsize
    if size < _LARGE:
        yield
        return
    with _one_at_a_time:
        free = free_bytes()
        if free is not None and _COPIES * size > free:
            raise ImageFileError(
                f"{path}: {height} x {width} pixels take about "
                f"{_COPIES * size / 1e9:.1f} GB to decode, and {free / 1e9:.1f}"
                " GB are free. Use an executor with fewer workers, or crop the "
                "image."
            )
        yield


def free_bytes():
    """Give the memory that this process may still take, `None` if unknown."""
    known = [_free_of_machine(), _free_of_container()]
    return min((each for each in known if each is not None), default=None)


def _free_of_machine():
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in _MEMINFO.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return None


def _free_of_container():
    """Only where a limit is set; what is cached of files can be given back."""
    with contextlib.suppress(OSError, ValueError):
        most = int((_CONTAINER / "memory.max").read_text())
        used = int((_CONTAINER / "memory.current").read_text())
        fields = (_CONTAINER / "memory.stat").read_text().split()
        cached = int(fields[fields.index("file") + 1])
        return most - used + cached
    return None
