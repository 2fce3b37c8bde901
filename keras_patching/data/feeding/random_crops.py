"""Crops at random positions: tiles that are moved, elsewhere in each epoch.

A tile is moved by up to half a patch each way, along both axes, and stays
inside of its image. So an epoch has as many crops as there are tiles, spread as
evenly: along each axis a pixel is in one crop on average, and near the edges of
an image in half a one to two and a half.
"""

import numpy as np

from keras_patching.data.cache.shard_kinds import shard_kind
from keras_patching.data.feeding.block_split import PARTS
from keras_patching.data.feeding.crop_contents import open_contents
from keras_patching.data.feeding.kept_patches import (
    blocks_of_image,
    parts_of_image,
)
from keras_patching.data.feeding.window_readers import (
    CropReader,
    open_windows,
)
from keras_patching.data.patches.shown_windows import shown_windows

# So often a tile is moved anew where its crop would not do; then it stays.
_TRIES = 16


def check_random_crops(random_crops, store):
    """Refuse crops of what is kept as patches.

    It comes before anything is saved.

    Raises:
        ValueError: If patches cannot be cut at other places.
    """
    if random_crops and store != "images":
        raise ValueError(
            "Crops at random positions are cut from whole images: pass "
            f'store="images" to the loader. Received: random_crops=True, '
            f"store={store!r}"
        )


def open_crops(manifest_path, manifest, sources, split, subset, wanted=None):
    """Open what draws crops, and the readers that cut them.

    Args:
        manifest_path: `pathlib.Path` of the manifest.
        manifest: The `Manifest` of a cache of `store="images"`.
        sources: Those of its `Source` that are read.
        split: `BlockSplit`, or `None`.
        subset: Name of the part whose pixels may be shown.
        wanted: Bool array `(patches,)`: which tiles hold foreground, and the
            classes that it is of, or `None` for all but class 0; so crops of
            tiles with foreground hold some. `None` where it does not matter.

    Returns:
        `RandomCrops`; and a dict of readers, as of `readers.open_readers`, that
        read pairs of source and origin.

    Raises:
        ValueError: If it is no cache of whole images with labels of their
            size.
    """
    _check_cache(manifest_path, manifest)
    windows = open_windows(manifest_path, manifest, sources)
    contents = None
    if wanted is not None:
        has_foreground, classes = wanted
        known = manifest_path, manifest, sources
        contents = has_foreground, open_contents(*known, windows, classes)
    crops = RandomCrops(manifest, sources, split, PARTS[subset], contents)
    return crops, {
        key: CropReader(each, manifest.patch_size)
        for key, each in windows.items()
    }


def _check_cache(manifest_path, manifest):
    """Refuse a cache that no crops can be cut from."""
    stages = {stage for each in manifest.sources for stage in each.stages}
    if stages != {"tile"}:
        raise ValueError(
            f"{manifest_path}: the patches of a detector are planned around "
            "its boxes, and `keras_patching.callbacks.ResamplePatches` draws "
            "others. Received: random_crops=True"
        )
    kept = [kind for kind in manifest.fed_kinds if not shard_kind(kind).is_cut]
    if kept:
        raise ValueError(
            f"{manifest_path}: holds {' and '.join(kept)} of patches, and "
            "crops at random positions are cut from whole images. Call the "
            'loader with store="images". Received: random_crops=True'
        )


