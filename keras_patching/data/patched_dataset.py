"""Loads folders of images as cached patches, with labels of any kind."""

import dataclasses
import functools
import warnings
from typing import Protocol

from keras_patching._faults import raise_faults
from keras_patching._printing import say
from keras_patching.data.cache.patch_cache import PatchCache
from keras_patching.data.cache.shard_builder import plan_source
from keras_patching.data.cache.workers import check_executor
from keras_patching.data.feeding.random_crops import check_random_crops
from keras_patching.data.images.image_io import read_headers
from keras_patching.data.images.resizing import (
    ReadScale,
    describe_distortion,
)
from keras_patching.data.images.same_kind import check_same_kind
from keras_patching.data.images.value_range import check_brightness
from keras_patching.data.labels.summaries import (
    describe_left_out,
    describe_turned_images,
)
from keras_patching.data.patches.stores import (
    PixelShards,
    check_store,
    describe_stores,
    plan_image_shard,
)
from keras_patching.data.pixel_options import PixelOptions
from keras_patching.data.sequence_options import SequenceOptions
from keras_patching.geometry import PatchGrid


class Labels(Protocol):
    """The labels of a data set, as a task sees them.

    Attributes:
        parameters: JSON-able dict of what decides the label patches, and of
            how labels are read.
        path: File or folder that the labels are read from.
    """

    parameters: dict
    path: object

    def faults(self, headers, cache):
        """Check the labels before anything is written.

        Args:
            headers: Dict from image path to `ImageHeader`.
            cache: `PatchCache` that reads and remembers headers.

        Returns:
            List of faults, a line each.
        """

    def resize(self, scales):
        """Move the labels to where they are in images that are resized.

        Called once, after the labels were checked; from then on the headers
        that these methods are given are of the resized images.

        Args:
            scales: Dict from image path to `ReadScale`.
        """

    def source(self, image, header, pixels):
        """Plan the patches of an image.

        Args:
            image: Path of the image.
            header: Its `ImageHeader`.
            pixels: `PixelOptions`.

        Returns:
            A `Source`.
        """

    def summarize(self, records, headers):
        """Say what was understood of the labels.

        Args:
            records: List of the `Source` of each image.
            headers: Dict from image path to `ImageHeader`.

        Returns:
            A sentence: images, those without objects, objects or pixels per
            class.
        """

    def doubts(self, records, headers):
        """Say what can hardly be meant, in a list of sentences."""


def tile_source(image, header, pixels, label_shards):
    """Plan patches that tile an image without overlap.

    Args:
        image, header, pixels: As for `Labels.source`.
        label_shards: Function from `PixelShards` to a list of `ShardPlan`.

    Returns:
        A `Source`.
    """
    grid = PatchGrid(header.size, pixels.patch_size)
    plan = plan_image_shard(image, header, grid, pixels)
    return plan_source(
        name=image.name,
        plans=[plan, *label_shards(PixelShards(grid, pixels.store))],
        origins=[list(origin) for origin in grid.origins],
        stages=["tile"] * grid.num_patches,
    )


def load_patched_dataset(
    task,
    dirname,
    images,
    labels,
    patch_size,
    *,
    left_out=(),
    classes=None,
    channels,
    value_range,
    normalize=None,
    pad_mode="constant",
    resize=None,
    store="patches",
    cache_dir,
    overwrite,
    executor,
    verbose,
    **options,
):
    """Cut images and labels into patches where not cached, and open them.

    Args:
        task: Name of the task, a plain word.
        dirname: Folder of the images.
        images: List of their paths.
        labels: `Labels`.
        patch_size: `(height, width)` in pixels, or one integer.
        left_out: Names of the images in the folder that have no labels.
        classes: Function that gives what is known of the classes, as in
            `Manifest`, when the labels are checked.
        channels, value_range, normalize, pad_mode, resize, store, cache_dir,
            overwrite, executor, verbose: As in the loaders.
        **options: Those of `SequenceOptions`.

    Returns:
        A `PatchingSequence`, with a `crop_size` an `ImageSequence`; or a tuple
        of them with `subset="both"` or `"all"`.

    Raises:
        ValueError: If files or arguments cannot be used; lists the files.
    """
    check_executor(executor)
    options = SequenceOptions(**options)
    check_store(store)
    if options.crop_size is not None:
        store = "images"
    pixels = PixelOptions.of(
        patch_size, channels, value_range, pad_mode, normalize, resize, store
    )
    pixels.preparation.check_batch_dtype(options.dtype)
    check_random_crops(options.random_crops, pixels.store)
    parts = options.split([image.name for image in images])
    cache = PatchCache(
        dirname,
        task,
        pixels.patch_size,
        {**pixels.parameters, **labels.parameters},
        label_path=labels.path,
        cache_dir=cache_dir,
    )
    headers = _check(images, labels, pixels, cache)
    if pixels.resize is not None:
        headers = _resize(labels, headers, pixels.resize, verbose)
    sources = [
        labels.source(image, header, pixels)
        for image, header in headers.items()
    ]
    sizes = {image.name: header.size for image, header in headers.items()}
    where = dirname, pixels.patch_size, pixels.pad_mode
    split = options.describe(parts, *where, sources, sizes)
    check = functools.partial(_check_brightness, headers, pixels)
    known = None if classes is None else classes()
    cache.build(sources, overwrite, executor, verbose, check, known)
    loaded = options.open(cache.built, parts, pixels.patch_size)
    records = cache.built.manifest.sources
    if verbose:
        said = labels.summarize(records, headers)
        turned = describe_turned_images(headers)
        say(f"{said}{describe_left_out(left_out)}{turned}")
        say(describe_stores(sources, sizes, pixels.patch_size))
        for sentence in split:
            say(sentence)
    for doubt in labels.doubts(records, headers):
        warnings.warn(f"{dirname}: {doubt}", stacklevel=3)
    return loaded


def _resize(labels, headers, resize, verbose):
    """Move labels to where they are in resized images; give their headers."""
    scales = {
        image: ReadScale.of_file(header.size, resize)
        for image, header in headers.items()
    }
    if verbose and (text := describe_distortion(scales)):
        say(text)
    labels.resize(scales)
    return {
        image: dataclasses.replace(header, size=scales[image].size)
        for image, header in headers.items()
    }


def _check_brightness(headers, pixels):
    """Refuse images that are black throughout, as they are fed."""
    if pixels.normalize is None:
        check_brightness(headers, pixels.value_range, pixels.channels)


def _check(images, labels, pixels, cache):
    """Give the headers of all images, if nothing is wrong with the files."""
    headers, faults = read_headers(images, cache.header)
    faults += labels.faults(headers, cache)
    faults += check_same_kind(headers, pixels.channels, pixels.dtype)
    raise_faults(
        faults,
        "Images and labels that cannot be used",
        "Nothing was written.",
    )
    return headers
