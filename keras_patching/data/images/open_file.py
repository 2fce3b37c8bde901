"""Files of which parts are read, at places that the caller knows.

Nothing is mapped into memory: a file that is cut off meanwhile would then kill
the process, and is an error here.
"""

import os
import stat
import threading

import numpy as np

from keras_patching._faults import ImageFileError


class OpenFile:
    """A file whose bytes are read where they are sliced, as those of `bytes`.

    Args:
        path: Path of a plain file.

    Attributes:
        stream: The open file, for what reads from its beginning.
        stat: Its `os.stat_result` when it was opened.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is a folder or a device, or, when it is read, it is not
            the file any more that was opened.
    """

    def __init__(self, path):
        self.path = path
        # A pipe would be waited for.
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise ImageFileError(f"{path}: is not a file. Pass image files.")
        self.stream = open(path, "rb")  # noqa: SIM115
        self.stat = os.fstat(self.stream.fileno())

    def __len__(self):
        return self.stat.st_size

    def __getitem__(self, places):
        start, stop, _ = places.indices(len(self))
        content = np.empty(max(0, stop - start), "uint8")
        self.read_into(start, content)
        return content.tobytes()

    def read_into(self, offset, target):
        """Fill a contiguous array with what lies at a place."""
        if target.size and not read_at(self.stream.fileno(), offset, target):
            self.check_unchanged()
            raise ImageFileError(
                f"{self.path}: truncated or damaged, it ends before byte "
                f"{offset + target.nbytes}. Replace or remove it."
            )

    def check_unchanged(self):
        """Refuse a file that is not as it was when it was opened."""
        check_unchanged(self.path, self.stat)

    def close(self):
        self.stream.close()


def identity_of(path, stat):
    """Give a JSON-able dict that tells a file from others, and its versions.

    Args:
        path: Its path.
        stat: Its `os.stat_result`.
    """
    return {
        "path": os.path.abspath(path),
        "size": stat.st_size,
        "mtime_ns": stat.st_mtime_ns,
        "ctime_ns": stat.st_ctime_ns,
    }


def check_unchanged(path, stat):
    """Refuse a file that is not of this size and modification time.

    Raises:
        ValueError: It is another now, or gone.
    """
    try:
        now = os.stat(path)
    except FileNotFoundError:
        now = None
    if now is None or _version(now) != _version(stat):
        raise ImageFileError(
            f"{path}: has changed while it was read. Run again."
        )


def _version(stat):
    return stat.st_size, stat.st_mtime_ns


def read_at(file, offset, target):
    """Fill a contiguous array with what lies at a place of a file.

    Any number of threads may read from one descriptor.

    Returns:
        Whether the file was long enough.
    """
    size = target.nbytes
    done = _read_into(file, (target,), offset)
    while 0 < done < size:  # the system reads at most 2 GB at once
        rest = target.reshape(-1).view("uint8")[done:]
        more = _read_into(file, (rest,), offset + done)
        if not more:
            break
        done += more
    return done == size


def _seek_and_read(file, buffers, offset):
    (target,) = buffers
    with _seeking:
        os.lseek(file, offset, os.SEEK_SET)
        content = os.read(file, target.nbytes)
    data = target.reshape(-1).view("uint8")
    data[: len(content)] = np.frombuffer(content, "uint8")
    return len(content)


_seeking = threading.Lock()
_read_into = getattr(os, "preadv", _seek_and_read)  # Windows has none
