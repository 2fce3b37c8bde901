"""What a manifest must be before its shards are opened.

A patch cache may come from anybody: numbers in its manifest must not decide
which memory or which files are read or written.
"""

import math
import os
import pathlib
import re

import numpy as np

from keras_patching.data.cache.shard_kinds import shard_kind
from keras_patching.data.cache.strips import strips_shape
from keras_patching.data.images.resizing import as_resize
from keras_patching.geometry import PAD_MODES


def check_manifest(manifest):
    """Refuse a manifest with anything in it that no build writes.

    Args:
        manifest: A `Manifest` whose fields are as JSON gave them.

    Raises:
        ValueError: Says what is wrong.
    """
    task, patch_size = manifest.task, manifest.patch_size
    _expect(_is_word(task), f"the task {task!r} is not a plain word")
    _expect(
        len(patch_size) == 2 and all(_is_count(n) and n for n in patch_size),
        f"the patch size {patch_size!r} is not a pair of positive integers",
    )
    _expect(_is_count(manifest.hashed_at_ns), "`hashed_at_ns` is not a time")
    _expect(_is_path(manifest.label_path), "`label_path` is no path")
    _expect(isinstance(manifest.parameters, dict), "`parameters` is no dict")
    _check_value_range(manifest.parameters.get("value_range", (0, 255)))
    _check_resize(manifest.parameters.get("resize"))
    ignored = manifest.parameters.get("ignore_value")
    _expect(ignored is None or _is_count(ignored), "`ignore_value` is no class")
    _check_classes(manifest)
    for path, file in manifest.files.items():
        _check_file(path, file)
    sources = manifest.sources
    _expect(sources, "it lists no sources")
    names = {source.name for source in sources}
    _expect(len(names) == len(sources), "it lists a source twice")
    kinds = list(sources[0].shards)
    _expect(
        kinds and shard_kind(kinds[0]).drawn == "image",
        "its first shards are no images",
    )
    for source in sources:
        _expect(
            is_plain_name(source.name),
            f"the source {source.name!r} is not a plain file name",
        )
        _expect(
            list(source.shards) == kinds,
            f"{source.name} has other kinds of shards than {sources[0].name}",
        )
        _expect(
            source.name in manifest.files,
            f"{source.name} is not among the files",
        )
        size = manifest.image_size(source)
        _check_source(source, size, patch_size, manifest.parameters)
    _check_facts(sources)
    _check_counted(sources, manifest.parameters.get("num_classes"))


def _check_counted(sources, num_classes):
    """Check that the pixels of masks are counted of as many classes."""
    for source in sources:
        for kind, shard in source.shards.items():
            if shard_kind(kind).drawn == "mask" and source.origins:
                counted = np.shape(shard.facts.get("pixels"))
                _expect(
                    counted == (len(source.origins), num_classes)
                    or (not counted and num_classes is None),
                    f"the pixels of {num_classes!r} classes are not counted in "
                    f"the {kind} of {source.name}",
                )


def _check_classes(manifest):
    classes, parameters = manifest.classes, manifest.parameters
    _expect(
        isinstance(classes, dict) and classes.keys() <= _OF_CLASSES.keys(),
        "`classes` is no dict of names, colors and ids",
    )
    known = {**classes}
    if parameters.get("class_names") is not None:
        known["names"] = parameters["class_names"]
    for key, entries in known.items():
        is_list = isinstance(entries, list) and entries
        _expect(
            is_list and all(map(_OF_CLASSES[key], entries)),
            f"the {key} of classes cannot be",
        )
    names, colors = known.get("names"), known.get("colors")
    count = parameters.get("num_classes", len(names or ()))
    _expect(_is_count(count), f"{count!r} is no number of classes")
    _expect(
        (names is None or len(set(names)) == len(names) == count)
        and (colors is None or len(colors) in (count, count + 1)),
        f"names or colors of classes are not those of {count!r} classes",
    )


def _is_color(color):
    return (
        isinstance(color, list)
        and len(color) == 3
        and all(_is_count(each) and each < 256 for each in color)
    )


def _is_pair(pair):
    is_pair = isinstance(pair, list) and len(pair) == 2
    return is_pair and all(map(_is_integer, pair))


_OF_CLASSES = {
    "names": lambda name: isinstance(name, str),
    "colors": _is_color,
    "ids": _is_pair,
}


def is_plain_name(name):
    """Tell whether a name is that of a file, in whatever folder it is put."""
    return (
        _is_path(name)
        and name not in ("", ".", "..")
        and "\0" not in name
        and pathlib.PurePath(name).name == name
    )


def _is_path(text):
    """Tell whether it is text that the system can be asked for."""
    if not isinstance(text, str):
        return False
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        return False
    return True


def _check_file(path, file):
    header = file.header
    _expect(_is_path(path), f"{path!r} is no path")
    _expect(
        _is_integer(file.size)
        and _is_integer(file.mtime_ns)
        and _is_integer(file.ctime_ns)
        and isinstance(file.sha256, str)
        and len(header) == 6
        and all(_is_count(number) and number for number in header[:3])
        and _is_plain_dtype(header[3])
        and all(isinstance(flag, bool) for flag in header[4:]),
        f"what it says of the file {path} cannot be",
    )


