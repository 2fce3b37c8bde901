"""Rows that get another form when they are whole: tiles, overviews, pyramids.

Rows come one band after the other and are kept as they are, so that a killed
run goes on; what cannot be written so is made of them at the end, by windows.
"""

import os
import pathlib
import shutil

from keras_patching._whole_files import flush
from keras_patching.prediction.zarr_folder import (
    check_replaces_zarr,
    replace_folder,
)


class FormedRows:
    """A storage of rows, see `PathTarget`, of which another file is made.

    Args:
        rows: `RowFile` that takes the rows.
        form: Function that makes the file: takes `rows`, of which it reads
            windows by `rows.read(y, height, x, width)`, and the
            `pathlib.Path` to write to. It may have `missing`.

    Attributes:
        path: Path of the rows.
        missing: Value that the file tells to be no data, or `None`.
    """

    def __init__(self, rows, form):
        self.path = rows.path
        self.missing = getattr(form, "missing", None)
        self._rows, self._form = rows, form
        self._made = rows.path.with_name(
            f"{rows.path.stem}.form{rows.path.suffix}"
        )
        self.make, self.missing_bytes = rows.make, rows.missing_bytes
        self.begin, self.reopen = rows.begin, rows.reopen
        self.write, self.flush = rows.write, rows.flush
        self.check_replaces = rows.check_replaces

    @property
    def rows(self):
        """Number of rows that are written, from the top."""
        return self._rows.rows

    def finish(self):
        """Make the file of the rows, which stay until it has its name.

        Returns:
            Path of what is to take the name of the result.
        """
        self._rows.flush()
        self._made.unlink(missing_ok=True)  # of a run that was killed
        self._form(self._rows, self._made)
        self._rows.close()
        flush(self._made)
        return self._made

    def close(self):
        """Close the rows, if they are open."""
        self._rows.close()

    def move(self, path):
        """Give the file its name, and remove the rows."""
        os.replace(self._made, path)
        self._rows.remove()

    def remove(self):
        """Remove the closed rows, and what was made of them."""
        self._rows.remove()
        self._made.unlink(missing_ok=True)


class FormedFolder(FormedRows):
    """The same, of which a folder is made: an OME-Zarr."""

    def __init__(self, rows, form):
        super().__init__(rows, form)
        self.check_replaces = check_replaces_zarr

    def finish(self):
        """Make the folder of the rows; as `FormedRows` does the file."""
        self._rows.flush()
        shutil.rmtree(self._made, ignore_errors=True)
        self._form(self._rows, self._made)
        self._rows.close()
        for folder, _, names in os.walk(self._made):
            for name in names:
                flush(pathlib.Path(folder, name))
        return self._made

    def move(self, path):
        """Give the folder its name, and remove the rows."""
        replace_folder(self._made, path)
        self._rows.remove()

    def remove(self):
        """Remove the closed rows, and what was made of them."""
        self._rows.remove()
        shutil.rmtree(self._made, ignore_errors=True)
