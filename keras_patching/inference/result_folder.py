"""Which files a prediction of image files writes, and what they may replace."""

import os
import pathlib

from keras_patching._faults import raise_faults
from keras_patching._printing import printable
from keras_patching._whole_files import (
    OutputError,
    remove_unfinished,
)
from keras_patching.data.images.image_io import write_whole_image

RESULTS = "results.csv"


class ResultFolder:
    """The folder that a prediction of image files writes to.

    Args:
        directory: Path of the folder, which need not exist.
        report: Module of `inference.reports`.

    Attributes:
        path: `pathlib.Path` of the folder.
        report: As given.

    Raises:
        OutputError: If it is a file.
    """

    def __init__(self, directory, report):
        self.path = pathlib.Path(directory)
        self.report = report
        if self.path.exists() and not self.path.is_dir():
            raise OutputError(f"{self.path}: is a file, expected a folder.")

    def check_nothing_there(self, stems, are_tables_ours):
        """Refuse to write over files of others.

        Args:
            stems: Names without suffix of the images to predict.
            are_tables_ours: Whether the tables may be written over.

        Raises:
            ValueError: Listing the files.
        """
        planned = [path for stem in sorted(stems) for path in self._paths(stem)]
        if not are_tables_ours:
            names = RESULTS, *self.report.TABLES, *self.report.DOCUMENTS
            planned = [*(self.path / name for name in names), *planned]
        raise_faults(
            [printable(path) for path in planned if path.exists()],
            f"{self.path}: holds files that would be overwritten",
            "Write to another folder, or pass `--overwrite` "
            "(`overwrite=True`) if you do not need them.",
        )

    def check_no_image_is_replaced(self, images):
        """Refuse results that would be written over what they are of.

        Args:
            images: Dict from name without suffix to path.

        Raises:
            ValueError: Listing the images.
        """
        sources = {os.path.realpath(path) for path in images.values()}
        planned = [path for stem in images for path in self._paths(stem)]
        raise_faults(
            [
                printable(path)
                for path in planned
                if os.path.realpath(path) in sources
            ],
            f"{self.path}: results would be written over images to predict",
            "Write to another folder.",
        )

    def write(self, stem, arrays):
        """Write the files of one image.

        Args:
            stem: Its name without suffix.
            arrays: Dict from each key of `OUTPUTS` to a tuple of what
                `write_image` takes.

        Returns:
            Dict from path, relative to the folder, to bytes of each file.
        """
        sizes = {}
        for key, name in self._outputs(stem).items():
            write_whole_image(self.path / name, *arrays[key])
            sizes[name] = (self.path / name).stat().st_size
        return sizes

    def remove_unfinished(self):
        """Remove what processes that were killed have left."""
        for key in "", *self.report.OUTPUTS:
            remove_unfinished(self.path / key)

    def _paths(self, stem):
        return [self.path / name for name in self._outputs(stem).values()]

    def _outputs(self, stem):
        """Give the paths in the folder, per key of `OUTPUTS`."""
        return {
            key: f"{key}/{stem}{suffix}"
            for key, suffix in self.report.OUTPUTS.items()
        }
