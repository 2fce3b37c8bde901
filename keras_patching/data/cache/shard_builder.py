"""Makes the shards of one source; runs in a worker.

The bytes of a source file are read once: what was hashed is what is decoded,
so a shard cannot claim another content than it was made from.
"""

import contextlib
import dataclasses
import pathlib
from collections.abc import Callable

import numpy as np

from keras_patching._faults import fault_of, readable
from keras_patching.data.cache.manifest import VERSION
from keras_patching.data.cache.opening import SHARD_FOLDER
from keras_patching.data.cache.records import FileRecord, Source
from keras_patching.data.cache.shard_kinds import shard_kind
from keras_patching.data.cache.shards import (
    CacheWriteError,
    ShardError,
    ShardRecord,
    adopt_shard,
    shard_name,
    verify_shard,
    write_shard,
)
from keras_patching.data.cache.shared_folder import SharedFolder
from keras_patching.data.images.contents import read_with_status
from keras_patching.data.images.headers import ImageHeader
from keras_patching.data.images.image_io import READER_VERSION, decode_header


@dataclasses.dataclass(frozen=True)
class ShardPlan:
    """A shard that a source is to have.

    Attributes:
        kind: One of `shard_kinds.SHARD_KINDS`: "images", "masks", ...
        shape: Shape of the array, patches first.
        dtype: Its dtype.
        parameters: JSON-able; everything that decides the content, other
            than the content of `path`.
        make: Picklable function that gives the array, or `Pieces` of it. It
            takes the bytes of `path`, or nothing if there is no path. It
            raises ValueError, with the name of the file, for what only
            decoding shows.
        path: File that the array is made from, if there is one.
        facts: Picklable function from the array to a dict of lists with one
            entry per patch, for the manifest. None are of `Pieces`.

    Raises:
        ValueError: If there is no such kind.
    """

    kind: str
    shape: tuple[int, ...]
    dtype: np.dtype
    parameters: object
    make: Callable
    path: pathlib.Path | None = None
    facts: Callable | None = None

    def __post_init__(self):
        shard_kind(self.kind)

    def file_name(self, source_name, sha256):
        """Give the shard's name; `sha256` is that of the content of `path`."""
        readers = None if self.path is None else READER_VERSION
        key = [VERSION, readers, self.kind, self.parameters, sha256]
        return shard_name(source_name, self.kind, key)


def plan_source(
    name, plans, origins, stages, augmentations=()
) -> Source[ShardPlan]:
    """Put together what is to be made of one image.

    Args:
        name: Path of the image, relative to the image folder.
        plans: `ShardPlan` per kind; images first.
        origins, stages, augmentations: As in `Source`.

    Returns:
        A `Source`.
    """
    shards = {plan.kind: plan for plan in plans}
    return Source(name, shards, origins, stages, list(augmentations))


@dataclasses.dataclass(frozen=True)
class Job:
    """What a worker needs to know.

    Attributes:
        directory: Folder of the cache.
        source: The `Source` to be built.
        headers: Dict from path to the `ImageHeader` that was planned with.
        trusted: Dict from path to the sha256 of files that need no reading.
        known: Dict from file name to `ShardRecord` of what may be in place.
        overwrite: Whether to write what is in place again.
        shared: `SharedFolder` that the worker is to see, if it may be on
            another machine.
    """

    directory: pathlib.Path
    source: Source[ShardPlan]
    headers: dict[pathlib.Path, ImageHeader]
    trusted: dict[pathlib.Path, str]
    known: dict[str, ShardRecord]
    overwrite: bool = False
    shared: SharedFolder | None = None


@dataclasses.dataclass
class Outcome:
    """What a worker gives back.

    Attributes:
        files: Dict from path to `FileRecord` of what it read.
        shards: Dict from kind to `ShardRecord`.
        written: Number of shards that were written.
        faults: What is wrong with the files, a line each.
    """

    files: dict[pathlib.Path, FileRecord] = dataclasses.field(
        default_factory=dict
    )
    shards: dict[str, ShardRecord] = dataclasses.field(default_factory=dict)
    written: int = 0
    faults: list[str] = dataclasses.field(default_factory=list)


def build_shards(job):
    """Find or make the shards of a source.

    Args:
        job: A `Job`.

    Returns:
        An `Outcome`. A fault of one file does not keep the others from being
        cached.

    Raises:
        CacheWriteError: If the folder cannot be written.
        WorkerError: If this worker does not see what its caller does.
    """
    if job.shared is not None:
        job.shared.check()
    outcome = Outcome()
    for plan in job.source.shards.values():
        try:
            outcome.shards[plan.kind] = _build_shard(job, plan, outcome)
        except CacheWriteError:
            raise
        except (ValueError, OSError) as error:
            outcome.faults.append(fault_of(error))
        except MemoryError:
            outcome.faults.append(
                f"{plan.path or job.source.name}: needs more memory than there "
                "is. Use an executor with fewer workers, or crop the image."
            )
    return outcome


def _build_shard(job, plan, outcome):
    data, sha256 = None, job.trusted.get(plan.path)
    if plan.path is not None and sha256 is None:
        data, sha256 = _read(plan.path, job, outcome)
    path = _path(job, plan, sha256)
    record = None if job.overwrite else _reuse(job, plan, path)
    if record is not None:
        return record
    if plan.path is not None and data is None:
        data, sha256 = _read(plan.path, job, outcome)
        path = _path(job, plan, sha256)
    array = plan.make() if plan.path is None else plan.make(data)
    if array.shape != plan.shape or array.dtype != plan.dtype:
        raise ValueError(
            f"{plan.path or job.source.name}: gave {array.shape} of "
            f"{array.dtype}, expected {plan.shape} of {plan.dtype}. If it was "
            "changed meanwhile, run again."
        )
    record = write_shard(path, array)
    outcome.written += 1
    return _with_facts(record, plan, array)


def _path(job, plan, sha256):
    name = plan.file_name(job.source.name, sha256)
    return job.directory / SHARD_FOLDER / name


def _read(path, job, outcome):
    """Read a file, whose image must still be the one that was planned with."""
    place = path if job.shared is None else job.shared.locate(path)
    with readable(path):
        data, status, after = read_with_status(place)
    header = decode_header(data, path)
    record = FileRecord.of(data, status, header)
    if header != job.headers[path] or not record.has_times_of(after):
        raise ValueError(changed_meanwhile(path))
    outcome.files[path] = record
    return data, record.sha256


def changed_meanwhile(path):
    """Say that a file is not the one any more that a build began with."""
    return f"{path}: was changed while it was read. Run again."


def _reuse(job, plan, path):
    known = job.known.get(path.name)
    if known is not None and is_shard_of(plan, known):
        with contextlib.suppress(ShardError):
            return verify_shard(path.parent, known)
    adopted = adopt_shard(path, plan.shape, plan.dtype)
    return adopted and _with_facts(adopted[0], plan, adopted[1])


def is_shard_of(plan, record):
    """Tell whether a record describes the array of a `ShardPlan`."""
    dtype = np.dtype(plan.dtype).name
    return (record.shape, record.dtype) == (tuple(plan.shape), dtype)


def _with_facts(record, plan, array):
    if plan.facts is None:
        return record
    return dataclasses.replace(record, facts=plan.facts(array))
