"""How much room a build needs on the disk."""

import contextlib
import os

from keras_patching.data.cache.shards import shard_bytes, shard_prefix


def missing_bytes(shard_folder, sources):
    """Add up the sizes of the shards that are probably not there.

    Which ones are, only the hashes of the sources will tell. One of the same
    source, kind and size is taken for the same: a build that was killed is not
    refused for the space that its own shards take.

    Args:
        shard_folder: Folder of shards, which need not exist.
        sources: List of `Source` that are to be built.
    """
    present = _list_shards(shard_folder) if sources else set()
    wanted = [
        (shard_prefix(source.name), plan.kind, _size_of(plan))
        for source in sources
        for plan in source.shards.values()
    ]
    return sum(shard[-1] for shard in wanted if shard not in present)


def _size_of(plan):
    return shard_bytes(plan.shape, plan.dtype)


def _list_shards(folder):
    """Give stem, kind and size of each shard that is there."""
    found = set()
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            stem, _, rest = entry.name.rpartition("-")
            kind = rest.partition(".")[2].removesuffix(".npy")
            with contextlib.suppress(FileNotFoundError):
                found.add((stem, kind, entry.stat().st_size))
    return found
