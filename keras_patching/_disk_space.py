"""Whether the disk has the room for what is going to be written."""

import os
import shutil


def check_space(directory, missing, what, remedy):
    """Refuse to write what the disk has no room for.

    Args:
        directory: `pathlib.Path` of the folder to write to, which need not
            exist.
        missing: Number of bytes that are to be written.
        what: What they are, in the plural: "the patches".
        remedy: What to do.

    Raises:
        ValueError: If the disk has fewer.
    """
    if not missing:
        return
    folders = [directory, *directory.parents]
    existing = next(folder for folder in folders if os.path.exists(folder))
    free = shutil.disk_usage(existing).free
    if missing > free:
        raise ValueError(
            f"{directory}: {what} need {describe_bytes(missing)} "
            f"({missing} bytes), and the disk has {describe_bytes(free)} "
            f"({free} bytes) free. {remedy}"
        )


def describe_bytes(size):
    """Write a number of bytes for people.

    Example:

    >>> describe_bytes(1_234_567)
    '1.23 MB'
    """
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"
