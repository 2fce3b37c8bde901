"""Cuts windows out of whole images, and labels of their size, as they are read.

A window may have any size and lie at any place. What of it lies beyond the
image, at the bottom and right, is what tiles hold there: so both stores give
the same patches, bit for bit.
"""

import numpy as np

from keras_patching.data.cache.opening import SHARD_FOLDER
from keras_patching.data.cache.shard_kinds import key_of, shard_kind
from keras_patching.data.feeding.batch_arrays import empty_batch
from keras_patching.data.feeding.shard_pool import ShardPool
from keras_patching.data.patches.planned_patches import augment_patch
from keras_patching.geometry import pixel_for


def open_windows(manifest_path, manifest, sources):
    """Open a reader of windows per kind of what is kept whole.

    Args:
        manifest_path: `pathlib.Path` of the manifest.
        manifest: The `Manifest` of a cache of `store="images"`.
        sources: Those of its `Source` that are read.

    Returns:
        Dict from the key of each kind, "images" first, then "masks" or
        "heatmaps", to its `WindowReader`.

    Raises:
        ValueError: If images differ in channels or dtype, or if the cache
            holds patches.
    """
    kinds = [kind for kind in manifest.fed_kinds if shard_kind(kind).is_cut]
    if not kinds:
        raise ValueError(
            f"{manifest_path}: holds patches, and other windows are cut from "
            'whole images. Call the loader with store="images".'
        )
    return {
        key_of(kind): open_window_reader(kind, manifest_path, manifest, sources)
        for kind in kinds
    }


def open_window_reader(kind, manifest_path, manifest, sources):
    """Open the `WindowReader` of one kind; see `open_windows`."""
    records = [source.shards[kind] for source in sources]
    formats = [(record.shape[4:], record.dtype) for record in records]
    check_alike(formats, sources, manifest_path)
    sizes = [manifest.image_size(source) for source in sources]
    padding = padding_of(kind, manifest.parameters)
    return WindowReader(manifest_path.parent, records, sizes, *padding)


def check_alike(formats, sources, manifest_path):
    """Refuse what does not fit into one array.

    Args:
        formats: Shape and dtype per source.
        sources: List of `Source`.
        manifest_path: `pathlib.Path` of the manifest.

    Raises:
        ValueError: If the formats differ; names a source of each of two.
    """
    names = {
        each: source.name for each, source in zip(formats, sources, strict=True)
    }
    if len(names) > 1:
        (first, name), (second, other) = list(names.items())[:2]
        raise ValueError(
            f"{manifest_path}: images or labels of {len(names)} formats do not "
            f"make a batch: {name} has {first}; {other} has {second}. Pass "
            "`names` of images of one format, or call the loader again."
        )


def padding_of(kind, parameters):
    """Give what lies beyond the image in a kind of shards.

    Args:
        kind: Name of the kind.
        parameters: Those of the manifest.

    Returns:
        Value of the pixels there, and how they are padded, one of `PAD_MODES`.
    """
    drawn = shard_kind(kind).drawn
    if drawn == "image":
        mode = parameters.get("pad_mode", "constant")
        return parameters["value_range"][0], mode
    if drawn == "mask":
        return parameters.get("ignore_value") or 0, "constant"
    return 0, "constant"


