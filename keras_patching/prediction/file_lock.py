"""One process at a time writes a file."""

import os

from keras_patching._whole_files import OutputError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


def take_lock(path, make, result):
    """Lock a file or folder until its descriptor is closed.

    The lock ends with the process, also one that is killed. Where the system
    or the file system knows no locks, nothing is locked.

    Args:
        path: `pathlib.Path` of the file or folder.
        make: Function without arguments that makes it, unless it is there.
        result: Path that the message names.

    Returns:
        File descriptor, or `None` on systems without locks.

    Raises:
        OutputError: If somebody else has the lock.
        OSError: If it cannot be made or opened.
    """
    while True:
        make()
        if fcntl is None:
            return None
        try:
            return _lock_what_is_there(path, result)
        except FileNotFoundError:
            continue  # Somebody has just finished, or removed, it.


def _lock_what_is_there(path, result):
    # Of a folder only reading can be opened; NFS locks only what is writable.
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        _lock(descriptor, result)
        if not os.path.samestat(os.fstat(descriptor), os.stat(path)):
            raise FileNotFoundError(path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _lock(descriptor, result):
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise OutputError(
            f"{result}: is being written by another process, or by another "
            "call. Wait until it ends, or write to another path."
        ) from error
    except OSError:
        pass  # A file system without locks.
