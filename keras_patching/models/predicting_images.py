"""What `PatchedModel.predict_images` does, whatever the task."""

import contextlib
import math

import keras

from keras_patching._checks import check_integer
from keras_patching._faults import fault_of, raise_faults
from keras_patching._printing import Progress, say
from keras_patching.data.images.pyramids import PLAIN
from keras_patching.data.images.resizing import (
    ReadScale,
    ResizedWindows,
    describe_distortion,
    resized_size,
)
from keras_patching.models.image_list import as_sources, held, share
from keras_patching.models.image_outputs import ImageOutputs
from keras_patching.models.image_results import ImageResults, known_rows
from keras_patching.models.image_transforms import spec_of
from keras_patching.models.model_digest import model_digest
from keras_patching.prediction.image_job import ImageJob
from keras_patching.prediction.keep import (
    check_keep,
    keep_known,
    open_keep,
)
from keras_patching.prediction.pipeline import run_jobs
from keras_patching.prediction.sharing import find_sharing
from keras_patching.prediction.sources import is_in_memory, open_source

# Images that are begun, at the most, after the one whose result is told next.
_MOST_AHEAD = 256


class ImagePrediction:
    """The prediction of some images by a model.

    Args:
        model: `PatchedModel`.
        sources: As for `PatchedModel.predict_images`.
        transform: `ImageTransform`.
        batch_size, shard, split, verbose, keep, fill, device_memory: As
            there.
        choice: `Choice` of which image of each file is meant, and which level.
    """

    def __init__(
        self,
        model,
        sources,
        transform,
        batch_size=None,
        shard=None,
        split=None,
        verbose=True,
        keep=None,
        fill=0,
        device_memory=None,
        choice=PLAIN,
    ):
        _check_model(model)
        for value, name in (
            (batch_size, "batch_size"),
            (device_memory, "device_memory"),
        ):
            if value is not None:
                check_integer(value, name, 1)
        if split is not None and device_memory is not None:
            raise ValueError(
                "split='rows' computes whole images at once, whatever they "
                f"take. Received: device_memory={device_memory}"
            )
        self._model, self._transform = model, transform
        self._batch_size, self._verbose = batch_size, verbose
        self._device_memory = device_memory
        self._choice = choice
        sources = as_sources(sources)
        count = len(sources) if isinstance(sources, list) else None
        check_keep(keep, count)
        self._keep, self._fill = keep, fill
        # Pixels of images that have ended, and those that were not computed.
        self._pixels = self._skipped = 0
        self._numbered = share(sources, shard)
        _build(model, self._numbered, choice)
        _check_channels(model)
        self._engines = model._engines_for(transform)
        # A distribution is that of the thread of the caller.
        self._sharing, self._engine = find_sharing(split), None
        if split is not None:
            self._engine = self._engines.make_whole(
                transform.in_graph, self._sharing
            )
        self._spec = spec_of(transform.in_graph, self._engines.predictor)
        self._outputs = self._results = None
        self._knows_distortion = False
        # What became of images that need not, or cannot, be predicted.
        self._outcomes = {}
        self._open, self._reduced = {}, {}
        self._position = 0  # Of the next whose outcome is told.
        self._planned = 0  # Pixels that are to be predicted.
        self._predicted = 0  # Those of images that have ended.

    def write(self, out, resume, overwrite):
        """Predict all images and write the results.

        Args:
            out, resume, overwrite: As for `PatchedModel.predict_images`.

        Returns:
            List of what was written: paths, or the arrays of `out`.

        Raises:
            ValueError: If images failed; lists them. The others are written.
        """
        transform = self._transform
        if transform.collect is not None and transform.collect_written is None:
            raise ValueError(
                "`out` takes what is predicted pixel by pixel. Pass a "
                "`transform` that gives pixels, or go through what "
                "`predict_images` yields without `out`."
            )
        count = len(keras.tree.flatten(self._spec))
        if count > 1:
            raise ValueError(
                f"`out` takes one output, and '{self._model.name}' has "
                f"{count}. Make it with a patch model of one: "
                "`keras.Model(net.inputs, net.outputs[0])`."
            )
        self._numbered = list(self._numbered)  # Of which names are known.
        self._outputs = ImageOutputs(
            out, self._numbered, resume, overwrite, self._key()
        )
        written, faults = [], []
        for value, error in self.run():
            written.append(value)
            if error is not None:
                faults.append(fault_of(error) or type(error).__name__)
        raise_faults(
            faults,
            f"{len(faults)} of {len(written)} images failed; the others are "
            "written",
            "Mend these and call again"
            + (
                ": what is done is kept."
                if self._outputs.is_resumable
                else ", with them alone."
            ),
        )
        self._outputs.end()
        return written

    def _key(self):
        return [model_digest(self._model), self._transform.name]

    def run(self):
        """Predict the images.

        Yields:
            For each, in their order, its value and what was wrong with it, of
            which one is `None`.
        """
        sizes = self._sizes()
        engine = self._engine or self._engines.make(
            self._transform.in_graph,
            sizes,
            self._batch_size,
            self._sharing,
            self._device_memory,
        )
        self._planned = sum(map(math.prod, sizes))
        progress = self._progress()
        self._results = ImageResults(
            self._model,
            self._transform,
            self._spec,
            self._outputs,
            self._keep,
            self._fill,
            self._verbose,
        )
        try:
            # Threads end before what they use is closed.
            with contextlib.closing(run_jobs(engine, self._jobs())) as jobs:
                for job in jobs:
                    self._end(job)
                    begun = [*self._open.values()]
                    read = sum(each.pixels_read for each in begun)
                    progress.reach(self._predicted + read, self._planned)
                    while self._position in self._outcomes:
                        progress.add(1)
                        yield self._outcomes.pop(self._position)
                        self._position += 1
            self._tell_skipped(self._position)
        finally:
            progress.end()
            for job in [*self._open.values(), *self._reduced.values()]:
                job.fail(GeneratorExit())
                job.source.close()

    def _end(self, job):
        """Note what became of a job, if there is one."""
        if job is None or self._reduced.pop(job.number, None) is not None:
            return
        del self._open[job.number]
        self._outcomes[job.number] = job.value, job.error
        height, width = job.size
        self._pixels += height * width
        self._skipped += height * width * job.skipped
        self._predicted += job.pixels

    def _tell_skipped(self, count):
        share = self._skipped / max(self._pixels, 1)
        self._model.skipped_share = share
        if self._keep is not None and self._verbose:
            say(f"{share:.0%} of {count} image{'s' * (count != 1)} was skipped")

    def _progress(self):
        is_list = isinstance(self._numbered, list)
        total = len(self._numbered) if is_list else None
        return Progress(total, "image", self._verbose)

    def _sizes(self):
        """Look at the images before, where there is a list of them."""
        if not isinstance(self._numbered, list):
            return []
        sizes = []
        for number, source in self._numbered:
            try:
                opened = self._open_source(source, number)
            except (ValueError, OSError):
                continue  # Told when its turn comes.
            sizes.append(tuple(opened.shape[:2]))
            opened.close()
        return sizes

    def _jobs(self):
        for position, (number, source) in enumerate(self._numbered):
            while position - self._position > _MOST_AHEAD:
                yield None  # Results that are not told yet fill the memory.
            if not isinstance(self._numbered, list):
                source = held(source)
            try:
                job = self._job(position, number, source)
            except Exception as error:
                self._outcomes[position] = None, error
                yield None
                continue
            self._planned -= math.prod(job.size) - job.pixels
            if getattr(job.result, "is_done", False):
                job.finish()
                self._outcomes[position] = job.value, job.error
                yield None
                continue
            self._open[position] = job
            if self._engine is None:  # Whole images have no seams.
                self._model._warn_of_tiling(job.size)
            if getattr(job.result, "reduced", None) is not None:
                reduced = self._reduced_job(job, number, source)
                if reduced is None:
                    continue
                yield reduced
            yield job

    def _job(self, position, number, source):
        opened, result = self._begin(number, source)
        # Of objects none are found where nothing is kept.
        fill = 0 if self._transform.collect is not None else self._fill
        job = ImageJob(position, opened, result, fill=fill)
        try:
            keep = open_keep(self._keep, number, job.size)
            # One of them is asked when rows are read, the other, when they
            # are written.
            job.keep = keep_known(keep, known_rows(opened, job.size))
            job.known = known_rows(opened, job.size)
        except BaseException as error:
            job.fail(error)
            opened.close()
            raise
        return job

    def _reduced_job(self, job, number, source):
        """Begin an image at a smaller size, or end it where that fails."""
        result = job.result.reduced
        try:
            keep = open_keep(self._keep, number, result.size)
            opened = self._open_source(source, number)
            small = ResizedWindows(opened, result.size)
            also = ImageJob(("reduced", job.number), small, result)
            also.keep = keep
        except Exception as error:
            job.fail(error)
            job.source.close()
            self._end(job)
            return None
        self._reduced[also.number] = also
        return also

    def _begin(self, number, source):
        """Open an image, and what takes its bands."""
        opened = self._open_source(source, number)
        try:
            self._tell_distortion(opened.name, ReadScale.of(opened))
            return opened, self._results.make(number, opened)
        except BaseException:
            opened.close()
            raise

    def _tell_distortion(self, name, scale):
        """Say once that objects have other forms than in the files."""
        text = describe_distortion({name: scale})
        if text and self._verbose and not self._knows_distortion:
            self._knows_distortion = True
            say(text)

    def _open_source(self, source, number):
        """Open an image as it is read by the model."""
        return self._resized(self._open_file(source, number), source)

    def _open_file(self, source, number):
        return open_source(
            source,
            number,
            channels=self._model._channels_to_read(),
            value_range=getattr(self._model, "value_range", None),
            normalize=getattr(self._model, "normalize", None),
            choice=self._choice,
        )

    def _resized(self, opened, source):
        """Resize what is opened as the model says, unless it is there whole."""
        resize = getattr(self._model, "resize", None)
        if resize is None or is_in_memory(source):
            return opened
        size = resized_size(opened.shape[:2], resize)
        return ResizedWindows(opened, size)


def _check_model(model):
    """Refuse a model that cannot predict yet, or not so."""
    model._require_patch_size()
    if model.predictor.data_format != "channels_last":
        raise ValueError(
            "`predict_images` takes channels-last images, and "
            f"'{model.name}' has data_format={model.predictor.data_format!r}. "
            "Use `predict`."
        )


def _build(model, numbered, choice):
    """Build a model for the channels of the first image, if need be."""
    if model.built:
        return
    if not isinstance(numbered, list):
        raise ValueError(
            f"'{model.name}' is not built, and only a list of images tells "
            "their channels before: predict one with `predict`, or pass a list."
        )
    for number, source in numbered[:1]:
        opened = open_source(source, number, choice=choice)
        opened.close()
        model.build((None, None, None, opened.shape[2]))


def _check_channels(model):
    """Refuse a model of images with any number of channels."""
    if model.predictor.channels is None:
        raise ValueError(
            f"'{model.name}' takes any number of channels, and "
            "`predict_images` compiles one function: make the patch model "
            "with `keras.Input((None, None, channels))`, or use `predict`."
        )
