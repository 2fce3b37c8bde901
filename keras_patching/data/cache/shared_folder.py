"""Tells whether workers see the folder that their caller writes to.

Workers of a pool may run on other machines, where the same path can be another
folder, or none. Then what they write would not be found.
"""

import contextlib
import dataclasses
import functools
import os
import pathlib
import secrets
import socket

from keras_patching._whole_files import writing_errors
from keras_patching.data.cache.workers import WorkerError

_SUFFIX = ".run"


@dataclasses.dataclass(frozen=True)
class SharedFolder:
    """What a worker is to see.

    Attributes:
        mark: Path of a file that the caller has just made.
        needed: Paths of files and folders that are read.
        base: Absolute path of the folder that relative ones begin at.
        version: Of the package of the caller.
    """

    mark: pathlib.Path
    needed: tuple[pathlib.Path, ...]
    base: pathlib.Path
    version: str

    def locate(self, path):
        """Give the absolute path of a path as the caller has it."""
        return self.base / path

    def check(self):
        """Refuse to work where something is not as the caller has it.

        Raises:
            WorkerError: Says what to do.
        """
        _check(self)


@contextlib.contextmanager
def shared_folder(directory, needed, content=""):
    """Mark a folder, for workers to tell whether they see it.

    Args:
        directory: `pathlib.Path` of the folder, made if need be.
        needed: Paths that workers read.
        content: Text of the mark, for workers to read.

    Yields:
        A `SharedFolder`, as long as the mark is there.

    Raises:
        OutputError: If the folder cannot be written to.
    """
    # What a process that was killed leaves is removed by this name.
    name = f".{os.getpid()}-{secrets.token_hex(8)}.tmp{_SUFFIX}"
    mark = directory / name
    base = pathlib.Path.cwd()
    needed = tuple(base / path for path in needed)
    with writing_errors(mark):
        directory.mkdir(parents=True, exist_ok=True)
        mark.write_text(content, encoding="utf-8")
    try:
        yield SharedFolder(mark.absolute(), needed, base, version())
    finally:
        with contextlib.suppress(OSError):
            mark.unlink()


def end_shared_work(directory):
    """Remove the marks that callers which were killed have left in a folder.

    Workers that are still at it look for theirs before they write results.
    """
    for mark in directory.glob(f".*.tmp{_SUFFIX}"):
        with contextlib.suppress(OSError):
            mark.unlink()


def version():
    """Give the version of the package."""
    import keras_patching

    return keras_patching.__version__


@functools.lru_cache(16)  # A worker looks once, not for each image.
def _check(shared):
    host = socket.gethostname()
    for path in (shared.mark.parent, *shared.needed):
        if not path.exists():
            raise WorkerError(
                f"{path}: is not there for the worker on {host}. All workers "
                "must see images, labels and results under the same paths as "
                "the machine that calls them."
            )
    if not shared.mark.exists():
        raise WorkerError(
            f"{shared.mark.parent}: is another folder for the worker on "
            f"{host}. Use a folder of a file system that all machines share."
        )
    if shared.version != version():
        raise WorkerError(
            f"The worker on {host} has keras-patching {version()}, and its "
            f"caller {shared.version}. Install the same where workers run."
        )
