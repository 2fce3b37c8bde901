"""What is known of a result that is being written, for a run after a kill."""

import contextlib
import json
import os

import numpy as np

_FORMAT = {"format": "keras_patching.result", "version": 1}


class TargetRecord:
    """The record beside a result: a small JSON file, replaced as a whole.

    Args:
        path: `pathlib.Path` of the record.
        key: String that tells the result from all others.
        shape: Its shape.
        dtype: Its dtype.

    Attributes:
        path: As given.
    """

    def __init__(self, path, key, shape, dtype):
        self.path = path
        self._height = shape[0]
        self._header = {
            **_FORMAT,
            "key": key,
            "shape": list(shape),
            "dtype": np.dtype(dtype).str,
        }

    def read(self):
        """Read what a run before has left.

        Returns:
            `(rows, facts, final)` as they were written, or `None` if there is
            no record of the same result.
        """
        try:
            found = json.loads(self.path.read_bytes())
            if {name: found[name] for name in self._header} != self._header:
                return None
            rows, facts, final = found["rows"], found["facts"], found["final"]
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            return None
        is_plain = type(rows) is int and isinstance(facts, dict)
        if not is_plain or not 0 <= rows <= self._height:
            return None
        return rows, facts, final

    def write(self, rows, facts, final=None):
        """Write how far the result is.

        Args:
            rows: Number of rows that are on the disk.
            facts: JSON-able dict of what is needed to go on.
            final: What `stamp` says of the whole result; `None` until then.
        """
        content = {**self._header, "rows": rows, "facts": facts, "final": final}
        self._new.write_text(json.dumps(content))
        os.replace(self._new, self.path)

    def remove(self):
        """Remove it, if it is there."""
        for path in self._new, self.path:
            with contextlib.suppress(FileNotFoundError):
                path.unlink()

    @property
    def _new(self):
        return self.path.with_name(f"{self.path.name}.new")


def stamp(path):
    """Give size and modification time of a file or folder, or `None`."""
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return {"size": status.st_size, "mtime_ns": status.st_mtime_ns}