def _check_source(source, image_size, patch_size, parameters):
    count = len(source.origins)
    origins = np.asarray(source.origins or np.empty((0, 2), int))
    inside = (
        origins.shape == (count, 2)
        and origins.dtype.kind == "i"
        and ((origins >= 0) & (origins < image_size)).all()
    )
    _expect(inside, f"origins of {source.name} do not lie in its image")
    stages, augmentations = source.stages, source.augmentations
    _expect(
        isinstance(stages, list)
        and len(stages) == count
        and all(isinstance(stage, str) for stage in stages),
        f"{source.name} does not have a stage for each of {count} patches",
    )
    _expect(
        isinstance(augmentations, list)
        and len(augmentations) in (0, count)
        and all(
            each is None or isinstance(each, dict) for each in augmentations
        ),
        f"{source.name} does not have an augmentation for each patch",
    )
    for kind, shard in source.shards.items():
        _check_shard(kind, shard, count, patch_size, source.name)
        if shard_kind(kind).is_cut:
            _check_cut(kind, shard, source, image_size, parameters)


def _check_cut(kind, shard, source, image_size, parameters):
    """Check what patches are cut out of when they are read."""
    _expect(
        shard.shape[1:] == strips_shape(image_size, *shard.shape[4:]),
        f"the {kind} of {source.name} are not of the size of its file",
    )
    # Tiles are fed as they are, what a sampler planned as it says.
    _expect(
        len(source.augmentations) == len(source.origins)
        or set(source.stages) <= {"tile"},
        f"{source.name} does not have an augmentation for each patch",
    )
    # What lies beyond the image is black, or as these say.
    _expect("value_range" in parameters, "it has no value range")
    pad_mode = parameters.get("pad_mode", "constant")
    _expect(pad_mode in PAD_MODES, f"{pad_mode!r} is no `pad_mode`")
    if shard_kind(kind).drawn == "mask":
        ignored = parameters.get("ignore_value") or 0
        is_integer = np.dtype(shard.dtype).kind in "iu"
        _expect(
            is_integer
            and _is_count(ignored)
            and ignored <= np.iinfo(shard.dtype).max,
            f"masks of {shard.dtype} cannot hold the ignore value {ignored!r}",
        )


def _check_shard(kind, shard, count, patch_size, name):
    what = f"what it says of the {kind} of {name} cannot be"
    _expect(
        is_plain_name(shard.file)
        and _is_count(shard.bytes)
        and _is_integer(shard.mtime_ns)
        and isinstance(shard.checksum, str),
        what,
    )
    _expect(
        _is_plain_dtype(shard.dtype),
        f"{what}: {shard.dtype!r} is not a dtype of plain numbers",
    )
    entry = shard_kind(kind)
    _expect(
        all(map(_is_count, shard.shape))
        and shard.shape[:1] == (1 if entry.per_image else count,)
        and entry.fits(shard.shape[1:], patch_size),
        f"{what}: the shape {shard.shape} of {count} patches of {patch_size}",
    )
    _expect(isinstance(shard.facts, dict), what)
    for fact, values in shard.facts.items():
        array = np.asarray(values)
        _expect(
            isinstance(values, list)
            and len(values) == count
            and array.dtype.kind in "if"
            and array.ndim <= 2,
            f"{what}: {fact} are not numbers per patch",
        )


def _check_facts(sources):
    """What is told of the patches of one source is told of those of all."""
    told = [
        {
            kind: {
                fact: np.shape(all_)[1:] for fact, all_ in shard.facts.items()
            }
            for kind, shard in source.shards.items()
        }
        for source in sources
        if source.origins
    ]
    _expect(
        all(each == told[0] for each in told),
        "it does not tell the same of all sources",
    )


def _check_value_range(pair):
    _expect(
        isinstance(pair, list | tuple)
        and len(pair) == 2
        and all(isinstance(number, int | float) for number in pair)
        and all(map(math.isfinite, pair)),
        f"the value range {pair!r} is not a pair of numbers",
    )


def _check_resize(resize):
    is_pair = isinstance(resize, list | tuple)
    numbers = resize if is_pair else [resize]
    _expect(
        resize is None or all(type(each) in (int, float) for each in numbers),
        f"the resize {resize!r} is no number and no pair of them",
    )
    as_resize(resize)


def _is_word(text):
    return isinstance(text, str) and re.fullmatch(r"[A-Za-z]\w*", text, re.A)


def _is_plain_dtype(name):
    return (
        isinstance(name, str)
        and re.fullmatch(r"(u?int|float)[0-9]+", name)
        and np.dtype(name).name == name
    )


# The package's own checks of integers take those of numpy too, and raise errors
# of arguments. These read JSON of strangers, where only an `int` is one, of the
# 64 bits that the system takes.


def _is_integer(number):
    return type(number) is int and -(2**63) <= number < 2**63


def _is_count(number):
    return _is_integer(number) and number >= 0


def _expect(condition, problem):
    if not condition:
        raise ValueError(problem)