class WindowReader:
    """Cuts windows of any size, anywhere, out of whole images.

    Args:
        directory: Folder of the cache.
        records: `ShardRecord` per source, whose shard holds one whole image in
            strips, or one label of its size.
        image_sizes: `(height, width)` in pixels, per source.
        pad_value: Value of the pixels beyond the image, at the bottom and
            right.
        pad_mode: Or how they are copied from it, one of `PAD_MODES`.

    Attributes:
        pixel_shape: Shape of a pixel: `(channels,)`, or `()` of labels.
        dtype: Dtype of the pixels.
    """

    def __init__(
        self, directory, records, image_sizes, pad_value=0, pad_mode="constant"
    ):
        self._pool = ShardPool(directory / SHARD_FOLDER, records)
        self._image_sizes = image_sizes
        self._pad_value = pad_value
        self._pad_mode = pad_mode
        self.pixel_shape = tuple(records[0].shape[4:])
        self.dtype = np.dtype(records[0].dtype)

    def cut(self, source, window):
        """Cut one window.

        Args:
            source: Index of the source.
            window: `(y, x, height, width)` in pixels of its image, y and x
                from 0.

        Returns:
            Array `(height, width, *pixel_shape)`.
        """
        y, x, *size = window
        target = np.empty((*size, *self.pixel_shape), self.dtype)
        self.cut_into(target, source, (y, x))
        return target

    def cut_all(self, sources, origins, size):
        """Cut windows of one size, one per pair of source and origin.

        Args:
            sources: Indices of sources.
            origins: Pairs `(y, x)`.
            size: `(height, width)` of the windows.

        Returns:
            Array `(windows, height, width, *pixel_shape)`.
        """
        shape = (len(origins), *size, *self.pixel_shape)
        windows = empty_batch(shape, self.dtype)
        for target, source, origin in zip(
            windows, sources, origins, strict=True
        ):
            self.cut_into(target, source, origin)
        return windows

    def cut_into(self, target, source, origin):
        """Cut the window at an origin that fills an array.

        Args:
            target: Array `(height, width, *pixel_shape)`, its rows contiguous.
            source: Index of the source.
            origin: `(y, x)`.

        Returns:
            `(height, width)` of the part of it that lies in the image.
        """
        y, x = origin
        height, width = self.inside(source, origin, target.shape[:2])
        if (height, width) == target.shape[:2]:
            self._pool.read_window(source, origin, target)
        elif self._pad_mode != "constant":
            self._copy_beyond(target, source, origin)
        else:
            if height and width:
                inside = target[:height, :width]
                self._pool.read_window(source, (y, x), inside)
            target[height:] = self._pad_value
            target[:height, width:] = self._pad_value
        return height, width

    def inside(self, source, origin, size):
        """Give the `(height, width)` of what of a window lies in the image."""
        (y, x), (height, width) = origin, self._image_sizes[source]
        if y < 0 or x < 0:
            raise ValueError(
                "Windows are padded at the bottom and right, so they begin at "
                f"0 or beyond. Received: origin={tuple(origin)}"
            )
        return min(size[0], max(height - y, 0)), min(size[1], max(width - x, 0))

    def _copy_beyond(self, target, source, origin):
        """Cut a window beyond whose image there are copies of its pixels."""
        rows, cols = (
            pixel_for(
                np.arange(first, first + count),
                length,
                self._pad_mode,
                minimum=np.minimum,
            )
            for first, count, length in zip(
                origin, target.shape, self._image_sizes[source], strict=False
            )
        )
        y, x = int(rows.min()), int(cols.min())
        window = y, x, int(rows.max()) + 1 - y, int(cols.max()) + 1 - x
        shown = self.cut(source, window)
        target[...] = shown[rows[:, None] - y, cols - x]


class CropReader:
    """Cuts windows of one size, where it is told to.

    Args:
        windows: `WindowReader`.
        size: `(height, width)` in pixels.
    """

    def __init__(self, windows, size):
        self._windows = windows
        self._size = size

    def read(self, sources, origins):
        """Cut windows, one per pair of source and origin, into one array."""
        return self._windows.cut_all(sources, origins, self._size)


class PlannedReader:
    """Cuts the patches that were planned, and augments them.

    Args:
        windows: `WindowReader`.
        origins: Pairs `(y, x)` per patch, per source.
        augmentations: What is done to each patch, per source; empty where
            nothing is done to any.
        patch_size: `(height, width)` in pixels.
        value_range: `(black, white)`.
    """

    def __init__(
        self, windows, origins, augmentations, patch_size, value_range
    ):
        self._windows = windows
        self._origins = origins
        self._augmentations = augmentations
        self._patch_size = patch_size
        self._value_range = value_range

    def read(self, sources, rows):
        """Cut patches, one per pair of source and row, into one array."""
        shape = (len(rows), *self._patch_size, *self._windows.pixel_shape)
        patches = empty_batch(shape, self._windows.dtype)
        for target, s, r in zip(patches, sources, rows, strict=True):
            inside = self._windows.cut_into(target, s, self._origins[s][r])
            planned = self._augmentations[s]
            if planned and planned[r]:
                augment_patch(target, inside, planned[r], self._value_range)
        return patches
