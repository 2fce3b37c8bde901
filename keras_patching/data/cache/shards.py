"""Shard files: `.npy` arrays that are whole or not there at all.

A shard's name says what it was made from, so its content never changes: two
processes that write the same shard write the same bytes. Behind the array,
where readers of `.npy` do not look, it ends in a checksum of its name and
content: so a shard that no manifest knows can be told from one that is damaged.

The checksum tells accidents. It is no guard against forgery, nor could a slower
hash be one: whoever may write a shard may write its checksum and manifest too.
What a shard is made from is named by sha256, since images come from anybody.
"""

import contextlib
import dataclasses
import errno
import hashlib
import json
import math
import os
import pathlib
import stat

import numpy as np
import xxhash

from keras_patching._whole_files import replaced
from keras_patching.data.cache.pieces import pieces_of
from keras_patching.data.images.npy_format import encode_npy_header
from keras_patching.data.images.open_file import read_at

_TRAILER = b"kp-shard"
_TRAILER_BYTES = len(_TRAILER) + xxhash.xxh3_128().digest_size
_BUFFER_BYTES = 2**20
# `clean` may be told to remove temporary files however young they are.
_ATTEMPTS = 3
# A link could show what lies outside of the cache; a pipe would block.
_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_BINARY", 0)
)


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
        checksum: XXH3 of the file's name and content, 128 bits in hex.
        shape: Shape of the array, patches first.
        dtype: Name of the array's dtype.
        facts: Dict from a fact's name to a list with one entry per patch.
    """

    file: str
    bytes: int
    mtime_ns: int
    checksum: str
    shape: tuple[int, ...]
    dtype: str
    facts: dict[str, list]

    def __post_init__(self):
        object.__setattr__(self, "shape", tuple(self.shape))


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
    """Give the name of a shard that is made from what `key` says.

    Sources may share the prefix, so the hash alone must tell them apart: 128
    bits of it never meet by chance.
    """
    return f"{shard_prefix(source_name)}-{digest(key)[:32]}.{kind}.npy"


def npy_bytes(shape, dtype):
    """Give the size of the `.npy` file of an array, in bytes."""
    items = math.prod(shape) * np.dtype(dtype).itemsize
    return len(encode_npy_header(shape, dtype)) + items


def shard_bytes(shape, dtype):
    """Give the size of the shard of an array, in bytes."""
    return npy_bytes(shape, dtype) + _TRAILER_BYTES


def write_shard(path, array):
    """Write an array, atomically, and return its record without facts.

    Args:
        path: `pathlib.Path` of the shard.
        array: Array, or `Pieces` of one.

    Raises:
        CacheWriteError: If it cannot be written.
    """
    content = _Content(path.name, pieces_of(array))
    status = write_atomically(path, content)
    return _record(path, status, content.checksum, array.shape, array.dtype)


class _Content:
    """The bytes of a shard, and their checksum when all are gone through."""

    def __init__(self, name, pieces):
        self._name, self._pieces = name, pieces

    def __iter__(self):
        shape, dtype = self._pieces.shape, self._pieces.dtype
        self.checksum = _start_checksum(self._name)
        given = 0
        for chunk in self._chunks(shape, dtype):
            self.checksum.update(chunk)
            given += len(chunk)
            yield chunk
        if given != (expected := npy_bytes(shape, dtype)):
            raise ValueError(
                f"{self._name}: the pieces of an array {tuple(shape)} of "
                f"{dtype} gave {given} bytes, expected {expected}."
            )
        yield _TRAILER + self.checksum.digest()

    def _chunks(self, shape, dtype):
        yield encode_npy_header(shape, dtype)
        for piece in self._pieces:
            yield memoryview(piece.reshape(-1).view("uint8"))


def write_atomically(path, chunks):
    """Write a file in one step: readers see it whole or not at all.

    Args:
        path: `pathlib.Path` of the file; its folder is made if need be.
        chunks: Iterable of byte buffers, the content of the file. It is gone
            through again where the file is removed meanwhile.

    Returns:
        The `os.stat_result` of the file.

    Raises:
        CacheWriteError: If the disk is full or the folder not writable. The
            file is then what it was before.
    """
    try:
        for _ in range(_ATTEMPTS - 1):
            with contextlib.suppress(FileNotFoundError):
                return _write(path, chunks)
        return _write(path, chunks)
    except OSError as error:
        raise CacheWriteError(
            f"{path.parent}: cannot write {path.name} ({error.strerror}). "
            "What was cached before is still valid, and the next run goes on "
            "from what this one finished. Free some space or make the folder "
            "writable, or pass `cache_dir` to keep the cache elsewhere."
        ) from error


def _write(path, chunks):
    with replaced(path) as temporary:
        with open(temporary, "xb") as stream:
            for chunk in chunks:
                stream.write(chunk)
        return temporary.stat()


def open_shard(directory, record):
    """Open a shard that is of the size, shape and dtype of its record.

    Args:
        directory: Folder of shards.
        record: A `ShardRecord`.

    Returns:
        File descriptor, to be closed, and where in the file the array begins.

    Raises:
        ShardError: If it is missing, may not be read, is a link, or holds
            something else.
    """
    path = f"{directory}/{record.file}"
    file = _open_file(path)
    try:
        size = os.fstat(file).st_size
        if size != record.bytes:
            raise ShardError(
                f"{path}: has {size} bytes, expected {record.bytes}."
            )
        header = encode_npy_header(record.shape, record.dtype)
        if _read_bytes(file, len(header)) != header:
            raise ShardError(
                f"{path}: is not an array of {record.shape} of {record.dtype}, "
                "as its manifest says."
            )
    except BaseException:
        os.close(file)
        raise
    return file, len(header)


def _open_file(path):
    """Open a plain file; a link to one is none."""
    try:
        file = os.open(path, _FLAGS)
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE):
            raise
        linked = error.errno == errno.ELOOP
        reason = "is a link, not a file" if linked else error.strerror
        raise ShardError(f"{path}: {reason}.") from error
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise ShardError(f"{path}: is not a file.")
    return file


def read_shard(directory, record):
    """Read the whole array of a shard.

    Raises:
        ShardError: As for `open_shard`.
    """
    file, offset = open_shard(directory, record)
    try:
        array = np.empty(record.shape, record.dtype)
        if not read_at(file, offset, array.reshape(-1)):
            raise truncated(f"{directory}/{record.file}")
    finally:
        os.close(file)
    return array


def truncated(path):
    """Make the error of a shard that lost its end after it was checked."""
    return ShardError(
        f"{path}: was truncated while it was in use. Call the loader again, "
        "which rebuilds it."
    )


def verify_shard(directory, record):
    """Check that a shard is what its record says.

    Size, header and modification time are enough. Where only the time differs,
    as in a copied folder, the content decides, and a shard that is as it was
    gets its time back, so that it is not read again.

    Returns:
        The record, with the modification time that the file has.

    Raises:
        ShardError: As for `open_shard`, or if it was edited.
    """
    file, _ = open_shard(directory, record)
    try:
        status = os.fstat(file)
        if status.st_mtime_ns == record.mtime_ns:
            return record
        if _sum_content(file, record) != record.checksum:
            raise ShardError(
                f"{directory}/{record.file}: was changed after it was written."
            )
        takes_file = os.utime in os.supports_fd  # not on Windows
        target = file if takes_file else f"{directory}/{record.file}"
        with contextlib.suppress(OSError):  # it belongs to somebody else
            os.utime(target, ns=(status.st_atime_ns, record.mtime_ns))
        mtime_ns = os.fstat(file).st_mtime_ns
    finally:
        os.close(file)
    return dataclasses.replace(record, mtime_ns=mtime_ns)


def is_unchanged(directory, record):
    """Tell by size, header and modification time, without the content."""
    try:
        file, _ = open_shard(directory, record)
    except ShardError:
        return False
    try:
        return os.fstat(file).st_mtime_ns == record.mtime_ns
    finally:
        os.close(file)


def adopt_shard(path, shape, dtype):
    """Take a shard that no manifest knows, if it is whole.

    It was left by a build that did not come to its end.

    Returns:
        Its record without facts and its array, or `None`.
    """
    try:
        file = _open_file(path)
    except ShardError:
        return None
    try:
        if os.fstat(file).st_size != shard_bytes(shape, dtype):
            return None
        data = _read_bytes(file, shard_bytes(shape, dtype))
        # Young files are safe from `clean`, which may be running.
        os.utime(path)
        status = os.fstat(file)
    except OSError:
        return None
    finally:
        os.close(file)
    content = _start_checksum(path.name)
    content.update(memoryview(data)[:-_TRAILER_BYTES])
    header = encode_npy_header(shape, dtype)
    whole = data.endswith(_TRAILER + content.digest())
    if not whole or not data.startswith(header):
        return None
    array = np.frombuffer(data, dtype, math.prod(shape), len(header))
    record = _record(path, status, content, shape, dtype)
    return record, array.reshape(shape)


def _sum_content(file, record):
    """Give the checksum of an open shard; `None` if it ends in another."""
    content = _start_checksum(record.file)
    left = record.bytes - _TRAILER_BYTES
    os.lseek(file, 0, os.SEEK_SET)
    while left > 0 and (data := os.read(file, min(left, _BUFFER_BYTES))):
        content.update(data)
        left -= len(data)
    whole = _read_bytes(file, _TRAILER_BYTES) == _TRAILER + content.digest()
    return content.hexdigest() if whole else None


def _start_checksum(name):
    return xxhash.xxh3_128(os.fsencode(name) + b"\0")


def _read_bytes(file, size):
    """Read up to `size` bytes from where the descriptor stands."""
    chunks = []
    while size > 0 and (data := os.read(file, size)):
        chunks.append(data)
        size -= len(data)
    return b"".join(chunks)


def _record(path, status, content, shape, dtype):
    return ShardRecord(
        file=path.name,
        bytes=status.st_size,
        mtime_ns=status.st_mtime_ns,
        checksum=content.hexdigest(),
        shape=tuple(shape),
        dtype=np.dtype(dtype).name,
        facts={},
    )
