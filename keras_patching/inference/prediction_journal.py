"""What is done of a prediction of files, so that a killed one can go on.

A line of JSON is added beside the results for each image: before its files are
written, and after, with all that tables need of it. The first line says which
model and options it is of. Workers of a pool write parts of their own, in the
same form. A prediction that comes to its end has no journal.
"""

import contextlib
import dataclasses
import json
import os
import pathlib

from keras_patching._whole_files import writing_errors
from keras_patching.data.images.contents import hash_content, status_of
from keras_patching.data.images.file_state import FileState
from keras_patching.inference.result_files import bytes_of

NAME = ".keras-patching-predict.jsonl"
_VERSION = 1
_OF_A_SOURCE = (
    *((name, int) for name in ("size", "mtime_ns", "ctime_ns", "hashed_at_ns")),
    *((name, str) for name in ("sha256", "path")),
)


@dataclasses.dataclass(frozen=True)
class SourceState(FileState):
    """What is known of an image file that was predicted.

    Attributes:
        size, mtime_ns, ctime_ns, sha256: As in `FileState`.
        path: Absolute path.
        hashed_at_ns: Time before which it was not hashed.
    """

    path: str
    hashed_at_ns: int

    @classmethod
    def of(cls, path, now_ns):
        """Read the state of a file; `now_ns` is the time before."""
        sha256, stat = hash_content(path)
        return cls(
            stat.st_size,
            stat.st_mtime_ns,
            stat.st_ctime_ns,
            sha256,
            os.path.abspath(path),
            now_ns,
        )

    def is_content_of(self, path):
        """Tell whether a file holds the same, wherever it lies now."""
        try:
            if self.is_trusted(status_of(path), self.hashed_at_ns):
                return True
            found, _ = hash_content(path)
        except OSError:
            return False
        return found == self.sha256


@dataclasses.dataclass(frozen=True)
class Entry:
    """What came of one image.

    Attributes:
        source: `SourceState` of the image.
        outputs: Dict from path, relative to the folder, to bytes of each
            file, or folder, that was written.
        row: Its row in `results.csv`, a dict.
        tables: Dict from the name of a further table to rows, dicts.
    """

    source: SourceState
    outputs: dict[str, int]
    row: dict
    tables: dict[str, list[dict]]

    def is_in_place(self, directory):
        """Tell whether all its files are there, of the bytes written."""
        try:
            return all(
                bytes_of(directory / name) == size
                for name, size in self.outputs.items()
            )
        except (OSError, ValueError):  # what is no name of a file, too
            return False


class PredictionJournal:
    """The journal of a folder of results.

    Args:
        directory: `pathlib.Path` of the folder, which need not exist.
        model: String that tells the model from others.
        options: JSON-able dict of what else decides the results.
        part: Name of the part that a worker writes; `None` is the journal.

    Attributes:
        header: Dict, its first line.
        exists: Whether the folder has a journal.
        owned: Names without suffix of the images whose files are ours.
        replaces: Whether it was begun to replace whatever is in the folder.
        entries: Dict from the name to `Entry`, of those that are done.
    """

    def __init__(self, directory, model, options, part=None):
        name = pathlib.Path(NAME)
        self._parts = f"{name.stem}.*{name.suffix}"
        if part is not None:
            name = name.with_stem(f"{name.stem}.{part}")
        self.path, self._part = directory / name, part
        self.header = {
            "format": "keras_patching.predictions",
            "version": _VERSION,
            "model": model,
            "options": json.loads(json.dumps(options, default=float)),
        }
        self.exists = False
        self.replaces = False
        self.owned, self.entries = set(), {}

    def load(self):
        """Read what a prediction that has not ended has done.

        Raises:
            ValueError: If it is of another model or of other options.
        """
        lines = _read_lines(self.path)
        if not lines:
            return
        header, *found = lines
        self._check(header)
        self.exists = True
        self.replaces = header.get("replaces") is True
        for part in self._paths_of_parts():
            of_part, *lines = _read_lines(part) or [{}]
            if of_part == header:  # Else it is of a worker that came too late.
                found += lines
        for line in found:
            stem = line.get("image")
            if isinstance(stem, str):  # else somebody changed it
                self.owned.add(stem)
                if (entry := _entry_of(line)) is not None:
                    self._keep(stem, entry)

    def _keep(self, stem, entry):
        """Note an entry, if none is newer."""
        known = self.entries.get(stem)
        newest = entry.source.hashed_at_ns
        if known is None or known.source.hashed_at_ns <= newest:
            self.entries[stem] = entry

    def _paths_of_parts(self):
        return sorted(self.path.parent.glob(self._parts))

    def _check(self, header):
        for key, what in (
            ("format", "is not of this software"),
            ("version", "is of another version of keras_patching"),
            ("model", "is of another model, or of another tiling of it"),
            ("options", f"has other options ({header.get('options')})"),
        ):
            if header.get(key) != self.header[key]:
                raise ValueError(
                    f"{self.path.parent}: holds a prediction that did not come "
                    f"to its end and {what}. Repeat that one, write to another "
                    "folder, or pass `--overwrite` (`overwrite=True`) to "
                    "predict all images again."
                )

    def begin(self, replaces):
        """Forget all, at the next line that is written.

        Args:
            replaces: Whether the prediction may replace files of others.
        """
        self.exists = False
        self.replaces = replaces
        self.owned, self.entries = set(), {}

    def start(self):
        """Write that there is a prediction, before workers write parts."""
        if not self.exists:
            self._write()

    def claim(self, stem):
        """Write that the files of an image are about to be written."""
        if stem not in self.owned:
            self._write({"image": stem})
            self.owned.add(stem)

    def add(self, stem, entry):
        """Write that an image is done."""
        self._write({"image": stem, **dataclasses.asdict(entry)})
        self.entries[stem] = entry

    def _write(self, *lines):
        if not self.exists:
            lines = [{**self.header, "replaces": self.replaces}, *lines]
            self._remove_parts()
        # The newline before ends what a process that was killed has left.
        text = "".join(f"\n{json.dumps(each)}" for each in lines)
        with writing_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with open(self.path, "a" if self.exists else "w") as stream:
                stream.write(text)
        self.exists = True

    def remove(self):
        """Remove the journal of a prediction that has come to its end."""
        self._remove_parts()
        with contextlib.suppress(OSError):
            self.path.unlink()

    def _remove_parts(self):
        """Remove what workers have written, which is no more of interest."""
        if self._part is None:
            for path in self._paths_of_parts():
                with contextlib.suppress(OSError):
                    path.unlink()


def _read_lines(path):
    """Read what can be read: of the last line half may have been written."""
    try:
        lines = path.read_bytes().splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return []
    parsed = []
    for line in lines:
        with contextlib.suppress(ValueError, RecursionError):
            content = json.loads(line)
            parsed.append(content if isinstance(content, dict) else {})
    return parsed


def _entry_of(line):
    """Make the `Entry` of a line.

    Of a line that only claims the files of an image, or that somebody changed,
    it is `None`: the image is predicted again.
    """
    try:
        source = SourceState(**line["source"])
        entry = Entry(source, line["outputs"], line["row"], line["tables"])
        is_whole = (
            all(isinstance(getattr(source, n), t) for n, t in _OF_A_SOURCE)
            and all("\0" not in name for name in entry.outputs)
            and all(isinstance(n, int) for n in entry.outputs.values())
            and isinstance(entry.row, dict)
            and all(
                isinstance(row, dict)
                for rows in entry.tables.values()
                for row in rows
            )
        )
    except (LookupError, TypeError, AttributeError):
        return None
    return entry if is_whole else None
