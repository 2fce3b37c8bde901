"""Which files a prediction of image files writes, and what they may replace."""

import os
import pathlib

from keras_patching._faults import raise_faults
from keras_patching._printing import printable, say
from keras_patching._whole_files import OutputError, remove_unfinished
from keras_patching.inference.pictures import MOST_PIXELS, is_large
from keras_patching.prediction.ome_form import ome_suffix

RESULTS = "results.csv"


class ResultFolder:
    """The folder that a prediction of image files writes to.

    Args:
        directory: Path of the folder, which need not exist.
        report: A `Report`, see `inference.reports`.
        page: Name of the page to write, or `None`.
        verbose: Whether to say when other files are written than usual.

    Attributes:
        path: `pathlib.Path` of the folder.
        report: As given.

    Raises:
        OutputError: If it is a file.
    """

    def __init__(self, directory, report, page=None, verbose=True):
        self.path = pathlib.Path(directory)
        self.report = report
        self._page = page
        self._has_said = not verbose
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
            names = [RESULTS, *self.report.tables, *self.report.documents]
            names += self.report.features
            names += [] if self._page is None else [self._page]
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
        names = {}
        for stem in images:
            for path in self._paths(stem):
                names.setdefault(path, []).append(stem)
        raise_faults(
            [
                printable(f"{path}: of {' and '.join(stems)}")
                for path, stems in names.items()
                if len(stems) > 1
            ],
            f"{self.path}: several images would be written into one",
            "Predict them separately, each with an `--out` of its own.",
        )
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

    def path_of(self, stem, key, size, is_map=False):
        """Give the path of one of the files of an image.

        Args:
            stem: Its name without suffix.
            key: Key of `outputs` of the report.
            size: `(height, width)` of what is written.
            is_map: Whether the image says where on the earth it lies, which
                only a TIFF keeps.
        """
        suffix, *others = self.report.outputs[key]
        if is_map and others:
            (suffix,) = others
        elif is_map and suffix != ".tif":
            self._say_once(
                f"{key}/{stem}{suffix}: does not keep where on the earth the "
                'image lies, as format="tif" does.'
            )
        elif others and is_large(size):
            (suffix,) = others
            self._say_once(
                f"{key}/{stem}{suffix}: images of more than "
                f"{MOST_PIXELS / 1e6:.0f} megapixels are written as {suffix}, "
                "as they come, and drawn smaller."
            )
        return self.path / key / _name(stem, suffix)

    def _say_once(self, text):
        if not self._has_said:
            say(text)
        self._has_said = True

    def remove_unfinished(self):
        """Remove what processes that were killed have left."""
        for key in "", *self.report.outputs:
            remove_unfinished(self.path / key)

    def _paths(self, stem):
        return [
            self.path / key / _name(stem, suffix)
            for key, suffixes in self.report.outputs.items()
            for suffix in suffixes
        ]


def _name(stem, suffix):
    """Name a file: that of a.ome.tif is not to become a.ome.ome.tif."""
    stem = stem.removesuffix(".ome") if ome_suffix(suffix) else stem
    return f"{stem}{suffix}"
