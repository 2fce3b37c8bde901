"""A prediction of image files that workers of a pool share.

What is sent to a worker is paths. The model and all else that it needs are in
files beside the results, as long as the caller runs.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import secrets

import keras

from keras_patching._whole_files import writing_errors
from keras_patching.data.cache.shared_folder import shared_folder
from keras_patching.data.cache.workers import WorkersEndedError, run_jobs
from keras_patching.inference.run_share import Job, predict_share

# Images of a job: few are dealt out evenly and lost with a worker, but the
# next is read while one is computed.
_MOST_OF_A_JOB = 8
_LEAST_JOBS = 32
# Names of images that an error lists.
_FEW = 3


class SharedRun:
    """As `FileRun`, but in workers.

    Args:
        run: `FileRun` of what is shared.
        options: Dict of the arguments of the report.
        executor: `concurrent.futures.Executor`.
    """

    def __init__(self, run, options, executor):
        self._run, self._options, self._executor = run, options, executor
        self._model = run.model
        self._folder, self._journal, self._tables = run.parts

    def predict(self, images):
        """Predict images, as `FileRun.predict` does.

        Raises:
            OutputError: If results cannot be written.
            ValueError: If workers ended, or lack what is needed.
        """
        if not images:
            return []
        images = {
            stem: pathlib.Path(os.path.abspath(path))
            for stem, path in images.items()
        }
        folders = sorted({path.parent for path in images.values()})
        parts = list(_parts(images))
        with (
            self._saved_model() as path,
            shared_folder(
                self._folder.path, folders, self._settings(path, images)
            ) as shared,
        ):
            self._journal.start()
            try:
                shares = run_jobs(
                    predict_share,
                    [Job(shared, part) for part in parts],
                    "image",
                    self._run.verbose,
                    self._executor,
                    self._take,
                    counts=[len(part) for part in parts],
                    before=len(self._journal.entries),
                )
            except WorkersEndedError as error:
                raise ValueError(self._describe_ended(images, error)) from error
        return [fault for share in shares for fault in share.faults]

    def _settings(self, model_path, images):
        """Tell workers all but their images, in JSON."""
        return json.dumps(
            {
                "model": model_path.name,
                "backend": keras.backend.backend(),
                "options": self._options,
                "device_memory": self._run.options["device_memory"],
                "choice": dataclasses.astuple(self._run.options["choice"]),
                "sizes": self._run.sizes(images),
                "journal": self._journal.header,
                "replaces": self._journal.replaces,
            },
            default=float,
        )

    @contextlib.contextmanager
    def _saved_model(self):
        if not self._model.built:
            raise ValueError(
                f"'{self._model.name}' is not built, so that workers cannot "
                "load it. Train it, or predict an image, before."
            )
        name = f".{os.getpid()}-{secrets.token_hex(8)}.tmp.keras"
        path = self._folder.path / name
        try:
            with writing_errors(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                self._model.save(path)
            yield path
        finally:
            with contextlib.suppress(OSError):
                path.unlink()

    def _take(self, share):
        for stem, entry in share.entries.items():
            self._journal.entries[stem] = entry
            self._tables.add(entry)

    def _describe_ended(self, images, error):
        left = [
            path.name
            for stem, path in images.items()
            if stem not in self._journal.entries
        ]
        return (
            f"{self._folder.path}: {error.reason}. {len(left)} of "
            f"{len(images)} images are not done, the next are "
            f"{', '.join(left[:_FEW])}. Run again, which goes on from what is "
            "done, with fewer workers, or a smaller `device_memory`, where "
            "memory is short."
        )


def _parts(images):
    """Deal images out to jobs."""
    items = list(images.items())
    size = max(min(len(items) // _LEAST_JOBS, _MOST_OF_A_JOB), 1)
    for start in range(0, len(items), size):
        yield dict(items[start : start + size])
