"""Faults of a data set: collected first, then told in one error."""

import contextlib

MAX_LISTED = 20


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
    raise ValueError("\n".join([f"{summary}:", *lines, remedy]))


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
        raise ValueError(
            f"{path}: cannot be read ({error.strerror or error}). Make it "
            "readable, or remove it."
        ) from error
