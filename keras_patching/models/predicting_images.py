"""What `PatchedModel.predict_images` does, whatever the task."""

import dataclasses
import hashlib
import itertools
import json
import math
import os
import pathlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_patching._checks import check_integer, is_integer
from keras_patching._faults import fault_of, raise_faults
from keras_patching._printing import Progress, say
from keras_patching.data.images.listing import list_images
from keras_patching.layers.output_specs import Trace
from keras_patching.models.model_digest import model_digest
from keras_patching.ops.patches import scaled_length
from keras_patching.prediction.array_target import ArrayTarget
from keras_patching.prediction.image_job import ImageJob
from keras_patching.prediction.keep import (
    check_fill,
    check_keep,
    key_of,
    open_keep,
)
from keras_patching.prediction.pipeline import run_jobs
from keras_patching.prediction.results import WrittenResult
from keras_patching.prediction.sharing import find_sharing
from keras_patching.prediction.sources import open_source
from keras_patching.prediction.targets import (
    check_outs,
    forget_records,
    list_outs,
    open_target,
)

# Images that are begun, at the most, after the one whose result is told next.
_MOST_AHEAD = 256


@dataclasses.dataclass(frozen=True)
class ImageTransform:
    """What is made of the outputs of a patch model for each image.

    Attributes:
        in_graph: Function of the outputs of the patch model, pixel by pixel;
            hashable, the same for the same results.
        collect: Function from the `(height, width)` of an image to its result,
            which takes bands; `None` where pixels themselves are the result.
        check: Function of each band that is written, which refuses what is no
            result.
        name: What it is called; `None` for a function of the user's.
    """

    in_graph: Callable
    collect: Callable | None = None
    check: Callable | None = None
    name: str | None = None


@dataclasses.dataclass(frozen=True)
class Both:
    """Two functions, one after the other."""

    first: Callable
    second: Callable

    def __call__(self, outputs: Any) -> Any:
        return self.second(self.first(outputs))


class Outputs:
    """Where the results of images are written to, and what is there already.

    Args:
        out: As for `PatchedModel.predict_images`.
        numbered: List of the numbers of the images and their sources.
        resume, overwrite: As there.
        key: Strings that tell the model and the transform from others; `None`
            for a transform that nobody can tell.
    """

    def __init__(self, out, numbered, resume, overwrite, key):
        self._how = {"resume": resume, "overwrite": overwrite}
        self._key = key
        names = [_stem(source, number) for number, source in numbered]
        outs = list_outs(out, names)
        paths = [
            source
            for _, source in numbered
            if isinstance(source, (str, os.PathLike))
        ]
        check_outs(outs, paths, **self._how)
        numbers = [number for number, _ in numbered]
        self._outs = dict(zip(numbers, outs, strict=True))
        self._targets = []
        # Whether another call can tell that it is of the same.
        self.is_resumable = resume and key[1] is not None

    def open(self, number, source, shape, dtype, details):
        """Open what the result of an image is written into.

        Args:
            number: Of the image.
            source: `ImageSource`.
            shape, dtype: Of the result.
            details: Strings for what else decides what it holds.
        """
        known = [*self._key, source.identity]
        if None in known:
            # Another run may have another function, or other pixels in an
            # array like it: nothing is like these.
            self.is_resumable = False
            known.append(os.urandom(16).hex())
        known = json.dumps([*known, *details], sort_keys=True)
        target = open_target(
            self._outs[number],
            shape,
            dtype,
            source.name,
            key=hashlib.sha256(known.encode()).hexdigest(),
            **self._how,
        )
        self._targets.append(target)
        return target

    def end(self):
        """Forget what a run that was killed would need."""
        forget_records(self._targets)


