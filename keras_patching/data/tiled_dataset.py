"""Loads data sets whose patches tile each image, with labels of any kind."""

from typing import Protocol

from keras_patching.data.faults import raise_faults
from keras_patching.data.loading import (
    SequenceOptions,
    as_value_range,
    check_optional,
)
from keras_patching.data.patch_cache import PatchCache
from keras_patching.data.shard_builder import Source
from keras_patching.data.tiling import check_same_kind, plan_image_shard
from keras_patching.geometry import PatchGrid, as_pair


class TileLabels(Protocol):
    """The labels of a data set, as a task sees them.

    Attributes:
        parameters: JSON-able dict of what decides the label patches.
        folder: Folder of label files, or `None`.
    """

    parameters: dict
    folder: object

    def faults(self, headers, cache):
        """Check the labels before anything is written.

        Args:
            headers: Dict from image path to `ImageHeader`.
            cache: `PatchCache` that reads and remembers headers.

        Returns:
            List of faults, a line each.
        """

    def shards(self, image, header, grid):
        """Plan the label shards of an image.

        Args:
            image: Path of the image.
            header: Its `ImageHeader`.
            grid: Its `PatchGrid`.

        Returns:
            List of `ShardPlan`.
        """


def load_tiled_dataset(
    task,
    dirname,
    images,
    labels,
    patch_size,
    *,
    channels=3,
    value_range=(0, 255),
    cache_dir=None,
    overwrite=False,
    executor=None,
    verbose=True,
    **options,
):
    """Cut images and labels into tiles where not cached, and open them.

    Args:
        task: Name of the task, a plain word.
        dirname: Folder of the images.
        images: List of their paths.
        labels: `TileLabels`.
        patch_size: `(height, width)` in pixels, or one integer.
        channels, value_range, cache_dir, overwrite, executor, verbose: As in
            the loaders.
        **options: Those of `SequenceOptions`.

    Returns:
        A `PatchingSequence`, or two with `subset="both"`.

    Raises:
        ValueError: If files or arguments cannot be used; lists the files.
    """
    options = SequenceOptions(**options)
    patch_size = as_pair(patch_size, "patch_size")
    channels = check_optional(channels, "channels", 1)
    value_range = as_value_range(value_range)
    parts = options.split([image.name for image in images])
    cache = PatchCache(
        dirname,
        task,
        patch_size,
        {
            "channels": channels,
            "value_range": value_range,
            **labels.parameters,
        },
        label_dirname=labels.folder,
        cache_dir=cache_dir,
    )
    headers = _check(images, labels, channels, cache)
    sources = []
    for image, header in headers.items():
        grid = PatchGrid(header.size, patch_size)
        pixels = plan_image_shard(image, header, grid, channels, value_range)
        sources.append(
            Source(
                name=image.name,
                shards=(pixels, *labels.shards(image, header, grid)),
                origins=[list(origin) for origin in grid.origins],
                stages=["tile"] * grid.num_patches,
            )
        )
    manifest = cache.build(sources, overwrite, executor, verbose)
    return options.open(manifest, parts)


def _check(images, labels, channels, cache):
    """Give the headers of all images, if nothing is wrong with the files."""
    faults, headers = [], {}
    for image in images:
        try:
            headers[image] = cache.header(image)
        except (ValueError, OSError) as error:
            faults.append(str(error))
    faults += labels.faults(headers, cache)
    faults += check_same_kind(headers, channels)
    raise_faults(
        faults,
        "Images and labels that cannot be used",
        "Nothing was written.",
    )
    return headers
