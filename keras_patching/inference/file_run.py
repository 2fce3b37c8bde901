"""Image files on their way through `ImagePrediction` into a folder."""

import contextlib
import itertools
import time

from keras_patching._faults import fault_of
from keras_patching._printing import printable
from keras_patching._whole_files import OutputError
from keras_patching.data.images.contents import status_of
from keras_patching.data.images.pyramids import PLAIN
from keras_patching.data.images.resizing import ReadScale
from keras_patching.inference.model_file import describe_error
from keras_patching.inference.pictures import PicturedSource, shown_range
from keras_patching.inference.prediction_journal import Entry, SourceState
from keras_patching.inference.result_files import ImageFiles
from keras_patching.models.predicting_images import ImagePrediction
from keras_patching.ops.patches import scaled_length


class FileRun:
    """A prediction of image files into a folder.

    Args:
        model: Task model.
        folder: `ResultFolder`.
        journal: `PredictionJournal`.
        tables: `ResultTables`.
        verbose: Whether to show the progress.
        device_memory: As for `PatchedModel.predict_images`.
        choice: `Choice` of which image of each file is meant, and which level.
        sizes: Of all images of which these are some, which decide how each is
            computed; `None` if they are all.
    """

    def __init__(
        self,
        model,
        folder,
        journal,
        tables,
        verbose,
        device_memory=None,
        choice=PLAIN,
        sizes=None,
    ):
        self.model, self.verbose = model, verbose
        self._sizes = sizes
        self.options = {"device_memory": device_memory, "choice": choice}
        self.parts = folder, journal, tables

    def predict(self, images):
        """Predict images, write what is found, and note it in the journal.

        Args:
            images: Dict from name without suffix to path.

        Returns:
            List of what was wrong, a line for each image that failed.

        Raises:
            OutputError: If results cannot be written.
        """
        faults = []
        waiting, count = dict(images), len(images)
        while waiting:
            some = dict(itertools.islice(waiting.items(), count))
            seen = []
            # One after the other, in search of what fails, they are silent.
            verbose = self.verbose and count == len(images)
            prediction = self._prediction(some, verbose)
            try:
                for (stem, path), error in prediction.errors():
                    seen.append(stem)
                    faults += _faults(path, error)
            except OutputError:
                raise
            except Exception as error:
                # The device tells nobody which of the images it was.
                if len(some) == 1:
                    seen = list(some)
                    faults += _faults(*some.values(), error)
                count = len(images) if len(some) == 1 else 1
            waiting = {
                stem: path
                for stem, path in waiting.items()
                if stem not in seen and stem not in self.parts[1].entries
            }
        return faults

    def sizes(self, images):
        """List `(height, width)` of the images that can be opened."""
        return self._prediction(images, verbose=False)._sizes()

    def _prediction(self, images, verbose):
        return _FilePrediction(
            self.model,
            images,
            self.parts,
            verbose,
            self.options,
            self._sizes,
        )


def _faults(path, error):
    """Give a line that says what was wrong with an image, if anything was."""
    if error is None:
        return []
    if isinstance(error, OutputError):
        raise error
    if isinstance(error, FileNotFoundError):
        message = "no such file or folder. Expected an image, or a folder."
    elif isinstance(error, (ValueError, OSError)):
        message = fault_of(error) or type(error).__name__
    else:  # Each backend has errors of its own.
        message = (
            f"cannot be predicted ({describe_error(error)}). The image may be "
            "too large for the memory: crop it, or save the model with a "
            "smaller `patch_batch_size`."
        )
    if str(path) not in message:
        message = f"{path}: {message}"
    return [printable(message)]


class _FilePrediction(ImagePrediction):
    """An `ImagePrediction` whose results are files in a folder."""

    def __init__(self, model, images, parts, verbose, options, sizes):
        super().__init__(
            model,
            list(images.values()),
            parts[0].report.transform,
            verbose=verbose,
            **options,
        )
        self._images, self._stems = images, list(images)
        self._parts, self._known_sizes = parts, sizes

    def _sizes(self):
        return (
            super()._sizes() if self._known_sizes is None else self._known_sizes
        )

    def errors(self):
        """Predict all; yields each stem and path, and what was wrong."""
        with contextlib.closing(self.run()) as outcomes:
            for image, (_, error) in zip(
                self._images.items(), outcomes, strict=True
            ):
                yield image, error

    def _begin(self, number, source):
        started = time.perf_counter()
        state = SourceState.of(source, time.time_ns())
        file = self._open_file(source, number)
        file = PicturedSource(file, shown_range(file, self._model))
        opened = self._resized(file, source)
        try:
            if not state.has_times_of(status_of(source)):
                raise ValueError(
                    f"{source}: has changed while it was read. Run again."
                )
            self._tell_distortion(opened.name, ReadScale.of(opened))
            scale = ReadScale(
                self._result_size(file.shape[:2]),
                self._result_size(opened.shape[:2]),
            )
            stem = self._stems[number]
            files = ImageFiles(
                self._parts[0],
                stem,
                scale.file_size,
                opened,
                self._model.predictor._outputs.scales[0],
            )
            result = _FileResult(
                files, source, state, file, scale, self._parts, started
            )
        except BaseException:
            opened.close()
            raise
        return opened, result

    def _result_size(self, size):
        """Give the size of the first output for an image of a size."""
        scale = self._model.predictor._outputs.scales[0]
        if scale is None:
            return tuple(size)
        return tuple(scaled_length(length, scale) for length in size)


class _FileResult:
    """Takes the bands of one image, and ends with its entry in the journal."""

    def __init__(self, files, path, state, source, scale, parts, started):
        self._files, self._path, self._state = files, path, state
        self._picture, self._size = source.picture, source.shape[:2]
        folder, self._journal, self._tables = parts
        self._started = started
        self._report = folder.report.begin(scale, files)
        self.reduced = getattr(self._report, "reduced", None)

    def add(self, index, band):
        """Take the next rows of a result."""
        self._report.add(index, band)

    def finish(self):
        """Write all, so that a kill at any moment is noticed."""
        overlay, columns, tables = self._report.finish(self._picture)
        self._journal.claim(self._files.stem)
        written = self._files.finish(overlay)
        height, width = self._size
        name = {"image": printable(self._path.name)}
        row = {
            **name,
            "height": height,
            "width": width,
            **columns,
            "seconds": round(time.perf_counter() - self._started, 4),
        }
        tables = {
            table: [{**name, **each} for each in rows]
            for table, rows in tables.items()
        }
        entry = Entry(self._state, written, row, tables)
        self._journal.add(self._files.stem, entry)
        self._tables.add(entry)

    def abandon(self):
        """Leave nothing half-made behind."""
        self._files.abandon()
