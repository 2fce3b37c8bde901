"""What a process asks of its file system, and what is left if the power fails.

The file system is the most forgetful that POSIX allows: of a file there is what
it held when it was flushed, and of the names in a folder those of when the
folder was. Of later names some are there by chance, in their order or not.
"""

import os
import pathlib
import stat
import threading


class Recorder:
    """Records calls of `os` from now on, in this process.

    Attributes:
        calls: List of `(word, path, what)`: "put" a name, with the content
            that is flushed, and its time; "drop" one; "flush" a folder.
    """

    def __init__(self):
        self.calls = []
        self._flushed = {}
        self._lock = threading.Lock()
        for name in ("fsync", "mkdir", "rename", "replace", "unlink", "remove"):
            real = getattr(os, name)
            setattr(os, name, self._recorded(real, getattr(self, f"_{name}")))

    def _recorded(self, real, note):
        def call(*args, **kwargs):
            # One after the other, so that the order is that of the calls.
            with self._lock:
                result = real(*args, **kwargs)
                note(*args)
                return result

        return call

    def _fsync(self, file):
        path = os.readlink(f"/proc/self/fd/{file}")
        status = os.fstat(file)
        if stat.S_ISDIR(status.st_mode):
            self.calls.append(("flush", path, None))
            return
        content = os.pread(file, status.st_size, 0), status.st_mtime_ns
        self._flushed[path] = content
        self.calls.append(("put", path, content))

    def _mkdir(self, path, *_):
        self.calls.append(("put", os.fspath(path), None))

    def _replace(self, source, target):
        source, target = os.fspath(source), os.fspath(target)
        # What was never flushed is empty.
        content = self._flushed.pop(source, (b"", 0))
        self.calls.append(("put", target, content))
        self.calls.append(("drop", source, None))

    def _remove(self, path, **_):
        self.calls.append(("drop", os.fspath(path), None))

    _rename, _unlink = _replace, _remove


def leave(folder, before, calls, rng):
    """Leave of a folder what is there after a power failure.

    Args:
        folder: `pathlib.Path`, which is emptied first.
        before: What `content_of` gave of it, all of which was on the disk.
        calls: Those of a `Recorder` that came before the failure.
        rng: `numpy.random.Generator`.
    """
    names, pending = dict(before), []
    for word, path, what in calls:
        if word == "flush":
            done = [each for each in pending if _parent(each) == path]
            pending = [each for each in pending if _parent(each) != path]
            _apply(names, done)
        else:
            pending.append((word, path, what))
    if rng.integers(2):
        _apply(names, pending[: rng.integers(len(pending) + 1)])
    else:
        share = rng.uniform()
        _apply(names, [p for p in pending if rng.uniform() < share])
    _write(folder, names)


def content_of(folder):
    """Give content and time of each file below a folder; `None` of folders."""
    found = {str(folder): None} if folder.exists() else {}
    for path in folder.rglob("*"):
        is_file = path.is_file()
        time = path.stat().st_mtime_ns
        found[str(path)] = (path.read_bytes(), time) if is_file else None
    return found


def _apply(names, calls):
    for word, path, what in calls:
        if word == "put":
            names[path] = what
        else:
            names.pop(path, None)


def _parent(call):
    return os.path.dirname(call[1])


def _write(folder, names):
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    if folder.exists():
        folder.rmdir()
    for path in map(pathlib.Path, sorted(names)):
        # A folder that is lost takes with it what is in it.
        if folder not in (path, *path.parents) or not path.parent.exists():
            continue
        content = names[str(path)]
        if content is None:
            path.mkdir()
        else:
            path.write_bytes(content[0])
            os.utime(path, ns=(content[1], content[1]))
