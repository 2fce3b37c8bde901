"""Results that are written under a path, so that a killed run can go on.

Rows go into a file beside the path, of another name. A record says how many of
them are on the disk: it is written after they are, so it never says too much.
The finished file takes its name in one step. Its record stays, to tell a run
after a kill that it is whole.
"""

import contextlib
import os
import time

from keras_patching._disk_space import check_space
from keras_patching._printing import say
from keras_patching._whole_files import OutputError, writing_errors
from keras_patching.prediction.file_lock import take_lock
from keras_patching.prediction.target_record import TargetRecord, stamp

# Of what is written after the last record, a killed run loses all: to wait for
# the disk at each band would cost more.
SECONDS_BETWEEN_RECORDS = 2.0


def part_path(path):
    """Give the path that is written to until the result is whole."""
    return path.with_name(f".{path.name}.part")


def record_path(path):
    """Give the path of the record."""
    return path.with_name(f".{path.name}.part.json")


class PathTarget:
    """A result that appears under its path when it is whole.

    Args:
        path: `pathlib.Path` of the result; its folder is made if need be.
        storage: What takes the rows at `part_path(path)`: `RowFile`,
            `ZarrFolder`, or `FormedRows`, which are made into another form.
        shape: Shape of the result, rows first.
        dtype: Its dtype.
        key: String that tells the result from all others.
        resume: Whether to go on from what a killed run has left.
        overwrite: Whether to write over what is there.

    Attributes:
        path: As given.
        missing: Value that the result tells to be no data, or `None`.
        rows_done: Rows from the top that a killed run has written.
        is_done: Whether the result is whole and has its name.

    Raises:
        OutputError: If it is there already, if another process writes it, or
            if it cannot be written.
        ValueError: If the disk has not the room.
    """

    def __init__(self, path, storage, shape, dtype, key, resume, overwrite):
        self.path = path
        self.missing = getattr(storage, "missing", None)
        self.rows_done = 0
        self.is_done = False
        self._storage = storage
        self._height = shape[0]
        self._row_shape, self._dtype = shape[1:], dtype
        self._overwrite = overwrite
        self._record = TargetRecord(record_path(path), key, shape, dtype)
        self._facts = {}
        self._row = 0
        self._recorded = time.monotonic()
        self._is_open = False
        if resume and self._is_whole():
            with contextlib.suppress(OSError):
                storage.remove()  # of a run that was killed just then
            self.is_done = True
            return
        self._refuse_existing()
        with writing_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = take_lock(storage.path, storage.make, path)
            self._is_open = True
            try:
                self._open(resume)
            except BaseException:
                # Without a record nobody can go on from it.
                self._close(keep=self._record.path.exists())
                raise
        self.rows_done = self._row

    def _is_whole(self):
        found = self._record.read()
        if found is None or found[2] is None:
            return False
        return found[2] == stamp(self.path)

    def _refuse_existing(self):
        if not os.path.lexists(self.path):
            return
        if not self._overwrite:
            raise OutputError(
                f"{self.path}: exists already. Pass `overwrite=True` if you "
                "do not need it, or another `out`."
            )
        self._storage.check_replaces(self.path)

    def _open(self, resume):
        check_space(
            self.path.parent,
            self._storage.missing_bytes(),
            f"the rows of {self.path.name}",
            "Free some space, or write to another disk.",
        )
        found = self._record.read() if resume else None
        if found is not None:
            self._row, self._facts, _ = found
            if self._storage.reopen(self._row, self._facts):
                if self._row == self._height:
                    self.finish()
                return
        if resume and self._record.path.exists():
            say(
                f"{self.path}: begun anew, since what an unfinished run has "
                "left is of another model, image or option, or not as it was."
            )
        self._row = 0
        self._record.remove()  # First: it would speak of other rows.
        self._facts = self._storage.begin()

    def write(self, y, band):
        """Write the next rows.

        Args:
            y: Index of the first of them. Rows that are there already are
                left as they are.
            band: Array `(rows, ...)`, of the dtype of the result.

        Raises:
            OutputError: If it cannot be written; the rows before are kept.
        """
        self._check(y, band)
        band = band[self._row - y :]
        with writing_errors(self.path):
            self._storage.write(band)
            self._row += len(band)
            if time.monotonic() - self._recorded >= SECONDS_BETWEEN_RECORDS:
                self._save()

    def _check(self, y, band):
        is_next = y <= self._row and y + len(band) <= self._height
        if not is_next or band.shape[1:] != self._row_shape:
            raise ValueError(
                f"{self.path}: expected rows of {self._row_shape} from row "
                f"{self._row} of {self._height}. Received: y={y}, "
                f"band.shape={band.shape}"
            )
        if band.dtype != self._dtype:
            raise ValueError(
                f"{self.path}: expected rows of {self._dtype}. Received: "
                f"band.dtype={band.dtype}"
            )

    def _save(self):
        self._storage.flush()
        self._record.write(self._storage.rows, self._facts)
        self._recorded = time.monotonic()

    def finish(self):
        """Give the whole result its name.

        Returns:
            `pathlib.Path` of the result.

        Raises:
            OutputError: If rows are missing, if there is a file of its name
                by now, or if it cannot be written.
        """
        if self.is_done:
            return self.path
        if self._row < self._height:
            raise OutputError(
                f"{self.path}: has {self._row} of {self._height} rows."
            )
        self._refuse_existing()
        with writing_errors(self.path):
            whole = stamp(self._storage.finish())
            self._record.write(self._height, self._facts, whole)
            self._storage.move(self.path)
        self.is_done = True
        self._close(keep=True)
        return self.path

    def abandon(self, keep=True):
        """Stop before the end.

        Args:
            keep: Whether what is written is kept for a later run. Without any
                row nothing is left.
        """
        if not self._is_open:
            return
        keep = keep and self._storage.rows > 0
        with contextlib.suppress(OSError):  # Then the last record stays true.
            if keep:
                self._save()
        self._close(keep)

    def forget(self):
        """Remove the record of a result that is whole."""
        if self.is_done:
            with contextlib.suppress(OSError):
                self._record.remove()

    def _close(self, keep):
        self._storage.close()
        if not keep:
            with contextlib.suppress(OSError):
                self._record.remove()
                self._storage.remove()
        if self._lock is not None:
            os.close(self._lock)
        self._is_open = False
