"""File systems that are mounted for a fault, where that is allowed."""

import contextlib
import ctypes
import functools
import os
import pathlib
import shutil
import subprocess
import tempfile

_RDONLY, _REMOUNT, _BIND = 1, 32, 4096
_MEGABYTE = 2**20


def mount(source, target, kind, flags=0, options=""):
    """Call mount(2).

    Raises:
        OSError: As the system says.
    """
    texts = [os.fsencode(each) for each in (source, target, kind, options)]
    source, target, kind, options = texts
    _check(_libc().mount(source, target, kind, flags, options), target)


@functools.cache
def can_mount():
    """Tell whether this process may mount file systems."""
    try:
        with disk_in_memory():
            return True
    except (OSError, AttributeError):  # Not allowed, or not Linux.
        return False


@contextlib.contextmanager
def disk_in_memory(size=8 * _MEGABYTE):
    """Mount a file system of some bytes; yields its folder."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="faults_disk_"))
    try:
        mount("tmpfs", folder, "tmpfs", options=f"size={size}")
        try:
            yield folder
        finally:
            unmount(folder)
    finally:
        folder.rmdir()


@functools.cache
def can_make_ext4():
    """Tell whether there are the programs that make file systems in files."""
    if not all(map(shutil.which, ("mkfs.ext4", "mount"))):
        return False
    try:
        with disk_in_file():
            return True
    except subprocess.CalledProcessError:
        return False


class _DiskInFile:
    """A file system of ext4 whose disk is a file, mounted on a folder."""

    def __init__(self, work):
        self._disk, self._copy = work / "disk", work / "copy"
        self.folder = work / "folder"
        self.folder.mkdir()
        make = "mkfs.ext4", "-q", "-F", self._disk, "16M"
        subprocess.run(make, check=True, capture_output=True)
        self.mount()

    def mount(self):
        command = "mount", "-o", "loop", self._disk, self.folder
        subprocess.run(command, check=True, capture_output=True)

    def flush(self):
        """Let all of it be on the disk."""
        folder = os.open(self.folder, os.O_RDONLY)
        _libc().syncfs(folder)
        os.close(folder)

    def lose_power(self):
        """Go on from what is on the disk, without what is in memory."""
        shutil.copyfile(self._disk, self._copy)
        unmount(self.folder)  # This writes the rest, to a disk that is gone.
        os.replace(self._copy, self._disk)
        self.mount()


@contextlib.contextmanager
def disk_in_file():
    """Mount a file system of 16 MB that can lose power.

    Raises:
        subprocess.CalledProcessError: It cannot be made or mounted here.
    """
    work = pathlib.Path(tempfile.mkdtemp(prefix="faults_disk_"))
    try:
        disk = _DiskInFile(work)
        try:
            yield disk
        finally:
            unmount(disk.folder)
    finally:
        shutil.rmtree(work)


def resize(folder, size):
    """Give a disk in memory another size."""
    mount("tmpfs", folder, "tmpfs", _REMOUNT, f"size={size}")


def set_read_only(folder, is_read_only):
    """Let a disk in memory be read only, or not any more.

    Raises:
        OSError: Something writes to it at this moment.
    """
    flags = _REMOUNT | (_RDONLY if is_read_only else 0)
    mount("tmpfs", folder, "tmpfs", flags)


def fill(folder):
    """Take all the room that a disk has; gives the file that does."""
    path = folder / "filler"
    step = _MEGABYTE
    with open(path, "wb") as stream:
        while step >= 1:
            try:
                end = stream.seek(0, os.SEEK_END)
                os.posix_fallocate(stream.fileno(), end, step)
            except OSError:
                step //= 2
    return path


def unmount(folder):
    """Call umount2(2)."""
    _check(_libc().umount2(os.fsencode(folder), 0), folder)


@functools.cache
def _libc():
    return ctypes.CDLL(None, use_errno=True)


def _check(status, path):
    if status:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(path))
