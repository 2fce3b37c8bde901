"""Shard files: plain `.npy` arrays that are whole or not there at all.

A shard's name says what it was made from, so its content never changes: two
processes that write the same shard write the same bytes.
"""

import contextlib
import dataclasses
import hashlib
import io
import json
import math
import os
import pathlib
import secrets

import numpy as np

TEMPORARY_SUFFIX = ".tmp"


class CacheWriteError(ValueError):
    """The folder of a cache cannot be written."""


class ShardError(ValueError):
    """A shard is missing or is not what its manifest says."""


@dataclasses.dataclass(frozen=True)
class ShardRecord:
    """What a manifest says of a shard.

    Attributes:
        file: File name in the folder of shards.
        bytes: Size of the file.
        mtime_ns: Modification time of the file.
        sha256: Hash of the file's content.
        shape: Shape of the array, patches first.
        dtype: Name of the array's dtype.
        facts: Dict from a fact's name to a list with one entry per patch.
    """

    file: str
    bytes: int
    mtime_ns: int
    sha256: str
    shape: tuple[int, ...]
    dtype: str
    facts: dict[str, list]

    def __post_init__(self):
        if pathlib.PurePath(self.file).name != self.file:
            raise ValueError(f"{self.file!r} is not a plain file name")
        object.__setattr__(self, "shape", tuple(self.shape))

    @property
    def offset(self):
        """Where the array begins in the file, in bytes."""
        items = math.prod(self.shape)
        return self.bytes - items * np.dtype(self.dtype).itemsize


def digest(value):
    """Hash a JSON-able value; the order of a dict's keys does not matter."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def shard_prefix(source_name):
    """Give what the names of all shards of a source begin with.

    File systems allow names of 255 bytes, and the source's may be as long.
    """
    stem = pathlib.PurePosixPath(source_name).stem
    return os.fsencode(stem)[:80].decode("utf-8", "ignore")


def shard_name(source_name, kind, key):
    """Give the name of a shard that is made from what `key` says."""
    return f"{shard_prefix(source_name)}-{digest(key)[:8]}.{kind}.npy"


def npy_header(shape, dtype):
    """Give the bytes before an array in its `.npy` file."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        stream,
        {
            "descr": np.lib.format.dtype_to_descr(np.dtype(dtype)),
            "fortran_order": False,
            "shape": tuple(shape),
        },
    )
    return stream.getvalue()


def npy_bytes(shape, dtype):
    """Give the size of the `.npy` file of an array, in bytes."""
    items = math.prod(shape) * np.dtype(dtype).itemsize
    return len(npy_header(shape, dtype)) + items


def write_shard(path, array):
    """Write an array, atomically, and return its record without facts.

    Raises:
        CacheWriteError: If it cannot be written.
    """
    array = np.ascontiguousarray(array)
    chunks = [
        npy_header(array.shape, array.dtype),
        array.reshape(-1).view("uint8"),
    ]
    content = hashlib.sha256()
    for chunk in chunks:
        content.update(chunk)
    stat = write_atomically(path, chunks)
    return _record(path, stat, content.hexdigest(), array.shape, array.dtype)


def write_atomically(path, chunks):
    """Write a file in one step: readers see it whole or not at all.

    Args:
        path: `pathlib.Path` of the file; its folder is made if need be.
        chunks: Byte buffers, the content of the file.

    Returns:
        The `os.stat_result` of the file.

    Raises:
        CacheWriteError: If the disk is full or the folder not writable. The
            file is then what it was before.
    """
    name = f".{os.getpid()}-{secrets.token_hex(8)}{TEMPORARY_SUFFIX}"
    temporary = path.with_name(name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "xb") as stream:
            for chunk in chunks:
                stream.write(chunk)
        stat = temporary.stat()
        os.replace(temporary, path)
    except OSError as error:
        raise CacheWriteError(
            f"{path.parent}: cannot write {path.name} ({error.strerror}). "
            "What was cached before is still valid, and the next run goes on "
            "from what this one finished. Free some space or make the folder "
            "writable, or pass `cache_dir` to keep the cache elsewhere."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
    return stat


def verify_shard(directory, record):
    """Check that a shard is what its record says.

    Size and modification time are enough. Where only the time differs, as in
    a copied folder, the content decides.

    Returns:
        The record, with the modification time that the file has.

    Raises:
        ShardError: If it is missing, truncated or edited.
    """
    path = directory / record.file
    stat = _stat(path, record)
    if stat.st_mtime_ns == record.mtime_ns:
        return record
    if file_sha256(path) != record.sha256:
        raise ShardError(f"{path}: was changed after it was written.")
    return dataclasses.replace(record, mtime_ns=stat.st_mtime_ns)


def is_unchanged(directory, record):
    """Tell by size and modification time, without reading the content."""
    try:
        stat = _stat(directory / record.file, record)
    except ShardError:
        return False
    return stat.st_mtime_ns == record.mtime_ns


def _stat(path, record):
    try:
        stat = path.stat()
    except OSError as error:
        raise ShardError(f"{path}: {error.strerror}.") from error
    if stat.st_size != record.bytes:
        raise ShardError(
            f"{path}: has {stat.st_size} bytes, expected {record.bytes}."
        )
    return stat


def adopt_shard(path, shape, dtype):
    """Give the record of a shard that no manifest knows.

    It was left by a build that did not come to its end. It is taken when its
    header and its size are those of the array that is expected.

    Returns:
        The record, without facts, or `None`.
    """
    header = npy_header(shape, dtype)
    try:
        with open(path, "rb") as stream:
            if stream.read(len(header)) != header:
                return None
        if path.stat().st_size != npy_bytes(shape, dtype):
            return None
        # Young files are safe from `clean`, which may be running.
        os.utime(path)
        return _record(path, path.stat(), file_sha256(path), shape, dtype)
    except OSError:
        return None


def file_sha256(path):
    """Hash the content of a file."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _record(path, stat, sha256, shape, dtype):
    return ShardRecord(
        file=path.name,
        bytes=stat.st_size,
        mtime_ns=stat.st_mtime_ns,
        sha256=sha256,
        shape=tuple(shape),
        dtype=np.dtype(dtype).name,
        facts={},
    )
