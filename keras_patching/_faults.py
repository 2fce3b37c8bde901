"""Faults of a data set: collected first, then told in one error."""

import contextlib

MAX_LISTED = 20


class ImageFileError(ValueError):
    """An image file that cannot be read exactly; the message names it."""


class Fault(str):
    """A line whose kind may have a `remedy` for all faults of a data set."""

    remedy = None


def fault_of(error):
    """Give the line, or `Fault`, that stands for an error of a file.

    Args:
        error: A `ValueError` or `OSError`.

    Returns:
        A string that names the file.
    """
    if isinstance(error, OSError) and error.filename and error.strerror:
        return _unreadable(error.filename, error)
    if error.args and isinstance(error.args[0], str):
        return error.args[0]
    return str(error)


def raise_faults(faults, summary, remedy):
    """Raise one error that lists all faults, if there are any.

    Args:
        faults: List of lines, each naming its file.
        summary: What is wrong, ending without a full stop.
        remedy: What to do.

    Raises:
        ValueError: With the first 20 faults and the number of the rest.
    """
    if not faults:
        return
    lines = [f"  {fault}" for fault in faults[:MAX_LISTED]]
    if len(faults) > MAX_LISTED:
        lines.append(f"  ... and {len(faults) - MAX_LISTED} more.")
    kinds = dict.fromkeys(type(each) for each in faults)
    remedies = [
        kind.remedy([each for each in faults if type(each) is kind])
        for kind in kinds
        if getattr(kind, "remedy", None)
    ]
    raise ValueError("\n".join([f"{summary}:", *lines, *remedies, remedy]))


def few(names, most=5, show=repr):
    """List the first names for a message, and count the others."""
    listed = ", ".join(map(show, names[:most]))
    rest = len(names) - most
    return f"{listed} and {rest} more" if rest > 0 else listed


@contextlib.contextmanager
def readable(path):
    """Turn what the system says of a file that may not be read into a fault.

    Args:
        path: Path of the file or folder that the block reads.

    Raises:
        FileNotFoundError: As the block raised it.
        ValueError: For any other `OSError`; names the path.
    """
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ValueError(_unreadable(path, error)) from error


def _unreadable(path, error):
    reason = error.strerror or error
    return f"{path}: cannot be read ({reason}). Make it readable, or remove it."
