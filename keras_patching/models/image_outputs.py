"""What results of images are written into, and who may go on with it."""

import hashlib
import json
import os
import pathlib

from keras_patching.data.images.ome_zarr import stem_of
from keras_patching.data.images.opened_image import OpenedImage
from keras_patching.prediction.targets import (
    check_outs,
    forget_records,
    list_outs,
    open_target,
)


class ImageOutputs:
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
        paths = [_path(source) for _, source in numbered]
        paths = [path for path in paths if path is not None]
        check_outs(outs, paths, **self._how)
        numbers = [number for number, _ in numbered]
        self._outs = dict(zip(numbers, outs, strict=True))
        self._targets = []
        # Whether another call can tell that it is of the same.
        self.is_resumable = resume and key[1] is not None

    def path(self, number):
        """Give the path or array that the result of an image goes into."""
        return self._outs[number]

    def open(
        self, number, source, shape, dtype, details, form=None, beside=None
    ):
        """Open what the result of an image is written into.

        Args:
            number: Of the image.
            source: `ImageSource`.
            shape, dtype: Of the result.
            details: Strings for what else decides what it holds.
            form: What its rows are made into, see `open_target`, or `None`.
            beside: Name of a file beside the path of the result to open
                instead, for what is needed on the way.
        """
        known = [*self._key, source.identity]
        details = details if form is None else [*details, form.key]
        if None in known:
            # Another run may have another function, or other pixels in an
            # array like it: nothing is like these.
            self.is_resumable = False
            known.append(os.urandom(16).hex())
        known = json.dumps([*known, *details], sort_keys=True)
        out, how = self._outs[number], self._how
        if beside is not None:
            out = pathlib.Path(out)
            out = out.with_name(f".{out.name}.{beside}")
            how = {**how, "overwrite": True}
        target = open_target(
            out,
            shape,
            dtype,
            source.name,
            key=hashlib.sha256(known.encode()).hexdigest(),
            form=form,
            **how,
        )
        self.note(target)
        return target

    def note(self, target):
        """Take what is to `forget` at the end."""
        self._targets.append(target)

    def end(self):
        """Forget what a run that was killed would need."""
        forget_records(self._targets)


def _path(source):
    """Return the path that an image is read from, or `None`."""
    if isinstance(source, OpenedImage):
        return source.path
    return source if isinstance(source, (str, os.PathLike)) else None


def _stem(source, number):
    """Return what files of an image are named after."""
    if isinstance(source, OpenedImage):
        return source.stem
    if isinstance(source, (str, os.PathLike)):
        return stem_of(source)
    return f"image_{number}"