class ImagePrediction:
    """The prediction of some images by a model.

    Args:
        model: `PatchedModel`.
        sources: As for `PatchedModel.predict_images`.
        transform: `ImageTransform`.
        batch_size, shard, split, verbose, keep, fill: As there.
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
    ):
        _check_model(model)
        if batch_size is not None:
            check_integer(batch_size, "batch_size", 1)
        self._model, self._transform = model, transform
        self._batch_size, self._verbose = batch_size, verbose
        sources = as_sources(sources)
        count = len(sources) if isinstance(sources, list) else None
        check_keep(keep, count)
        self._keep, self._fill = keep, fill
        # Pixels of images that have ended, and those that were not computed.
        self._pixels = self._skipped = 0
        self._numbered = _share(sources, shard)
        _build(model, self._numbered)
        _check_channels(model)
        # A distribution is that of the thread of the caller.
        self._sharing, self._engine = find_sharing(split), None
        if split is not None:
            self._engine = model._engines.make_whole(
                transform.in_graph, self._sharing
            )
        self._spec = _spec_of(transform.in_graph, model)
        self._outputs = None
        # What became of images that need not, or cannot, be predicted.
        self._outcomes = {}
        self._open = {}
        self._position = 0  # Of the next whose outcome is told.
        self._planned = 0  # Pixels that are to be predicted.

    def write(self, out, resume, overwrite):
        """Predict all images and write the results.

        Args:
            out, resume, overwrite: As for `PatchedModel.predict_images`.

        Returns:
            List of what was written: paths, or the arrays of `out`.

        Raises:
            ValueError: If images failed; lists them. The others are written.
        """
        if self._transform.collect is not None:
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
        self._outputs = Outputs(
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
        engine = self._engine or self._model._engines.make(
            self._transform.in_graph,
            sizes,
            self._batch_size,
            self._sharing,
        )
        self._planned = sum(map(math.prod, sizes))
        progress = self._progress()
        pixels = 0
        try:
            for job in run_jobs(engine, self._jobs()):
                if job is not None:
                    del self._open[job.number]
                    self._count(job)
                    self._outcomes[job.number] = job.value, job.error
                    pixels += job.pixels
                begun = sum(each.pixels_read for each in [*self._open.values()])
                progress.reach(pixels + begun, self._planned)
                while self._position in self._outcomes:
                    progress.add(1)
                    yield self._outcomes.pop(self._position)
                    self._position += 1
            self._tell_skipped(self._position)
        finally:
            progress.end()
            for job in self._open.values():
                job.fail(GeneratorExit())
                job.source.close()

    def _count(self, job):
        height, width = job.size
        self._pixels += height * width
        self._skipped += height * width * job.skipped

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
                source = _held(source)
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
            if self._engine is None:  # Whole images have no seams.
                self._model._warn_of_tiling(job.size)
            self._open[position] = job
            yield job

    def _job(self, position, number, source):
        opened, result = self._begin(number, source)
        # Of objects none are found where nothing is kept.
        fill = 0 if self._transform.collect is not None else self._fill
        job = ImageJob(position, opened, result, fill=fill)
        try:
            job.keep = open_keep(self._keep, number, job.size)
        except BaseException as error:
            job.fail(error)
            opened.close()
            raise
        return job

    def _begin(self, number, source):
        """Open an image, and what takes its bands."""
        opened = self._open_source(source, number)
        try:
            return opened, self._result(number, opened)
        except BaseException:
            opened.close()
            raise

    def _open_source(self, source, number):
        return open_source(
            source,
            number,
            channels=self._model.predictor.channels,
            value_range=getattr(self._model, "value_range", None),
        )

    def _result(self, number, source):
        """Make what takes the bands of an image."""
        size = tuple(source.shape[:2])
        if self._transform.collect is not None:
            return self._transform.collect(size)
        scales = self._model.predictor._outputs.scales
        specs = keras.tree.flatten(self._spec)
        targets = [
            self._target(number, source, self._shape(size, scale, each), each)
            for scale, each in zip(scales, specs, strict=True)
        ]
        check = self._transform.check
        return WrittenResult(targets, scales, self._spec, check)

    def _target(self, number, source, shape, spec):
        dtype = np.dtype(keras.backend.standardize_dtype(spec.dtype))
        check_fill(self._fill, dtype)
        if self._outputs is None:
            return ArrayTarget(
                np.empty(shape, dtype), shape, dtype, source.name
            )
        keep = open_keep(self._keep, number, tuple(source.shape[:2]))
        details = [] if keep is None else [key_of(keep), repr(self._fill)]
        return self._outputs.open(number, source, shape, dtype, details)

    def _shape(self, size, scale, spec):
        """Return the shape of an output of an image, or refuse it."""
        if scale is None:
            grid = self._model.predictor.patch_grid(size)
            return grid.rows, grid.cols, *spec.shape[1:]
        height, width = (scaled_length(length, scale) for length in size)
        return height, width, *spec.shape[3:]


def _check_model(model):
    """Refuse a model that cannot predict yet, or not so."""
    model._require_patch_size()
    if model.predictor.data_format != "channels_last":
        raise ValueError(
            "`predict_images` takes channels-last images, and "
            f"'{model.name}' has data_format={model.predictor.data_format!r}. "
            "Use `predict`."
        )


def _build(model, numbered):
    """Build a model for the channels of the first image, if need be."""
    if model.built:
        return
    if not isinstance(numbered, list):
        raise ValueError(
            f"'{model.name}' is not built, and only a list of images tells "
            "their channels before: predict one with `predict`, or pass a list."
        )
    for number, source in numbered[:1]:
        opened = open_source(source, number)
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


def _spec_of(transform, model):
    """Tell what a transform makes of the outputs of a model, or refuse it."""
    known = model.predictor._outputs
    spec = Trace(transform).compute_output_spec(known.spec)
    before, after = map(keras.tree.flatten, (known.spec, spec))
    same = len(before) == len(after) and all(
        scale is None or one.shape[1:3] == other.shape[1:3]
        for scale, one, other in zip(known.scales, before, after, strict=True)
    )
    if not same:
        raise ValueError(
            "`transform` must return as many outputs as it takes, as high and "
            "wide as these: it may change channels only. Received: "
            f"{[each.shape for each in after]} for "
            f"{[each.shape for each in before]}"
        )
    return spec


def _held(source):
    """Return an image that the caller may change, or what it is read from."""
    is_mapped = isinstance(source, np.memmap)
    if isinstance(source, np.ndarray) and not is_mapped:
        return source.copy()
    if keras.ops.is_tensor(source):
        return np.array(keras.ops.convert_to_numpy(source))
    return source


def as_sources(sources):
    """Give the images that are meant: those of a folder, or each of a list.

    Raises:
        ValueError: If it is one image.
    """
    if isinstance(sources, (str, os.PathLike)):
        if os.path.isdir(sources):
            return list(list_images(sources).values())
        return [sources]
    if len(getattr(sources, "shape", ())) == 3:
        raise ValueError(
            "`predict_images` takes several images: pass one as a list, "
            f"`[image]`. Received: an array of shape {tuple(sources.shape)}"
        )
    if isinstance(sources, (tuple, np.ndarray)):
        return list(sources)
    return sources  # What is not a list may be more than the memory holds.


def _stem(source, number):
    """Return what files of an image are named after."""
    if isinstance(source, (str, os.PathLike)):
        return pathlib.Path(source).stem
    return f"image_{number}"


def _share(sources, shard):
    """Number images, and give those that are the share of one process.

    Args:
        sources: Iterable of images.
        shard: `(index, count)`, or `None` for all.

    Returns:
        List of pairs of number and image, or an iterator where images are
        not in a list.
    """
    index, count = _check_shard(shard)
    numbered = itertools.islice(enumerate(sources), index, None, count)
    return list(numbered) if isinstance(sources, list) else numbered


def _check_shard(shard):
    if shard is None:
        return 0, 1
    is_pair = isinstance(shard, (tuple, list)) and len(shard) == 2
    if not is_pair or not all(map(is_integer, shard)):
        raise ValueError(
            "`shard` must be (index, count): the number of this process, from "
            f"0, and of how many there are. Received: shard={shard!r}"
        )
    index, count = shard
    if not 0 <= index < count:
        raise ValueError(
            "`shard` must be (index, count) with 0 <= index < count. "
            f"Received: shard={shard!r}"
        )
    return index, count
