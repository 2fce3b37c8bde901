"""Files for people that are whole or not there at all."""

import contextlib
import os
import pathlib
import re
import secrets
import time

# Names of files that are not whole yet, with the number of their process.
TEMPORARY = re.compile(r"\.([0-9]+)-[0-9a-f]{16}\.tmp(\..+)?")
# Seconds. A file may be of a process on another machine, which writes to the
# same folder and whose number says nothing here: one still at work is young.
_MIN_AGE = 3600.0


class OutputError(ValueError):
    """A file cannot be written, and probably no other beside it either."""


@contextlib.contextmanager
def whole_file(path):
    """Let a file appear in one step, when all of it is written.

    Args:
        path: Path of the file; its folder is made if need be.

    Yields:
        `pathlib.Path` to write to, of the same suffix. It becomes `path` when
        the block ends, and is removed when the block raises.

    Raises:
        OutputError: If it cannot be written. `path` is then what it was.

    Example:

    >>> with whole_file("results.csv") as temporary:
    ...     _ = temporary.write_text("image,count")
    >>> pathlib.Path("results.csv").read_text()
    'image,count'
    """
    path = pathlib.Path(path)
    if path.is_dir():
        raise OutputError(
            f"{path}: is a folder, expected the name of a file to write."
        )
    with writing_errors(path), replaced(path, path.suffix) as temporary:
        yield temporary


@contextlib.contextmanager
def replaced(path, suffix=""):
    """Let a file appear in one step, and leave its errors as they are.

    It is on the disk before it has its name, so that it is whole also when the
    power fails.

    Args:
        path: `pathlib.Path` of the file; its folder is made if need be.
        suffix: Suffix of the file to write to, for writers that ask for one.

    Yields:
        `pathlib.Path` to write to, as `whole_file` does.

    Raises:
        OSError: If it cannot be written. `path` is then what it was.
    """
    temporary = temporary_beside(path, suffix)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        flush(temporary)
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def temporary_beside(path, suffix=""):
    """Give a name in the folder of a file that is `TEMPORARY`, and no other's.

    Args:
        path: `pathlib.Path` of the file.
        suffix: Suffix of the name.
    """
    name = f".{os.getpid()}-{secrets.token_hex(8)}.tmp{suffix}"
    return path.with_name(name)


def flush(path):
    """Wait until a file is on the disk, so that it survives a power failure."""
    with open(path, "r+b") as stream:
        os.fsync(stream.fileno())


def flush_folder(path):
    """Wait until the names of a folder's files are on the disk.

    A file that is on the disk may be without its name when the power fails.
    Where folders cannot be flushed, as on Windows, the system sees to it.

    Args:
        path: `pathlib.Path` of the folder.
    """
    with contextlib.suppress(OSError):
        folder = os.open(path, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def remove_unfinished(directory):
    """Remove what processes that were killed have left of `whole_file`.

    Files younger than an hour stay.

    Args:
        directory: `pathlib.Path` of a folder, which need not exist.
    """
    for path in directory.glob(".*"):
        found = TEMPORARY.fullmatch(path.name)
        if found and not _is_running(int(found[1])):
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > _MIN_AGE:
                    path.unlink()


def _is_running(process_id):
    if os.name != "posix":
        return True  # Not known.
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True  # Of another user.
    return True


@contextlib.contextmanager
def writing_errors(path):
    """Turn errors of writing a file into an `OutputError` that names it."""
    try:
        yield
    except (FileExistsError, NotADirectoryError) as error:
        raise OutputError(
            f"{path}: cannot be written, since one of its folders is a file. "
            "Write to another folder."
        ) from error
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written ({error.strerror}). Free some space, "
            "make the folder writable, or write to another one."
        ) from error
