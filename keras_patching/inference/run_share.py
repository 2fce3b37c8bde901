"""Predicts some images of a prediction that workers share.

A worker loads the model from a file, once, and writes the results of its
images, which it notes in a part of the journal. Tables are left to the caller.
"""

import dataclasses
import functools
import json
import pathlib
import secrets
import threading

import keras

from keras_patching._whole_files import OutputError
from keras_patching.data.cache.shared_folder import SharedFolder
from keras_patching.data.cache.workers import WorkerError
from keras_patching.data.images.pyramids import Choice
from keras_patching.inference.file_run import FileRun
from keras_patching.inference.model_file import load_model_file
from keras_patching.inference.prediction_journal import (
    Entry,
    PredictionJournal,
)
from keras_patching.inference.reports.by_task import make_report
from keras_patching.inference.result_folder import ResultFolder


@dataclasses.dataclass(frozen=True)
class Job:
    """Some images, a dict from name without suffix to absolute path."""

    shared: SharedFolder
    images: dict[str, pathlib.Path]


@dataclasses.dataclass(frozen=True)
class Share:
    """What came of a job: entries of the journal, and what was wrong."""

    entries: dict[str, Entry]
    faults: list[str]


# Threads of one worker take turns: they share the model and the device.
_TURN = threading.Lock()


def predict_share(job):
    """Predict the images of a job, in a worker.

    Raises:
        OutputError: If results cannot be written.
        WorkerError: If the worker is not as its caller, or that has ended.
    """
    job.shared.check()
    with _TURN:
        model, folder, journal, settings = _opened(job.shared)
        run = FileRun(
            model,
            folder,
            journal,
            _NoTables(),
            verbose=False,
            device_memory=settings["device_memory"],
            choice=Choice(*settings["choice"]),
            sizes=[tuple(size) for size in settings["sizes"]],
        )
        faults = run.predict(job.images)
    done = {
        stem: journal.entries[stem]
        for stem in job.images
        if stem in journal.entries
    }
    return Share(done, faults)


@functools.lru_cache(1)  # A worker loads the model once.
def _opened(shared):
    """Load what the caller has saved."""
    directory = shared.mark.parent
    try:
        settings = json.loads(shared.mark.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise _ended(directory) from error
    backend = keras.backend.backend()
    if backend != settings["backend"]:
        raise WorkerError(
            f"A worker computes with {backend}, and its caller with "
            f"{settings['backend']}. Set KERAS_BACKEND={settings['backend']} "
            "where workers run."
        )
    model = load_model_file(directory / settings["model"])
    report = make_report(model, settings["options"])
    folder = ResultFolder(directory, report, verbose=False)
    return model, folder, _PartOfJournal(shared, settings), settings


def _ended(directory):
    return OutputError(f"{directory}: this prediction has ended.")


class _PartOfJournal(PredictionJournal):
    """The part of one worker, which stops when its caller has ended.

    Another prediction may be writing to the same folder by then.
    """

    def __init__(self, shared, settings):
        header = settings["journal"]
        super().__init__(
            shared.mark.parent,
            header["model"],
            header["options"],
            part=secrets.token_hex(8),
        )
        self.begin(settings["replaces"])
        self._mark = shared.mark

    def claim(self, stem):
        if not self._mark.exists():
            raise _ended(self._mark.parent)
        super().claim(stem)


class _NoTables:
    """Of a worker, whose caller writes them."""

    def add(self, entry):
        """Do nothing."""
