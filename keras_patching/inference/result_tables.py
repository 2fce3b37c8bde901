"""The tables and documents of a prediction of image files.

Rows are added as images are done, so that a kill costs nothing; in the end all
is written once more, in the order of the images.
"""

import csv
import io
import json
import time

from keras_patching._whole_files import whole_file, writing_errors
from keras_patching.inference.map_files import collect_features
from keras_patching.inference.result_folder import RESULTS


class ResultTables:
    """`results.csv`, and the further tables and documents of a report.

    Args:
        folder: `ResultFolder`.
        journal: `PredictionJournal` that has what is done.
        images: Dict from name without suffix to path, in the order of rows.
        model: Task model, for the documents.
        choice: `Choice` of which image of each file is meant, and which level.
    """

    # Part of the time that documents may take while images are predicted.
    _SHARE = 0.05

    def __init__(self, folder, journal, images, model, choice):
        self._directory = folder.path
        self._report = folder.report
        self._journal = journal
        self._images = images
        self._model, self._choice = model, choice
        self._is_begun = False
        self._documents_due = 0.0

    def content(self):
        """Give the rows of `results.csv` and a dict of those of the others."""
        entries = self._journal.entries
        done = [entries[stem] for stem in self._images if stem in entries]
        return [entry.row for entry in done], {
            name: [row for entry in done for row in entry.tables[name]]
            for name in self._report.tables
        }

    def add(self, entry):
        """Write the rows of one more image, which the journal has already."""
        if not self._is_begun:
            self.write()
            return
        _append_csv(self._directory / RESULTS, entry.row, [entry.row])
        for name, columns in self._report.tables.items():
            path = self._directory / name
            _append_csv(path, columns, entry.tables[name])
        if time.monotonic() >= self._documents_due:
            self._write_documents(*self.content())

    def write(self):
        """Write all, in the order of the images."""
        rows, tables = self.content()
        if not rows:
            return
        _write_csv(self._directory / RESULTS, rows[0], rows)
        for name, columns in self._report.tables.items():
            _write_csv(self._directory / name, columns, tables[name])
        self._write_documents(rows, tables)
        self._is_begun = True

    def _write_documents(self, rows, tables):
        started = time.monotonic()
        for name, make in self._report.documents.items():
            self._write_json(name, make(self._model, rows, tables))
        entries = self._journal.entries
        done = [entries[stem] for stem in self._images if stem in entries]
        for name, (table, to_shapes) in self._report.features.items():
            content = collect_features(done, table, to_shapes, self._choice)
            if content is not None:
                self._write_json(name, content)
        now = time.monotonic()
        self._documents_due = now + (now - started) / self._SHARE

    def _write_json(self, name, content):
        text = json.dumps(content, ensure_ascii=False)
        with whole_file(self._directory / name) as temporary:
            temporary.write_text(text, encoding="utf-8")


def _write_csv(path, columns, rows):
    with whole_file(path) as temporary, _open_csv(temporary, "w") as stream:
        writer = _csv_writer(stream, columns)
        writer.writeheader()
        writer.writerows(rows)


def _append_csv(path, columns, rows):
    # In one piece, so that a kill hardly ever divides a row.
    text = io.StringIO()
    _csv_writer(text, columns).writerows(rows)
    with writing_errors(path), _open_csv(path, "a") as stream:
        stream.write(text.getvalue())


def _open_csv(path, mode):
    return open(path, mode, newline="", encoding="utf-8")


def _csv_writer(stream, columns):
    return csv.DictWriter(stream, columns, lineterminator="\n")
