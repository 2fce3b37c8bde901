"""Patches of a cache one by one, with names: for people and other tools."""

import pathlib

from keras_patching.data.cache.shard_kinds import key_of, shard_kind
from keras_patching.data.feeding.readers import open_readers


def patch_names(source):
    """Name the patches of a `Source`: image, number, and origin.

    Example:

    >>> from keras_patching.data.cache.opening import load_cache
    >>> _, manifest = load_cache("field/images_patches")
    >>> patch_names(manifest.sources[0])[1]
    'field_0_0001_y0000_x0128'
    """
    stem = "_".join(pathlib.PurePosixPath(source.name).with_suffix("").parts)
    digits = max(4, len(str(len(source.origins) - 1)))
    return [
        f"{stem}_{number:0{digits}}_y{y:04}_x{x:04}"
        for number, (y, x) in enumerate(source.origins)
    ]


def read_patches(manifest_path, manifest, source, rows=None):
    """Read patches of one image, one after the other.

    Args:
        manifest_path: `pathlib.Path` of the manifest.
        manifest: The `Manifest`.
        source: One of its `Source`.
        rows: Numbers of the patches within the image; `None` is all.

    Yields:
        Per patch a dict of arrays, those that the cache has: "images"
        `(height, width, channels)`, "masks" and "heatmaps" `(height, width)`,
        "points" `(n, 2)` of `(y, x)`, "boxes" `(n, 4)` of x1, y1, x2, y2, all
        in pixels of the patch, and their "labels" `(n,)`.
    """
    kinds = [kind for kind in manifest.kinds if _is_of_patches(kind)]
    readers = open_readers(manifest_path, manifest, [source], kinds)
    paddings = {key_of(kind): shard_kind(kind).padding for kind in kinds}
    for row in range(len(source.origins)) if rows is None else rows:
        yield {
            key: _without_padding(reader.read([0], [row])[0], paddings[key])
            for key, reader in readers.items()
        }


def _is_of_patches(kind):
    return shard_kind(kind).is_cut or not shard_kind(kind).per_image


def _without_padding(array, padding):
    """Take away the rows that fill up points, boxes and their labels."""
    if padding is None:
        return array
    return array[(array != padding).reshape(len(array), -1).any(axis=1)]