class RandomCrops:
    """Where the crops of an epoch lie.

    Args:
        manifest: The `Manifest`.
        sources: Those of its `Source` that are read.
        split: `BlockSplit`, or `None`.
        part: Number of the part whose pixels may be shown, one of `PARTS`.
        contents: Bool array `(patches,)`: which tiles hold foreground; and a
            function from sources, and origins `(crops, 2)`, to the same of
            crops: then those of a tile hold some where it does. `None` where
            that does not matter.
    """

    def __init__(self, manifest, sources, split, part, contents=None):
        self._names = [source.name for source in sources]
        self._sizes = np.array([manifest.image_size(each) for each in sources])
        self._tiles = np.concatenate(
            [np.reshape(source.origins, (-1, 2)) for source in sources]
        )
        self._patch_size = np.array(manifest.patch_size)
        self._limits = np.maximum(self._sizes - self._patch_size, 0)
        self._pad_mode = manifest.parameters.get("pad_mode", "constant")
        self._split, self._part = split, part
        self._contents = contents

    def draw(self, samples, sources, rng):
        """Draw where the tiles of an epoch are moved to.

        Args:
            samples: Indices of tiles, integers `(crops,)`.
            sources: Indices of their sources, `(crops,)`.
            rng: `numpy.random.Generator` that everything is drawn from.

        Returns:
            Integers `(crops, 2)`, y and x of the crops.
        """
        origins = self._tiles[samples]
        left = np.arange(len(samples))
        for _ in range(_TRIES):
            low = -(self._patch_size // 2)
            shifts = rng.integers(
                low, low + self._patch_size, size=(len(left), 2)
            )
            tried = self._tiles[samples[left]] + shifts
            tried = np.clip(tried, 0, self._limits[sources[left]])
            good = self._will_do(samples[left], sources[left], tried)
            origins[left[good]] = tried[good]
            left = left[~good]
            if not len(left):
                break
        return origins

    def _will_do(self, samples, sources, origins):
        """Tell which crops are of the part, and hold what their tiles do."""
        good = np.ones(len(samples), bool)
        if self._split is not None:
            for source in np.unique(sources):
                mine = sources == source
                parts = self._parts_of(source, origins[mine])
                good[mine] = parts == self._part
        if self._contents is not None:
            has_foreground, holds = self._contents
            found = holds(sources[good], origins[good])
            good[good] = found == has_foreground[samples[good]]
        return good

    def _parts_of(self, source, origins):
        return parts_of_image(
            self._split,
            self._names[source],
            self._sizes[source],
            self._patch_size,
            origins,
            True,
            self._pad_mode,
        )

    def boxes(self, source, tiles):
        """Tell what the crops of some tiles may show.

        Args:
            source: Index of the source.
            tiles: Integers `(n, 2)`, origins of tiles of its image.

        Returns:
            Integers `(boxes, 4)`: y1, x1, y2, x2 in pixels of the image. All
            of each box is shown by crops, and nothing else but by tiles.
        """
        size, limits = self._sizes[source], self._limits[source]
        low = tiles - self._patch_size // 2
        first = np.clip(low, 0, limits)
        last = np.clip(low + self._patch_size - 1, 0, limits)
        ranges = np.stack([first, last + 1], axis=1)
        if self._split is not None:
            cells = [self._allowed(source, each) for each in ranges]
            ranges = np.concatenate([np.empty((0, 2, 2), int), *cells])
        ends = np.minimum(ranges[:, 1] - 1 + self._patch_size, size)
        shown = shown_windows(size, tiles, self._patch_size, self._pad_mode)
        return np.concatenate(
            [shown, np.concatenate([ranges[:, 0], ends], axis=1)]
        )

    def _allowed(self, source, origins):
        """Divide a range of origins, and keep what is of the part.

        Args:
            source: Index of the source.
            origins: Integers `(2, 2)`: the first y and x, and their ends.

        Returns:
            Integers `(ranges, 2, 2)` of the same kind.
        """
        blocks = blocks_of_image(
            self._split,
            self._names[source],
            self._sizes[source],
            self._patch_size,
            True,
        )
        if blocks is None:
            return origins[None]
        starts, ends = [], []
        for axis in range(2):
            first, end = origins[:, axis]
            turns = blocks.turns(axis, self._patch_size[axis])
            inside = turns[(turns > first) & (turns < end)]
            starts.append(np.concatenate([[first], inside]))
            ends.append(np.concatenate([inside, [end]]))
        firsts, lasts = (
            np.stack(np.meshgrid(*each, indexing="ij"), axis=-1).reshape(-1, 2)
            for each in (starts, ends)
        )
        kept = self._parts_of(source, firsts) == self._part
        return np.stack([firsts, lasts], axis=1)[kept]
