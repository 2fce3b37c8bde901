"""Faults of a data set: collected first, then told in one error."""

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


def tell_unreadable(path, error):
    """Write the fault of a file that the system does not let us read.

    Args:
        path: Path of the file.
        error: The `OSError`.
    """
    reason = error.strerror or error
    return f"{path}: cannot be read ({reason}). Make it readable, or remove it."
