"""The content of an image, a file or the folder of an OME-Zarr, as bytes.

Whoever hashes and decodes an image asks for its bytes once. Those of a folder
are a list of its files with their hashes: they tell one content from another,
and the pixels are read from the folder.
"""

import dataclasses
import hashlib
import os
import pathlib

# What the bytes of a folder begin with, as those of other formats do.
FOLDER = b"folder of files:\n"


@dataclasses.dataclass(frozen=True)
class Status:
    """Size and times of a file, or those of all files of a folder.

    Attributes:
        st_size, st_mtime_ns, st_ctime_ns: As of `os.stat`: the sum, and the
            latest.
    """

    st_size: int
    st_mtime_ns: int
    st_ctime_ns: int


def status_of(path):
    """Give the `os.stat_result` of a file, or the `Status` of a folder.

    Raises:
        FileNotFoundError: It is not there.
    """
    if not os.path.isdir(path):
        return os.stat(path)
    # Those of folders tell of files that were removed.
    found = [os.stat(each) for each in _below(path)]
    sizes = [os.path.getsize(each) for each in _files(path)]
    return Status(
        sum(sizes),
        max(stat.st_mtime_ns for stat in found),
        max(stat.st_ctime_ns for stat in found),
    )


def read_content(path):
    """Give the bytes of a file, or what stands for those of a folder.

    Raises:
        FileNotFoundError: It is not there.
    """
    if not os.path.isdir(path):
        return pathlib.Path(path).read_bytes()
    return _listing(path)


def read_with_status(path):
    """As `read_content`, and its status before and after it was read."""
    if os.path.isdir(path):
        before = status_of(path)
        return _listing(path), before, status_of(path)
    with open(path, "rb") as stream:
        before = os.fstat(stream.fileno())
        data = stream.read()
        return data, before, os.fstat(stream.fileno())


def hash_content(path):
    """Give the sha256 of `read_content`, and the status before.

    The bytes of a file are not held in memory.
    """
    if os.path.isdir(path):
        before = status_of(path)
        return hashlib.sha256(_listing(path)).hexdigest(), before
    with open(path, "rb") as stream:
        before = os.fstat(stream.fileno())
        return hashlib.file_digest(stream, "sha256").hexdigest(), before


def _listing(folder):
    lines = []
    for path in sorted(_files(folder)):
        with open(path, "rb") as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        name = pathlib.Path(path).relative_to(folder).as_posix()
        lines.append(f"{sha256} {name!r}\n".encode())
    return FOLDER + b"".join(lines)


def _files(folder):
    for here, _, names in os.walk(folder):
        for name in names:
            yield os.path.join(here, name)


def _below(folder):
    for here, _, names in os.walk(folder):
        yield here
        for name in names:
            yield os.path.join(here, name)
